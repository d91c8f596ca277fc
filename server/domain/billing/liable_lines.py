"""Liable lines: the amounts in money that an asset owes for a resource and a period.

Money is rounded once for each asset, resource and billing period in which the usage happened, the
origin. What is late is billed as the difference from what the origin was billed before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from server.domain.calendar import Period
from server.domain.exact import PLACES, ZERO, Rounding, divide, exact, floor_to, round_to
from server.domain.ids import (
    AssetId,
    RatableSummaryId,
    UnitId,
)
from server.domain.money import MOST_AMOUNT
from server.domain.settlement.ratable_lines import RatableLine

BilledKey = tuple[AssetId, datetime]
"""An asset, and the end of a billing period in which it was used."""


class Billed(NamedTuple):
    """The sums of lines that were made before: their exact amounts, and their amounts in money."""

    exact_amount: Decimal = ZERO
    amount: Decimal = ZERO


NOTHING = Billed()


class LiableKey(NamedTuple):
    """The key of a liable line; lines are sorted by it, and the first of equal remainders wins.

    `origin` is the billing period of the usage: an earlier one, if the usage was late.
    """

    asset_number: int
    asset_id: AssetId
    origin: Period
    segment_start: datetime
    dimensions: str
    is_correction: bool

    @property
    def billed_key(self) -> BilledKey:
        """The key of everything that is rounded together."""
        return self.asset_id, self.origin.end

    @staticmethod
    def of(line: RatableLine, origins: Mapping[RatableSummaryId, Period]) -> "LiableKey":
        """Return the key of the liable line that a ratable line belongs to."""
        key = line.key
        origin = origins[line.id]
        asset = (key.asset_number, key.asset_id)
        return LiableKey(*asset, origin, key.segment_start, key.dimensions, key.is_correction)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiableLine:
    """An invoice-ready line: summed quantities, the exact amount, and its share in money.

    It is whole if all its usage was rated and its amount is within the range of money. Otherwise it
    cannot be invoiced.
    """

    key: LiableKey
    unit: UnitId | None
    used: Decimal
    drawn: Decimal
    overage: Decimal
    exact_amount: Decimal
    amount: Decimal
    net_unit_rate: Decimal
    is_whole: bool
    ratable_ids: tuple[RatableSummaryId, ...]


@exact
def liable_lines(
    lines: Iterable[RatableLine],
    origins: Mapping[RatableSummaryId, Period],
    billed: Mapping[BilledKey, Billed],
    *,
    places: int,
) -> tuple[LiableLine, ...]:
    """Return the liable lines of one billing period, with `places` decimals, in order.

    There is one for each asset, origin, terms segment, set of dimension values, and own usage or
    correction. `origins` are the billing periods of the lines, and `billed` is what was billed for
    them before. A line that failed adds nothing.
    """
    groups: dict[LiableKey, list[RatableLine]] = {}
    for line in sorted(lines, key=lambda line: (line.key, line.id)):
        groups.setdefault(LiableKey.of(line, origins), []).append(line)
    exact_amounts: dict[BilledKey, dict[LiableKey, Decimal]] = {}
    for key in sorted(groups, key=_order):
        amounts_of = (line.amount for line in groups[key] if line.amount is not None)
        exact_amounts.setdefault(key.billed_key, {})[key] = sum(amounts_of, ZERO)
    found: list[LiableLine] = []
    for billed_key, of_key in exact_amounts.items():
        before = billed.get(billed_key, NOTHING)
        amounts = shares(list(of_key.values()), before, places=places)
        found += (
            _liable_line(key, groups[key], of_key[key], amount)
            for key, amount in zip(of_key, amounts, strict=True)
        )
    return tuple(found)


@exact
def shares(
    exact_amounts: Sequence[Decimal], billed: Billed = NOTHING, *, places: int
) -> list[Decimal]:
    """Return the amount in money of each of one or more lines, with `places` decimals.

    Together with `billed` they come to the total of all exact amounts, rounded half up. Each line
    is rounded toward minus infinity, and the minor units that are missing go to the largest
    remainders, of equal ones to the first.
    """
    total = round_to(billed.exact_amount + sum(exact_amounts, ZERO), places)
    amounts = [floor_to(one, places) for one in exact_amounts]
    missing = int((total - billed.amount - sum(amounts, ZERO)).scaleb(places))
    remainders = [one - floor for one, floor in zip(exact_amounts, amounts, strict=True)]
    # At most one for each line and none taken back, unless a correction turns half a minor unit
    # owed into half a one due, or the reverse.
    each, rest = divmod(missing, len(amounts))
    by_remainder = sorted(range(len(amounts)), key=lambda n: (-remainders[n], n))
    for rank, n in enumerate(by_remainder):
        amounts[n] += Decimal(each + (rank < rest)).scaleb(-places)
    return amounts


def _order(key: LiableKey) -> tuple[object, ...]:
    asset_number, asset_id, origin, *rest = key
    return (asset_number, asset_id, origin.start, *rest)


def _liable_line(
    key: LiableKey, lines: Sequence[RatableLine], exact_amount: Decimal, amount: Decimal
) -> LiableLine:
    terms = lines[0].terms
    overage = sum((line.overage for line in lines), ZERO)
    return LiableLine(
        key=key,
        unit=terms.unit if terms else None,
        used=sum((line.used for line in lines), ZERO),
        drawn=sum((line.drawn for line in lines), ZERO),
        overage=overage,
        exact_amount=exact_amount,
        amount=amount,
        net_unit_rate=_display_rate(exact_amount, overage),
        is_whole=abs(amount) < MOST_AMOUNT and all(line.failure is None for line in lines),
        ratable_ids=tuple(line.id for line in lines),
    )


def _display_rate(amount: Decimal, overage: Decimal) -> Decimal:
    if overage == 0:
        return ZERO
    return divide(amount, overage, places=PLACES, mode=Rounding.HALF_EVEN)
