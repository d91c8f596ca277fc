"""Liable lines: the rounded amounts that an asset owes for a resource and a period."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.domain.errors import FailedPrecondition
from server.domain.exact import PLACES, ZERO, Rounding, divide, exact, round_to
from server.domain.ids import (
    AssetId,
    RatableSummaryId,
    UnitId,
)
from server.domain.money import MOST_AMOUNT
from server.domain.settlement.ratable_lines import RatableKey, RatableLine


@dataclass(frozen=True, slots=True, kw_only=True)
class LiableLine:
    """An invoice-ready line: summed quantities, and `amount` rounded once to money.

    An amount beyond the range of money cannot be invoiced.
    """

    asset_id: AssetId
    asset_number: int
    segment_start: datetime
    is_correction: bool
    dimensions: str = ""
    unit: UnitId | None
    used: Decimal
    drawn: Decimal
    overage: Decimal
    exact_amount: Decimal
    amount: Decimal
    net_unit_rate: Decimal
    ratable_ids: tuple[RatableSummaryId, ...]

    @property
    def is_money(self) -> bool:
        """True if the amount is within the range of money."""
        return abs(self.amount) < MOST_AMOUNT


@exact
def liable_lines(
    lines: Iterable[RatableLine], *, places: int, mode: Rounding = Rounding.HALF_UP
) -> tuple[LiableLine, ...]:
    """Return the liable lines of one billing period.

    There is one for each asset, terms segment, set of dimension values, and own usage or
    correction. Raises `RATING_FAILED` if a line has no amount.
    """
    groups: dict[tuple[int, AssetId, datetime, bool, str], list[RatableLine]] = {}
    for line in sorted(lines, key=lambda line: (line.key, line.id)):
        key = line.key
        group = liable_group(key)
        groups.setdefault(group, []).append(line)
    return tuple(_liable_line(groups[group], places, mode) for group in sorted(groups))


def liable_group(key: RatableKey) -> tuple[int, AssetId, datetime, bool, str]:
    """Return the group key that ratable lines of one liable line share."""
    asset = (key.asset_number, key.asset_id)
    return (*asset, key.segment_start, key.is_correction, key.dimensions)


def _liable_line(lines: list[RatableLine], places: int, mode: Rounding) -> LiableLine:
    failed = next((line for line in lines if line.amount is None), None)
    if failed:
        message = f"ratable summary {failed.id} has no amount: {failed.failure}"
        facts = {"ratable_summary": str(failed.id), "failure": failed.failure or ""}
        raise FailedPrecondition("RATING_FAILED", message, facts)
    first = lines[0]
    # Exact amounts are added and then rounded once, so that rounding errors do not add up.
    amount = sum((line.amount for line in lines if line.amount is not None), ZERO)
    overage = sum((line.overage for line in lines), ZERO)
    return LiableLine(
        asset_id=first.key.asset_id,
        asset_number=first.key.asset_number,
        segment_start=first.key.segment_start,
        is_correction=first.key.is_correction,
        dimensions=first.key.dimensions,
        unit=first.terms.unit if first.terms else None,
        used=sum((line.used for line in lines), ZERO),
        drawn=sum((line.drawn for line in lines), ZERO),
        overage=overage,
        exact_amount=amount,
        amount=round_to(amount, places, mode),
        net_unit_rate=_display_rate(amount, overage),
        ratable_ids=tuple(line.id for line in lines),
    )


def _display_rate(amount: Decimal, overage: Decimal) -> Decimal:
    if overage == 0:
        return ZERO
    return divide(amount, overage, places=PLACES, mode=Rounding.HALF_EVEN)
