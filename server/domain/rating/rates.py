"""Rates and tiers as values, and the rules that adjust and pick them.

A rate is a pair: an amount of `unit` for `per` units of the resource. It is never divided here.
Source: rate cards, rate adjustments by tier.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.errors import InvalidArgument
from server.domain.exact import PLACES, decimal_places, exact, plain
from server.domain.ids import AssetId, RateEntryId, UnitId
from server.domain.modeling.policies import OveragePolicy

HUNDRED = Decimal(100)
HUNDREDTH = Decimal("0.01")
HIGHEST_SURCHARGE = Decimal(-10_000)
"""The lowest percentage: a surcharge that makes a rate 101 times as high."""

ONE = Decimal(1)


class AdjustmentKind(StrEnum):
    """The effect of an adjustment on a rate."""

    OVERRIDE = "OVERRIDE"
    PERCENTAGE = "PERCENTAGE"
    AMOUNT = "AMOUNT"


class TierBounds(StrEnum):
    """The end of a tier that belongs to it."""

    LOWER_INCLUSIVE = "LOWER_INCLUSIVE"
    UPPER_INCLUSIVE = "UPPER_INCLUSIVE"


class TierMode(StrEnum):
    """VOLUME: one tier prices all units. GRADUATED: each tier prices its own units."""

    VOLUME = "VOLUME"
    GRADUATED = "GRADUATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`value` in `unit` (a currency or a token) for every `per` units of the resource.

    For a package, the value is charged for every `per` units that are begun.
    """

    value: Decimal
    per: Decimal = ONE
    unit: UnitId
    is_package: bool = False

    def __post_init__(self) -> None:
        assert self.per > 0, self


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """OVERRIDE replaces the rate, PERCENTAGE is subtracted from it, AMOUNT (signed) is added.

    A negative percentage is a surcharge.
    """

    kind: AdjustmentKind
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A range of quantities and its adjustment; without `upper` it is unbounded.

    The `flat` amount is charged once for each asset, resource and rating period, in addition to the
    rate; that of a first tier with `is_flat_due` also without usage. With a `package` size, the
    override is charged for every `package` units that are begun.
    """

    lower: Decimal
    upper: Decimal | None
    adjustment: Adjustment
    flat: Decimal | None = None
    package: Decimal | None = None
    is_flat_due: bool = False

    @property
    def is_plain(self) -> bool:
        """True without a flat amount and a package size of its own."""
        return self.flat is None and self.package is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRow:
    """An adjustment for lines whose attributes have all these values."""

    attributes: tuple[tuple[str, str], ...]
    adjustment: Adjustment


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTerms:
    """All terms that price one resource of one asset for a span of time, with their origin.

    A negotiated rate replaces the listed rate; negotiated tiers replace the listed tiers, whose
    bounds and mode are `listed_as`. Without a rate, tiers must override, and are for `per` units.
    `committed` are the terms of commitments; the lowest applies if it is lower than the rate. The
    first of the `adjustments` that matches the attributes of the usage and the agreed `attributes`
    applies. `commitment` is the asset of an element of `committed`. `agreed_on` is the asset on
    whose line the terms were negotiated, if they apply because of an agreement for a shared target.
    Negotiated fields replace the custom fields of the catalog, one by one. Terms of an asset that
    follows the catalog are held where the catalog has none that it could follow.
    """

    unit: UnitId
    per: Decimal = ONE
    rate: Rate | None
    tiers: tuple[Tier, ...] = ()
    bounds: TierBounds = TierBounds.LOWER_INCLUSIVE
    mode: TierMode = TierMode.VOLUME
    base_entry: RateEntryId | None = None
    tier_entry: RateEntryId | None = None
    negotiated_rate: Rate | None = None
    negotiated_tiers: tuple[Tier, ...] | None = None
    listed_as: tuple[TierBounds, TierMode] | None = None
    committed: tuple["RateTerms", ...] = ()
    commitment: AssetId | None = None
    adjustments: tuple[AttributeRow, ...] = ()
    attribute_entry: RateEntryId | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    agreed_on: AssetId | None = None
    custom_fields: Mapping[str, str] = field(default_factory=dict)
    negotiated_fields: Mapping[str, str] = field(default_factory=dict)
    is_held: bool = False

    def __post_init__(self) -> None:
        assert self.rate is None or self.rate.unit == self.unit, self
        assert self.negotiated_rate is None or self.negotiated_rate.unit == self.unit, self

    def used_with(self, attributes: Mapping[str, str]) -> "RateTerms":
        """Return the terms with the attributes of usage, which replace agreed ones."""
        if not attributes:
            return self
        return replace(self, attributes={**self.attributes, **attributes})

    @property
    def effective_rate(self) -> Rate | None:
        """The rate before tiers."""
        return self.negotiated_rate or self.rate

    @property
    def effective_tiers(self) -> tuple[Tier, ...]:
        """The tiers in force."""
        return self.tiers if self.negotiated_tiers is None else self.negotiated_tiers

    @property
    def is_negotiated(self) -> bool:
        """True if a rate, tiers or custom fields were negotiated."""
        parts = (self.negotiated_rate, self.negotiated_tiers)
        return parts != (None, None) or bool(self.negotiated_fields)

    @property
    def effective_fields(self) -> Mapping[str, str]:
        """The custom fields, by id."""
        return {**self.custom_fields, **self.negotiated_fields}

    @property
    def due(self) -> Tier | None:
        """The first tier, if its flat amount is due without usage."""
        first = next(iter(self.effective_tiers), None)
        return first if first is not None and first.is_flat_due else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateParts:
    """The given parts of a negotiated rate; a part that is None is taken from the catalog."""

    value: Decimal
    per: Decimal | None = None
    unit: UnitId | None = None
    is_package: bool | None = None

    def over(self, terms: RateTerms) -> Rate:
        """Return the whole rate, with the catalog's value for each part that is not given."""
        listed = terms.rate or Rate(value=self.value, per=terms.per, unit=terms.unit)
        return Rate(
            value=self.value,
            per=listed.per if self.per is None else self.per,
            unit=listed.unit if self.unit is None else self.unit,
            is_package=listed.is_package if self.is_package is None else self.is_package,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSegment:
    """The terms from one local midnight to another; without `terms` there is no rate.

    `sold_with` is the asset that brought the terms, if they are not the asset's own.
    """

    start: datetime
    end: datetime | None = None
    terms: RateTerms | None
    overage: OveragePolicy = OveragePolicy.CHARGE
    sold_with: AssetId | None = None

    def contains(self, instant: datetime) -> bool:
        """Return whether these terms are in force at `instant`."""
        return self.start <= instant and (self.end is None or instant < self.end)


@exact
def adjust(rate: Rate | None, adjustment: Adjustment, *, terms: RateTerms) -> Rate | None:
    """Return `rate` after `adjustment`, or None if there is no rate to adjust."""
    match adjustment.kind:
        case AdjustmentKind.OVERRIDE:
            if rate is not None:
                return replace(rate, value=adjustment.value)
            return Rate(value=adjustment.value, per=terms.per, unit=terms.unit)
        case AdjustmentKind.PERCENTAGE:
            if rate is None:
                return None
            # Times 0.01, because a division could have to be rounded.
            return replace(rate, value=rate.value * (HUNDRED - adjustment.value) * HUNDREDTH)
        case AdjustmentKind.AMOUNT:
            return None if rate is None else replace(rate, value=rate.value + adjustment.value)


def committed_rate(rate: Rate, committed: RateTerms, quantity: Decimal) -> Rate:
    """Return the rate under a commitment: its own or `rate`, adjusted by the tier of `quantity`."""
    own = committed.effective_rate or rate
    # The tiers of a commitment are plain, so the adjustment is all that they change.
    tier = pick(committed.effective_tiers, committed.bounds, quantity)
    return own if tier is None else adjust(own, tier.adjustment, terms=committed) or own


def priced_by(tier: Tier, rate: Rate | None, terms: RateTerms) -> Rate | None:
    """Return the rate of the units in a tier, or None if there is no rate to adjust."""
    adjusted = adjust(rate, tier.adjustment, terms=terms)
    if adjusted is None or tier.package is None:
        return adjusted
    return replace(adjusted, per=tier.package, is_package=True)


def is_lower(a: Rate, b: Rate) -> bool:
    """Return whether a unit costs less at `a` than at `b`."""
    # Multiplied crosswise, because a quotient could have to be rounded.
    return a.value * b.per < b.value * a.per


def pick(tiers: tuple[Tier, ...], bounds: TierBounds, quantity: Decimal) -> Tier | None:
    """Return the tier that contains `quantity`, or None."""
    return next((tier for tier in tiers if _is_in(tier, bounds, quantity)), None)


def _is_in(tier: Tier, bounds: TierBounds, quantity: Decimal) -> bool:
    if bounds is TierBounds.LOWER_INCLUSIVE:
        return tier.lower <= quantity and (tier.upper is None or quantity < tier.upper)
    return tier.lower < quantity and (tier.upper is None or quantity <= tier.upper)


def check_package(rate: Rate, *, scale: int, path: str) -> None:
    """Raise `UNIT_SCALE` for a package size with more decimals than the resource's unit."""
    if rate.is_package:
        _check_scale(rate.per, scale, "the package size", f"{path}.per")


def _check_scale(value: Decimal | None, scale: int, what: str, path: str) -> None:
    if value is not None and decimal_places(value) > scale:
        fault = f"{what} {plain(value)} has more than the {scale} decimals of the resource's unit"
        raise InvalidArgument.at(path, "UNIT_SCALE", fault, scale=str(scale), quantity=plain(value))


def check_tiers(tiers: tuple[Tier, ...], *, scale: int = PLACES, path: str = "tiers") -> None:
    """Raise `TIERS_INVALID` for the first tier that does not continue the one before it.

    Raises `UNIT_SCALE` for a bound or a package size with more decimals than the resource's unit.
    """
    for index, tier in enumerate(tiers):
        at = f"{path}[{index}]"
        _check_scale(tier.lower, scale, "the lower bound", at)
        _check_scale(tier.upper, scale, "the upper bound", at)
        _check_scale(tier.package, scale, "the package size", at)
        fault = _tier_fault(tier, tiers[index - 1] if index else None)
        if fault:
            raise InvalidArgument.at(
                at,
                "TIERS_INVALID",
                fault,
                index=str(index),
                lower=plain(tier.lower),
                upper="" if tier.upper is None else plain(tier.upper),
            )


def _tier_fault(tier: Tier, previous: Tier | None) -> str | None:
    if tier.lower < 0:
        return "starts below zero"
    if tier.is_flat_due and (previous is not None or tier.lower or not tier.flat):
        return "is due without usage, and only the flat amount of a first tier from zero can be"
    if tier.package is not None and tier.adjustment.kind is not AdjustmentKind.OVERRIDE:
        return "has a package size, and only the price of an OVERRIDE is one for a package"
    if tier.upper is not None and tier.lower >= tier.upper:
        return "its lower bound is not below its upper bound"
    return None if previous is None else _seam_fault(previous, tier)


def _seam_fault(previous: Tier, tier: Tier) -> str | None:
    if tier.lower <= previous.lower:
        return "does not start after the tier before it"
    if previous.upper is None:
        return "follows a tier without an upper bound"
    if tier.lower < previous.upper:
        return "overlaps the tier before it"
    if tier.lower > previous.upper:
        return "leaves a gap after the tier before it"
    return None


@exact
def close_gaps(tiers: tuple[Tier, ...], *, scale: int) -> tuple[Tier, ...]:
    """Return tiers written as "0-10, 11-60", both ends inclusive, as UPPER_INCLUSIVE: 0, 10, 60.

    Only a gap of one step of the unit's scale is closed; `check_tiers` refuses any other. A first
    tier that starts one step above zero starts at zero.
    """
    step = Decimal((0, (1,), -scale))
    closed: list[Tier] = []
    end = Decimal(0)
    for tier in tiers:
        lower = end if tier.lower == end + step else tier.lower
        closed.append(replace(tier, lower=lower))
        end = end if tier.upper is None else tier.upper
    return tuple(closed)
