"""Packs and commitments: what else the wallets of an asset were sold, and which rate holds when.

A pack may bring rates of its own. While several hold, what was negotiated wins over what was not,
then the one that started last, and of those that started together the cheapest; when it ends the
earlier rate returns. A commitment lowers what
is used beyond it as well, unless its policy says that the anchor's rate holds again. Source:
precedence of rates, commitment policy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from server.domain.ids import AssetId
from server.domain.modelling.policies import CommitmentRate
from server.domain.pricing.rates import RateSegment, RateTerms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A pack, or a commitment with its policy, from one local midnight to another."""

    asset_id: AssetId
    start: datetime
    end: datetime | None
    terms: RateTerms | None
    commitment: CommitmentRate | None = None

    def is_open(self, at: datetime) -> bool:
        """Whether it is in force at `at`."""
        return self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """What a wallet was sold with: its assets' own terms, and what was added, each by itself.

    `discounting` are the commitments whose terms are a discount on what is drawn.
    """

    own: Mapping[AssetId, tuple[RateSegment, ...]]
    additions: tuple[Addition, ...] = ()
    discounting: frozenset[AssetId] = frozenset()

    @property
    def rates(self) -> dict[AssetId, tuple[RateSegment, ...]]:
        """What holds when."""
        return {asset_id: overlaid(own, self.additions) for asset_id, own in self.own.items()}

    @property
    def commitments(self) -> dict[AssetId, RateTerms | None]:
        """The commitments, with terms where these are a discount on what is drawn."""
        return {
            one.asset_id: one.terms if one.asset_id in self.discounting else None
            for one in self.additions
            if one.commitment is not None
        }

    def cut_like(
        self, rates: Mapping[AssetId, tuple[RateSegment, ...]]
    ) -> dict[AssetId, tuple[RateSegment, ...]]:
        """What holds when, where others held: each of their stretches is one here, or several."""
        return {asset_id: self._cut(asset_id, stretches) for asset_id, stretches in rates.items()}

    def _cut(self, asset_id: AssetId, stretches: Iterable[RateSegment]) -> tuple[RateSegment, ...]:
        own = self.own[asset_id]
        edges = {one.start for one in own} | _edges(self.additions)
        found: list[RateSegment] = []
        for stretch in stretches:
            starts = sorted({edge for edge in edges if stretch.contains(edge)} | {stretch.start})
            pieces: list[RateSegment] = []
            for start, end in zip(starts, [*starts[1:], stretch.end], strict=True):
                base = next(one for one in own if one.contains(start))
                held = in_force(base, start, self.additions)
                _append(pieces, replace(held, start=start, end=end))
            found += pieces
        return tuple(found)


def overlaid(
    segments: Sequence[RateSegment], additions: Iterable[Addition]
) -> tuple[RateSegment, ...]:
    """An asset's own terms with those of what was added, from edge to edge.

    Always: the segments together cover what they did, and nothing else.
    """
    added = [one for one in additions if one.terms is not None]
    if not added:
        return tuple(segments)
    edges = _edges(added)
    found: list[RateSegment] = []
    for segment in segments:
        inside = {edge for edge in edges if segment.contains(edge)} | {segment.start}
        starts = sorted(inside)
        for start, end in zip(starts, [*starts[1:], segment.end], strict=True):
            _append(found, replace(in_force(segment, start, added), start=start, end=end))
    return tuple(found)


def _edges(added: Iterable[Addition]) -> set[datetime]:
    return {edge for one in added for edge in (one.start, one.end) if edge is not None}


def _append(found: list[RateSegment], piece: RateSegment) -> None:
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
    pack = chosen_pack(segment.terms, at, held)
    terms = segment.terms if pack is None else pack.terms
    committed = tuple(
        replace(one.terms, commitment=one.asset_id)
        for one in sorted(held, key=_turn)
        if one.terms and one.commitment is CommitmentRate.LOWEST
    )
    if terms is not None and committed:
        terms = replace(terms, committed=committed)
    return replace(segment, terms=terms)


def chosen_pack(
    terms: RateTerms | None, at: datetime, added: Iterable[Addition]
) -> Addition | None:
    """The pack whose rate holds at `at` in the place of these terms, if one does."""
    packs = [one for one in _held(terms, at, added) if one.commitment is None]
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


def _turn(one: Addition) -> tuple[bool, timedelta, bool, Fraction, AssetId]:
    """What was negotiated comes first, then what started last, then the cheapest, then by id."""
    rate = None if one.terms is None else one.terms.effective_rate
    price = Fraction(0) if rate is None else Fraction(rate.value) / Fraction(rate.per)
    is_listed = not is_negotiated(one.terms)
    return is_listed, EPOCH - one.start, rate is None, price, one.asset_id
