"""Terms that compete with an asset's own: packs, commitments and agreements for the target.

A pack may bring its own rates. Of several packs in force, a negotiated one wins over one that was
not negotiated, then the one that started last, then the cheapest. When it ends, the earlier rate
returns.

What was negotiated on an anchor that is bound to the account, a contract or a custom target is an
agreement for that target. It also applies to the other anchors of the target, unless they have
negotiated terms of their own or a fixed rate. It applies as a whole: where only tiers were
negotiated, the rate and the adjustments by attribute are those of the line that negotiated them.
The attributes of the usage and of its own asset still choose among the adjustments. Several
agreements compete like several packs, and packs compete with an agreement as with terms negotiated
on the asset itself.

A commitment also lowers the rate of usage beyond it, unless its policy returns to the anchor's
rate. Source: precedence of rates, commitment policy.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from heapq import heappop, heappush

from server.domain.ids import AssetId, UnitId
from server.domain.modeling.policies import CommitmentRate
from server.domain.rating.rates import RateSegment, RateTerms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A pack, a commitment with its policy, or an agreement for the target from another anchor.

    It is in force from one local midnight to another.
    """

    asset_id: AssetId
    start: datetime
    end: datetime | None
    terms: RateTerms | None
    commitment: CommitmentRate | None = None
    is_agreed: bool = False

    def is_open(self, at: datetime) -> bool:
        """Return whether it is in force at `at`."""
        return self.start <= at and (self.end is None or at < self.end)


def overlaid_all(
    rates: Mapping[AssetId, Sequence[RateSegment]],
    additions: Sequence[Addition],
    *,
    is_shared: bool,
    fixed: Collection[AssetId] = (),
) -> dict[AssetId, tuple[RateSegment, ...]]:
    """Return the terms of all anchors of a wallet, each with its additions, cut at every change.

    With `is_shared` the anchors of the wallet agree terms for each other. The rates of assets in
    `fixed` do not change.
    """
    agreed = standing(agreements(rates)) if is_shared else ()
    return {
        asset_id: overlaid(segments, competing([*additions, *agreed], asset_id in fixed))
        for asset_id, segments in rates.items()
    }


def competing(additions: Iterable[Addition], is_fixed: bool) -> tuple[Addition, ...]:
    """Return the additions that compete with an asset's terms.

    Agreements do not compete with fixed terms.
    """
    return tuple(addition for addition in additions if not (is_fixed and addition.is_agreed))


def agreements(rates: Mapping[AssetId, Sequence[RateSegment]]) -> Iterator[Addition]:
    """Yield the terms that were negotiated on any of these anchors."""
    for asset_id, segments in rates.items():
        for segment in segments:
            if is_negotiated(segment.terms):
                yield Addition(
                    asset_id=asset_id,
                    start=segment.start,
                    end=segment.end,
                    terms=segment.terms,
                    is_agreed=True,
                )


def standing(agreements: Iterable[Addition]) -> tuple[Addition, ...]:
    """Return the agreements that win at some time, cut so that one is in force for each unit.

    Every anchor of the target may receive them: an anchor whose own agreement is among them has
    negotiated terms then, and agreements do not compete with those.
    """
    by_unit: dict[UnitId | None, list[Addition]] = {}
    for agreement in agreements:
        by_unit.setdefault(None if agreement.terms is None else agreement.terms.unit, []).append(
            agreement
        )
    return tuple(piece for same in by_unit.values() for piece in _in_turn(same))


def _in_turn(agreements: list[Addition]) -> Iterator[Addition]:
    edges = sorted(
        {edge for agreement in agreements for edge in (agreement.start, agreement.end) if edge}
    )
    # A sweep over the edges with a heap of open agreements: the best is on top, and an agreement
    # that has ended is dropped only when it reaches the top.
    coming = sorted(agreements, key=lambda agreement: agreement.start, reverse=True)
    held: list[tuple[Turn, Addition]] = []
    last: Addition | None = None
    for start, end in zip(edges, [*edges[1:], None], strict=True):
        while coming and coming[-1].start <= start:
            heappush(held, (_turn(coming[-1]), coming.pop()))
        while held and not held[0][1].is_open(start):
            heappop(held)
        best = held[0][1] if held else None
        # The same agreement goes on, so its piece is extended.
        if last is not None and best is not None and last.terms is best.terms:
            last = replace(last, end=end)
            continue
        if last is not None:
            yield last
        last = None if best is None else replace(best, start=start, end=end)
    if last is not None:
        yield last


def overlaid(
    segments: Sequence[RateSegment], additions: Iterable[Addition]
) -> tuple[RateSegment, ...]:
    """Return an asset's own terms overlaid with those of its additions, cut at every change.

    Always: the segments together cover the same time as before.
    """
    added = [addition for addition in additions if addition.terms is not None]
    if not added:
        return tuple(segments)
    found: list[RateSegment] = []
    for segment in segments:
        # An agreement for the target never replaces terms that were negotiated on the asset itself.
        rivals = competing(added, is_negotiated(segment.terms))
        edges = {edge for rival in rivals for edge in (rival.start, rival.end) if edge is not None}
        starts = sorted({edge for edge in edges if segment.contains(edge)} | {segment.start})
        ends = [*starts[1:], segment.end]
        for start, end, held in zip(starts, ends, _open_from(starts, rivals), strict=True):
            append_piece(found, replace(in_force(segment, start, held), start=start, end=end))
    return tuple(found)


def _open_from(
    starts: Sequence[datetime], added: Iterable[Addition]
) -> Iterator[tuple[Addition, ...]]:
    """Yield the additions that are open at each of these instants, which are in order."""
    coming = sorted(added, key=lambda addition: addition.start, reverse=True)
    there: list[Addition] = []
    for start in starts:
        while coming and coming[-1].start <= start:
            there.append(coming.pop())
        there = [addition for addition in there if addition.is_open(start)]
        yield tuple(there)


def append_piece(found: list[RateSegment], piece: RateSegment) -> None:
    """Append a piece, or extend the last one if the terms do not change."""
    if found and found[-1].end == piece.start:
        last = found[-1]
        if (last.terms, last.overage) == (piece.terms, piece.overage):
            found[-1] = replace(last, end=piece.end)
            return
    found.append(piece)


def in_force(segment: RateSegment, at: datetime, added: Iterable[Addition]) -> RateSegment:
    """Return the segment with the terms in force at `at`; additions in another unit are ignored."""
    held = _held(segment.terms, at, added)
    winner = chosen(segment.terms, at, held)
    terms = segment.terms if winner is None else brought(winner, segment.terms)
    # BOUNDED commitments are left out: their terms end with what they grant.
    committed = tuple(
        replace(addition.terms, commitment=addition.asset_id)
        for addition in sorted(held, key=_turn)
        if addition.terms and addition.commitment is CommitmentRate.LOWEST
    )
    if terms is not None and committed:
        terms = replace(terms, committed=committed)
    source = None if winner is None else winner.asset_id
    return replace(segment, terms=terms, sold_with=source)


def brought(winner: Addition, own: RateTerms | None) -> RateTerms | None:
    """Return the terms of an addition. Under an agreement the asset keeps its own attributes."""
    # A pack brings its own attributes; an agreement is about rates, not about what the asset is.
    if winner.terms is None or not winner.is_agreed:
        return winner.terms
    attributes = {} if own is None else own.attributes
    return replace(winner.terms, attributes=attributes, agreed_on=winner.asset_id)


def chosen(terms: RateTerms | None, at: datetime, added: Iterable[Addition]) -> Addition | None:
    """Return the addition that replaces these terms at `at`: a pack, an agreement, or None."""
    held = _held(terms, at, added)
    agreed = chosen_agreement(terms, at, held)
    return chosen_pack(terms if agreed is None else agreed.terms, at, held) or agreed


def chosen_agreement(
    terms: RateTerms | None, at: datetime, added: Iterable[Addition]
) -> Addition | None:
    """Return the target's agreement in force at `at`, or None if these terms were negotiated."""
    if terms is None or is_negotiated(terms):
        return None
    return best_agreement(terms.unit, at, added)


def best_agreement(unit: UnitId, at: datetime, added: Iterable[Addition]) -> Addition | None:
    """Return the winning agreement for the target in this unit at `at`."""
    there = (addition for addition in added if addition.is_agreed and addition.is_open(at))
    return min(
        (addition for addition in there if addition.terms and addition.terms.unit == unit),
        key=_turn,
        default=None,
    )


def chosen_for_target(at: datetime, added: Iterable[Addition]) -> Addition | None:
    """Return a target's addition at `at`: a negotiated pack, an agreement, or another pack."""
    return min(_rated(at, added), key=_turn_at_target, default=None)


def ranked_for_target(at: datetime, added: Iterable[Addition]) -> list[Addition]:
    """Return the packs and agreements of a target at `at`, the one that applies first."""
    return sorted(_rated(at, added), key=_turn_at_target)


def _rated(at: datetime, added: Iterable[Addition]) -> list[Addition]:
    return [
        addition
        for addition in added
        if addition.is_open(at) and addition.terms and addition.commitment is None
    ]


def _turn_at_target(addition: Addition) -> tuple[int, "Turn"]:
    is_negotiated_pack = not addition.is_agreed and is_negotiated(addition.terms)
    return (0 if is_negotiated_pack else 1 if addition.is_agreed else 2), _turn(addition)


def chosen_pack(
    terms: RateTerms | None, at: datetime, added: Iterable[Addition]
) -> Addition | None:
    """Return the pack whose rate replaces these terms at `at`, or None."""
    held = _held(terms, at, added)
    packs = [
        addition for addition in held if addition.commitment is None and not addition.is_agreed
    ]
    best = min(packs, key=_turn, default=None)
    if best is None or (is_negotiated(terms) and not is_negotiated(best.terms)):
        return None
    return best


def _held(terms: RateTerms | None, at: datetime, added: Iterable[Addition]) -> list[Addition]:
    unit = None if terms is None else terms.unit
    return [
        addition
        for addition in added
        if addition.is_open(at) and addition.terms and addition.terms.unit == unit
    ]


def is_negotiated(terms: RateTerms | None) -> bool:
    """Return whether any part of these terms was negotiated on a quote."""
    if terms is None:
        return False
    return terms.negotiated_rate is not None or terms.negotiated_tiers is not None


Turn = tuple[bool, timedelta, bool, Fraction, AssetId]


def _turn(addition: Addition) -> Turn:
    """Return the sort key: negotiated first, then the latest start, the cheapest, the id."""
    rate = None if addition.terms is None else addition.terms.effective_rate
    # A fraction, because `value / per` may have no end and comparing must not round.
    price = Fraction(0) if rate is None else Fraction(rate.value) / Fraction(rate.per)
    is_listed = not is_negotiated(addition.terms)
    return is_listed, EPOCH - addition.start, rate is None, price, addition.asset_id
