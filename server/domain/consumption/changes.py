"""The change that an amend run makes to every record, and the new content of a record under it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from server.domain.consumption.amendments import KnownRecord
from server.domain.consumption.recording import Usage
from server.domain.errors import InvalidArgument
from server.domain.exact import INTEGER_DIGITS, PLACES, plain
from server.domain.ids import AssetId, ResourceId, UnitId
from server.domain.limits import MOST_QUANTITY
from server.domain.modeling.units import Ratio

# The smallest number of units of the last place that has too many digits.
TOO_MANY = 10 ** (INTEGER_DIGITS + PLACES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """The change of every record of a run; None or empty for what stays as it is.

    Either the `quantity` or a `factor` of it may be given. `most_quantity` is the most that a
    record may count.
    """

    quantity: Decimal | None = None
    factor: Ratio | None = None
    unit_id: UnitId | None = None
    resource_id: ResourceId | None = None
    asset_id: AssetId | None = None
    set_labels: Mapping[str, str] = field(default_factory=dict)
    remove_labels: tuple[str, ...] = ()
    most_quantity: Decimal = MOST_QUANTITY

    @property
    def is_nothing(self) -> bool:
        """True if every record stays as it is."""
        parts = (self.quantity, self.factor, self.unit_id, self.resource_id, self.asset_id)
        is_same = all(part is None for part in parts)
        return is_same and not self.set_labels and not self.remove_labels

    def of(self, record: KnownRecord) -> Usage:
        """Return the new content of a record. Raises DECIMAL_SCALE, DECIMAL_RANGE."""
        stored = record.stored
        return Usage(
            record.account_id,
            record.record_id,
            self.asset_id or stored.asset_id,
            self.resource_id or stored.resource_id,
            self._quantity_of(stored.quantity),
            self.unit_id or stored.unit_id,
            stored.time,
            self._labels_of(stored.labels or {}),
        )

    def _quantity_of(self, quantity: Decimal) -> Decimal:
        if self.quantity is not None:
            return self.quantity
        return quantity if self.factor is None else times(quantity, self.factor)

    def _labels_of(self, labels: Mapping[str, str]) -> dict[str, str] | None:
        removed = set(self.remove_labels)
        kept = {key: value for key, value in labels.items() if key not in removed}
        return {**kept, **self.set_labels} or None


def times(quantity: Decimal, factor: Ratio) -> Decimal:
    """Return a quantity times a factor, which must be exact. Raises DECIMAL_SCALE, DECIMAL_RANGE.

    3 times 1/4 is 0.75, and 1 times 1/3 is refused.
    """
    by = Fraction(factor.numerator) / Fraction(factor.denominator)
    # In units of the last place.
    found = Fraction(quantity) * by * 10**PLACES
    text = f"{plain(quantity)} × {plain(factor.numerator)} ÷ {plain(factor.denominator)}"
    if found.denominator != 1:
        fault = f"would be {text}, which is not exact with {PLACES} decimals"
        raise InvalidArgument.at("quantity", "DECIMAL_SCALE", fault)
    if found >= TOO_MANY:
        fault = f"would be {text}, which has more than {INTEGER_DIGITS} digits before the point"
        raise InvalidArgument.at("quantity", "DECIMAL_RANGE", fault)
    return Decimal(f"{found.numerator}E-{PLACES}")
