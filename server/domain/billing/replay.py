"""Replay: what usage that is final would have cost at the rates of another price book.

The rating is done again, by what rated it the first time, and where other rates draw otherwise the
drawdown before it. What was negotiated goes before what the catalogue says, there as here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from server.domain.consumption.aggregation import Cell
from server.domain.errors import UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, CellId, UnitId
from server.domain.rating.additions import is_negotiated
from server.domain.rating.rates import RateTerms, Tier, TierBounds
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.settlement.walk import Commitments

Stretch = tuple[AssetId, datetime]
"""An asset, and the start of a stretch of its rates."""

Found = Mapping[Stretch, RateTerms | UsageError | None]
"""What a catalogue has for each stretch, or why nothing; what adds to others may have nothing."""


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


def at_other_rates(sold: WalletRateSources, found: Found) -> WalletRateSources:
    """What was sold with the terms that another catalogue has for it, or none."""
    own = {
        asset_id: tuple(
            replace(one, terms=_terms_there(one.terms, found.get((asset_id, one.start))))
            for one in segments
        )
        for asset_id, segments in sold.own.items()
    }
    additions = tuple(
        replace(one, terms=_terms_there(one.terms, found.get((one.asset_id, one.start))))
        for one in sold.additions
    )
    return replace(sold, own=own, additions=additions)


def is_drawn_alike(one: Commitments, other: Commitments) -> bool:
    """Whether a unit takes as much of each commitment under one as under the other."""
    return all(
        _discount(one.get(asset_id)) == _discount(other.get(asset_id))
        for asset_id in one.keys() | other.keys()
    )


def tokens_again(
    known: Iterable[Cell],
    before: Mapping[CellId, Cell],
    after: Mapping[CellId, Cell],
    *,
    closed: datetime | None,
) -> tuple[Cell, ...] | None:
    """The final cells of a wallet of tokens, with other tokens for the usage they come from.

    None where the cells are not what usage came to `before`.
    """
    final = {cell.id: cell for cell in known}
    if any(final[key].measure.sum != before[key].measure.sum for key in final.keys() & before):
        return None
    found = [cell for key, cell in final.items() if key not in before]
    for key, cell in after.items():
        kept = final.get(key)
        if kept is not None:
            is_same = kept.measure.sum == cell.measure.sum
            found.append(kept if is_same else replace(kept, measure=cell.measure))
        elif key not in before and closed is not None and cell.period.end <= closed:
            found.append(cell)
    return tuple(found)


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


def _discount(terms: RateTerms | None) -> tuple[tuple[Tier, ...], TierBounds] | None:
    """What of a commitment's terms changes what is drawn."""
    if terms is None or not terms.effective_tiers:
        return None
    return terms.effective_tiers, terms.bounds


def _terms_there(old: RateTerms | None, found: RateTerms | UsageError | None) -> RateTerms | None:
    """The terms by the book with what was negotiated, which holds where the book has none, too."""
    if isinstance(found, RateTerms):
        return _with_negotiated(found, old)
    if old is None or not is_negotiated(old):
        return None
    return _with_negotiated(RateTerms(unit=old.unit, per=old.per, rate=None), old)


def _with_negotiated(found: RateTerms, old: RateTerms | None) -> RateTerms:
    if old is None or old.unit != found.unit:
        return found
    return replace(
        found,
        negotiated_rate=old.negotiated_rate,
        negotiated_tiers=old.negotiated_tiers,
        bounds=found.bounds if old.negotiated_tiers is None else old.bounds,
        mode=found.mode if old.negotiated_tiers is None else old.mode,
        attributes=old.attributes,
        agreed_on=old.agreed_on,
    )
