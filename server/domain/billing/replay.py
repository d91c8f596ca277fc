"""Replay: the cost that final usage would have had at the rates of another price book.

The usage is rated again by the procedure version that rated it. If other rates change the drawdown,
that is done again too. Negotiated rates win over the catalog's, as they did before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from server.domain.consumption.cells import Cell
from server.domain.errors import Unimplemented, UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, CellId, RatableSummaryId, UnitId
from server.domain.rating.additions import is_negotiated
from server.domain.rating.compiled_rating import AsRated
from server.domain.rating.rates import RateTerms, Tier, TierBounds
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.settlement.ratable_lines import (
    RatableKey,
    RatableLine,
    Rates,
    line_id,
    ratable_lines,
)
from server.domain.settlement.walk import Commitments, SettledIncrement
from server.domain.settlement.wallet_states import WalletState, walked_anew

SpanKey = tuple[AssetId, datetime]
"""An asset, and the start of a segment of its rates."""

Found = Mapping[SpanKey, RateTerms | UsageError | None]
"""The other catalog's terms for each segment, or the error; additions may have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The original and the replayed amount; None for a missing amount."""

    unit: UnitId
    rated: Decimal | None
    replayed: Decimal | None

    @property
    @exact
    def difference(self) -> Decimal | None:
        """The replayed amount less the original one."""
        if self.rated is None or self.replayed is None:
            return None
        return self.replayed - self.rated


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sums of the pairs that have both amounts, in one unit."""

    unit: UnitId
    rated: Decimal
    replayed: Decimal
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalUsage:
    """The final usage of a wallet: its cells, their payment, and the rated lines."""

    cells: tuple[Cell, ...]
    results: tuple[SettledIncrement, ...]
    lines: tuple[RatableLine, ...] = ()


def at_other_rates(sold: WalletRateSources, found: Found) -> WalletRateSources:
    """Return the sold terms with those of another catalog in their place."""
    own = {
        asset_id: tuple(
            replace(
                segment, terms=_terms_there(segment.terms, found.get((asset_id, segment.start)))
            )
            for segment in segments
        )
        for asset_id, segments in sold.own.items()
    }
    additions = tuple(
        replace(
            addition,
            terms=_terms_there(addition.terms, found.get((addition.asset_id, addition.start))),
        )
        for addition in sold.additions
    )
    return replace(sold, own=own, additions=additions)


def is_drawn_alike(one: Commitments, other: Commitments) -> bool:
    """Return whether a unit takes the same amount from each commitment under both."""
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
    """Return the final cells of a token wallet, with new tokens for their source usage.

    None if the stored cells differ from the tokens that usage cost `before`.
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


def drawn_again(
    wallet: WalletState, before: FinalUsage, cells: tuple[Cell, ...], commitments: Commitments
) -> tuple[SettledIncrement, ...]:
    """Return the payment of usage: the stored one, unless there is more usage or a unit takes more.

    Raises NOT_SUPPORTED if the walk does not reproduce the stored drawdown.
    """
    is_alike = is_drawn_alike(wallet.commitments, commitments)
    if is_alike and set(cells) == set(before.cells):
        return before.results
    # A second walk is trusted only if it first reproduces the stored drawdown.
    as_it_was = _paid(walked_anew(wallet, before.cells).results)
    if as_it_was != _paid(before.results):
        what = "the tokens used" if is_alike else "the discount of a commitment"
        text = f"{what} would differ, and what grants paid for is not what they would pay for now"
        raise Unimplemented("NOT_SUPPORTED", text)
    return walked_anew(replace(wallet, commitments=commitments), cells).results


def rated_again(
    wallet: WalletState,
    results: tuple[SettledIncrement, ...],
    rates: Rates,
    rating_versions: AsRated,
) -> tuple[RatableLine, ...]:
    """Return the lines of usage; parts of a line are rated by the version that rated the line."""
    wallet_id = wallet.terms.id
    lines = ratable_lines(wallet_id, results, rates, rating_versions=rating_versions)
    # Two passes: the first finds lines that are new parts of an old line; the second rates them by
    # the version of that line.
    parts = {
        line.id: line_before(wallet, line.key)
        for line in lines
        if line.id not in rating_versions.lines
    }
    known = {
        id_: rating_versions.lines[old]
        for id_, old in parts.items()
        if old in rating_versions.lines
    }
    if not known:
        return lines
    rating_versions = replace(rating_versions, lines={**rating_versions.lines, **known})
    return ratable_lines(wallet_id, results, rates, rating_versions=rating_versions)


def line_before(wallet: WalletState, key: RatableKey) -> RatableSummaryId:
    """Return the id of the line in which usage was rated, or would have been."""
    segments = wallet.rates.get(key.asset_id, ())
    held = next((segment for segment in segments if segment.contains(key.segment_start)), None)
    moved = key if held is None else key._replace(segment_start=held.start)
    return line_id(wallet.terms.id, moved)


def not_reproduced() -> Unimplemented:
    """Return the refusal of a replay whose original rates do not reproduce the stored amounts."""
    text = "its rates do not give what it came to; `usage verify` says more"
    return Unimplemented("NOT_SUPPORTED", text)


def _paid(results: Iterable[SettledIncrement]) -> dict[CellId, tuple[Decimal, Decimal]]:
    return {result.increment.cell_id: (result.drawn, result.overage) for result in results}


@exact
def totals(pairs: Iterable[Pair]) -> tuple[Total, ...]:
    """Return the sums by unit; a pair without an amount is left out."""
    found: dict[UnitId, Total] = {}
    for pair in pairs:
        if pair.rated is None or pair.replayed is None:
            continue
        known = found.get(pair.unit) or Total(unit=pair.unit, rated=ZERO, replayed=ZERO, count=0)
        found[pair.unit] = Total(
            unit=pair.unit,
            rated=known.rated + pair.rated,
            replayed=known.replayed + pair.replayed,
            count=known.count + 1,
        )
    return tuple(found[unit] for unit in sorted(found))


def _discount(terms: RateTerms | None) -> tuple[tuple[Tier, ...], TierBounds] | None:
    """Return the part of a commitment's terms that changes the drawdown."""
    if terms is None or not terms.effective_tiers:
        return None
    return terms.effective_tiers, terms.bounds


def _terms_there(old: RateTerms | None, found: RateTerms | UsageError | None) -> RateTerms | None:
    """Return the book's terms with the negotiated ones, which also apply if the book has none."""
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
