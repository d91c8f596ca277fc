"""What else the wallets of an asset were sold, and which rate holds when.

A pack may bring rates of its own. While several hold, what was negotiated wins over what was not,
then the one that started last, and of those that started together the cheapest; when it ends the
earlier rate returns.

What was negotiated on an anchor that is bound to the account, a contract or a custom target is
agreed for that target: it holds for the other anchors of the target too, unless they have
something of their own that was negotiated, or a rate that is fixed. It holds as a whole: where only
tiers were negotiated, the rate beneath them is the one of the line on which they were, and so are
its adjustments by attribute; which of these fits is still for the attributes of the usage and its
own asset to say. Of several agreements one holds as of several packs, and packs compete with it as
with what was negotiated on the asset itself.

A commitment lowers what is used beyond it as well, unless its policy says that the anchor's rate
holds again. Source: precedence of rates, commitment policy.
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
    """A pack, a commitment with its policy, or what was agreed for the target on another anchor.

    It is there from one local midnight to another.
    """

    asset_id: AssetId
    start: datetime
    end: datetime | None
    terms: RateTerms | None
    commitment: CommitmentRate | None = None
    is_agreed: bool = False

    def is_open(self, at: datetime) -> bool:
        """Whether it is in force at `at`."""
        return self.start <= at and (self.end is None or at < self.end)


def overlaid_all(
    rates: Mapping[AssetId, Sequence[RateSegment]],
    additions: Sequence[Addition],
    *,
    is_shared: bool,
    fixed: Collection[AssetId] = (),
) -> dict[AssetId, tuple[RateSegment, ...]]:
    """The terms of all anchors of a wallet, each with what was added, from edge to edge.

    With `is_shared` it is that of a target for which its anchors agree; the rates of those that are
    `fixed` stay what they are.
    """
    agreed = standing(agreements(rates)) if is_shared else ()
    return {
        asset_id: overlaid(segments, competing([*additions, *agreed], asset_id in fixed))
        for asset_id, segments in rates.items()
    }


def competing(additions: Iterable[Addition], is_fixed: bool) -> tuple[Addition, ...]:
    """What competes with the terms of an asset; where these are fixed nothing that was agreed."""
    return tuple(one for one in additions if not (is_fixed and one.is_agreed))


def agreements(rates: Mapping[AssetId, Sequence[RateSegment]]) -> Iterator[Addition]:
    """What was negotiated on any of these anchors."""
    for asset_id, segments in rates.items():
        for one in segments:
            if is_negotiated(one.terms):
                yield Addition(
                    asset_id=asset_id, start=one.start, end=one.end, terms=one.terms, is_agreed=True
                )


def standing(agreements: Iterable[Addition]) -> tuple[Addition, ...]:
    """What of these holds at some time, cut so that of each unit one holds at a time.

    Any anchor of the target may be given them, since where one of its own holds it has terms that
    were negotiated, and needs none of them.
    """
    by_unit: dict[UnitId | None, list[Addition]] = {}
    for one in agreements:
        by_unit.setdefault(None if one.terms is None else one.terms.unit, []).append(one)
    return tuple(piece for same in by_unit.values() for piece in _in_turn(same))


def _in_turn(agreements: list[Addition]) -> Iterator[Addition]:
    edges = sorted({edge for one in agreements for edge in (one.start, one.end) if edge})
    coming = sorted(agreements, key=lambda one: one.start, reverse=True)
    held: list[tuple[Turn, Addition]] = []
    last: Addition | None = None
    for start, end in zip(edges, [*edges[1:], None], strict=True):
        while coming and coming[-1].start <= start:
            heappush(held, (_turn(coming[-1]), coming.pop()))
        while held and not held[0][1].is_open(start):
            heappop(held)
        best = held[0][1] if held else None
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
    """An asset's own terms with those of what was added, from edge to edge.

    Always: the segments together cover what they did, and nothing else.
    """
    added = [one for one in additions if one.terms is not None]
    if not added:
        return tuple(segments)
    found: list[RateSegment] = []
    for segment in segments:
        rivals = competing(added, is_negotiated(segment.terms))
        edges = {edge for one in rivals for edge in (one.start, one.end) if edge is not None}
        starts = sorted({edge for edge in edges if segment.contains(edge)} | {segment.start})
        ends = [*starts[1:], segment.end]
        for start, end, held in zip(starts, ends, _open_from(starts, rivals), strict=True):
            append_piece(found, replace(in_force(segment, start, held), start=start, end=end))
    return tuple(found)


def _open_from(
    starts: Sequence[datetime], added: Iterable[Addition]
) -> Iterator[tuple[Addition, ...]]:
    """What is there at each of these instants, which are in order."""
    coming = sorted(added, key=lambda one: one.start, reverse=True)
    there: list[Addition] = []
    for start in starts:
        while coming and coming[-1].start <= start:
            there.append(coming.pop())
        there = [one for one in there if one.is_open(start)]
        yield tuple(there)


def append_piece(found: list[RateSegment], piece: RateSegment) -> None:
    """Add a piece, or let the one before it go on if nothing changes."""
    if found and found[-1].end == piece.start:
        last = found[-1]
        if (last.terms, last.overage) == (piece.terms, piece.overage):
            found[-1] = replace(last, end=piece.end)
            return
    found.append(piece)


def in_force(segment: RateSegment, at: datetime, added: Iterable[Addition]) -> RateSegment:
    """The segment with the terms that hold at `at`; what is rated in another unit adds nothing."""
    held = _held(segment.terms, at, added)
    winner = chosen(segment.terms, at, held)
    terms = segment.terms if winner is None else brought(winner, segment.terms)
    committed = tuple(
        replace(one.terms, commitment=one.asset_id)
        for one in sorted(held, key=_turn)
        if one.terms and one.commitment is CommitmentRate.LOWEST
    )
    if terms is not None and committed:
        terms = replace(terms, committed=committed)
    source = None if winner is None else winner.asset_id
    return replace(segment, terms=terms, sold_with=source)


def brought(winner: Addition, own: RateTerms | None) -> RateTerms | None:
    """The terms of what was added; what was agreed of an asset's usage is still true of it."""
    if winner.terms is None or not winner.is_agreed:
        return winner.terms
    attributes = {} if own is None else own.attributes
    return replace(winner.terms, attributes=attributes, agreed_on=winner.asset_id)


def chosen(terms: RateTerms | None, at: datetime, added: Iterable[Addition]) -> Addition | None:
    """What holds at `at` in the place of these terms: a pack, else what was agreed, if anything."""
    held = _held(terms, at, added)
    agreed = chosen_agreement(terms, at, held)
    return chosen_pack(terms if agreed is None else agreed.terms, at, held) or agreed


def chosen_agreement(
    terms: RateTerms | None, at: datetime, added: Iterable[Addition]
) -> Addition | None:
    """What was agreed for the target and holds at `at`, unless these terms were negotiated."""
    if terms is None or is_negotiated(terms):
        return None
    return best_agreement(terms.unit, at, added)


def best_agreement(unit: UnitId, at: datetime, added: Iterable[Addition]) -> Addition | None:
    """What was agreed for the target in this unit and holds at `at`."""
    there = (one for one in added if one.is_agreed and one.is_open(at))
    return min(
        (one for one in there if one.terms and one.terms.unit == unit), key=_turn, default=None
    )


def chosen_for_target(at: datetime, added: Iterable[Addition]) -> Addition | None:
    """What a target has at `at`: a pack that was negotiated, what was agreed, or another pack."""
    there = [one for one in added if one.is_open(at) and one.terms and one.commitment is None]
    packs = [one for one in there if not one.is_agreed]
    best = min(packs, key=_turn, default=None)
    if best is not None and is_negotiated(best.terms):
        return best
    return min((one for one in there if one.is_agreed), key=_turn, default=None) or best


def chosen_pack(
    terms: RateTerms | None, at: datetime, added: Iterable[Addition]
) -> Addition | None:
    """The pack whose rate holds at `at` in the place of these terms, if one does."""
    held = _held(terms, at, added)
    packs = [one for one in held if one.commitment is None and not one.is_agreed]
    best = min(packs, key=_turn, default=None)
    if best is None or (is_negotiated(terms) and not is_negotiated(best.terms)):
        return None
    return best


def _held(terms: RateTerms | None, at: datetime, added: Iterable[Addition]) -> list[Addition]:
    unit = None if terms is None else terms.unit
    return [one for one in added if one.is_open(at) and one.terms and one.terms.unit == unit]


def is_negotiated(terms: RateTerms | None) -> bool:
    """Whether any part of these terms was agreed on a quote."""
    if terms is None:
        return False
    return terms.negotiated_rate is not None or terms.negotiated_tiers is not None


Turn = tuple[bool, timedelta, bool, Fraction, AssetId]


def _turn(one: Addition) -> Turn:
    """What was negotiated comes first, then what started last, then the cheapest, then by id."""
    rate = None if one.terms is None else one.terms.effective_rate
    price = Fraction(0) if rate is None else Fraction(rate.value) / Fraction(rate.per)
    is_listed = not is_negotiated(one.terms)
    return is_listed, EPOCH - one.start, rate is None, price, one.asset_id
