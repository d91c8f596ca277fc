"""Replay: what usage that is final would have cost at the rates of another price book.

What was drawn stays as it was, so only the rating is done again, by what rated it the first time.
What was negotiated goes before what the catalogue says, there as here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from server.domain.errors import UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, UnitId
from server.domain.pricing.rates import RateSegment, RateTerms
from server.domain.settling.summaries import Rates

Stretch = tuple[AssetId, datetime]
"""An asset, and the start of a stretch of its rates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What was rated, and what it would have come to; None where there is no amount."""

    unit: UnitId
    rated: Decimal | None
    replayed: Decimal | None

    @property
    @exact
    def difference(self) -> Decimal | None:
        """What it would have been more."""
        if self.rated is None or self.replayed is None:
            return None
        return self.replayed - self.rated


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sums of pairs that have both amounts, in one unit."""

    unit: UnitId
    rated: Decimal
    replayed: Decimal
    count: int


def at_other_rates(rates: Rates, found: Mapping[Stretch, RateTerms | UsageError]) -> Rates:
    """The same stretches with the terms that another catalogue has for them, or none."""
    return {
        asset_id: tuple(_repriced(one, found.get((asset_id, one.start))) for one in segments)
        for asset_id, segments in rates.items()
    }


@exact
def totals(pairs: Iterable[Pair]) -> tuple[Total, ...]:
    """The sums by unit; a pair that lacks an amount is in none."""
    found: dict[UnitId, Total] = {}
    for one in pairs:
        if one.rated is None or one.replayed is None:
            continue
        known = found.get(one.unit) or Total(unit=one.unit, rated=ZERO, replayed=ZERO, count=0)
        found[one.unit] = Total(
            unit=one.unit,
            rated=known.rated + one.rated,
            replayed=known.replayed + one.replayed,
            count=known.count + 1,
        )
    return tuple(found[unit] for unit in sorted(found))


def _repriced(segment: RateSegment, found: RateTerms | UsageError | None) -> RateSegment:
    if found is None or isinstance(found, UsageError):
        return replace(segment, terms=None)
    old = segment.terms
    if old is None or old.unit != found.unit:
        return replace(segment, terms=found)
    terms = replace(
        found,
        negotiated_rate=old.negotiated_rate,
        negotiated_tiers=old.negotiated_tiers,
        attributes=old.attributes,
        agreed_on=old.agreed_on,
    )
    return replace(segment, terms=terms)
