"""The terms and additions of a wallet, from which the terms in force follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from server.domain.ids import AssetId
from server.domain.rating.additions import (
    Addition,
    agreements,
    append_piece,
    competing,
    in_force,
    is_negotiated,
    overlaid_all,
    standing,
)
from server.domain.rating.rates import RateSegment, RateTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletRateSources:
    """The own terms of a wallet's assets, and its additions, each by itself.

    `discounting` are the commitments whose terms discount what is drawn. With `is_shared` its
    anchors agree terms for their target, except for assets in `fixed`.
    """

    own: Mapping[AssetId, tuple[RateSegment, ...]]
    additions: tuple[Addition, ...] = ()
    discounting: frozenset[AssetId] = frozenset()
    is_shared: bool = False
    fixed: frozenset[AssetId] = frozenset()

    @property
    def rates(self) -> dict[AssetId, tuple[RateSegment, ...]]:
        """The terms in force, as segments by asset."""
        return overlaid_all(self.own, self.additions, is_shared=self.is_shared, fixed=self.fixed)

    @property
    def commitments(self) -> dict[AssetId, RateTerms | None]:
        """The commitments, with their terms if these discount what is drawn."""
        return {
            addition.asset_id: addition.terms if addition.asset_id in self.discounting else None
            for addition in self.additions
            if addition.commitment is not None
        }

    def cut_like(
        self, rates: Mapping[AssetId, tuple[RateSegment, ...]]
    ) -> dict[AssetId, tuple[RateSegment, ...]]:
        """Return the terms in force, cut at least where the segments of `rates` are cut."""
        agreed = standing(agreements(self.own)) if self.is_shared else ()
        added = (*self.additions, *agreed)
        return {
            asset_id: _cut(stretches, self.own[asset_id], competing(added, asset_id in self.fixed))
            for asset_id, stretches in rates.items()
        }


def _cut(
    stretches: Iterable[RateSegment], own: Iterable[RateSegment], added: tuple[Addition, ...]
) -> tuple[RateSegment, ...]:
    bases = tuple(own)
    edges = {
        edge for addition in added for edge in (addition.start, addition.end) if edge is not None
    }
    edges |= {base.start for base in bases}
    found: list[RateSegment] = []
    for stretch in stretches:
        starts = sorted({edge for edge in edges if stretch.contains(edge)} | {stretch.start})
        pieces: list[RateSegment] = []
        for start, end in zip(starts, [*starts[1:], stretch.end], strict=True):
            # The whole stretch is inside the asset's own terms, so there is always one.
            base = next(base for base in bases if base.contains(start))
            held = in_force(base, start, competing(added, is_negotiated(base.terms)))
            append_piece(pieces, replace(held, start=start, end=end))
        found += pieces
    return tuple(found)
