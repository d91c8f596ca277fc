"""Summaries: from settled usage to lines that can be rated, and from those to invoice lines.

A ratable line is one asset's usage of one origin period under one set of terms, with its amount to
24 places. A liable line gathers the ratable lines of a billing period that belong together; it is
where money is rounded, once. A total is the sum of rounded lines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from server.domain.consumption.dimensions import dimensions_of
from server.domain.exact import INTEGER_DIGITS, ZERO, exact
from server.domain.ids import (
    AssetId,
    CellId,
    RatableSummaryId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import OveragePolicy
from server.domain.modeling.units import LIMIT
from server.domain.rating.compiled_rating import (
    SHIPPED,
    CompiledRating,
    RatingVersionSource,
    VersionKey,
    not_in_force,
)
from server.domain.rating.line_rating import Rated, RatingFailed, WaterfallStep
from server.domain.rating.procedures.packages import Packaged, Packages
from server.domain.rating.procedures.state import Line
from server.domain.rating.procedures.waterfall import Outcome
from server.domain.rating.rates import RateSegment, RateTerms
from server.domain.settlement.walk import SettledIncrement

Rates = Mapping[AssetId, tuple[RateSegment, ...]]
"""The terms of each asset, as segments that neither overlap nor leave a gap."""

Origin = tuple[AssetId, datetime]
"""An asset and the start of a rating period in which it was used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What of an origin is rated already: all that was used, what of it was overage, packages."""

    used: Decimal = ZERO
    overage: Decimal = ZERO
    packages: Packages = field(default_factory=dict)

    def copy(self) -> "Tally":
        """Another, to whose packages lines may add what they begin."""
        return replace(self, packages=dict(self.packages))


class RatableKey(NamedTuple):
    """What makes a ratable line, in the order of the lines."""

    period_start: datetime
    is_correction: bool
    origin_start: datetime
    asset_number: int
    asset_id: AssetId
    segment_start: datetime
    dimensions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatableLine:
    """Usage that one set of terms prices; `before` is what of its origin is rated already, and
    `origin_used` all that its origin used.

    `version` is that of the procedure which rated it; None is the one that is shipped. Without an
    amount, `failure` says why, and `failure_text` in words.
    """

    id: RatableSummaryId
    wallet_id: WalletId
    key: RatableKey
    terms: RateTerms | None
    overage_policy: OveragePolicy
    cell_ids: tuple[CellId, ...]
    used: Decimal
    drawn: Decimal
    overage: Decimal
    tier_quantity: Decimal
    before: Decimal = ZERO
    packaged: tuple[Packaged, ...] = ()
    origin_used: Decimal = ZERO
    net_unit_rate: Decimal | None
    amount: Decimal | None
    steps: tuple[WaterfallStep, ...]
    failure: str | None = None
    failure_text: str = ""
    version: VersionKey | None = None


@exact
def ratable_lines(
    wallet_id: WalletId,
    results: Iterable[SettledIncrement],
    rates: Rates,
    *,
    rated_before: Mapping[Origin, Tally] | None = None,
    raters: RatingVersionSource = SHIPPED,
) -> tuple[RatableLine, ...]:
    """Rate the settled usage of one wallet: own usage first, then corrections, period by period.

    `raters` say by which procedure; the lines of one period that have the same go through it
    together.

    Usage is priced by the terms in force when it happened. A VOLUME tier is picked by all overage
    of the (asset, origin period) known by then; GRADUATED tiers go on where the line before it
    stopped, and so does a package, as long as the rate is the same. `rated_before` is what of
    corrected origins is rated already. What cannot be priced becomes a line with a failure, never
    a zero.
    """
    groups = _grouped(results, rates)
    tallies = {origin: tally.copy() for origin, tally in (rated_before or {}).items()}
    sized: list[_Sized] = []
    for origin, keys in _by_origin(groups):
        tally = tallies.get(origin, Tally())
        before = tally.overage
        whole = before + sum((groups[key].overage for key in keys), ZERO)
        used = tally.used + sum((groups[key].used for key in keys), ZERO)
        for key in keys:
            sizes = _Sizes(whole=whole, before=before, packages=tally.packages, used=used)
            id_ = line_id(wallet_id, key)
            rater = raters.of(id_, key.origin_start)
            sized.append(_Sized(id_, key, groups[key], sizes, rater))
            before += groups[key].overage
        tallies[origin] = replace(tally, used=used, overage=whole)
    outcomes = _outcomes(sized)
    return tuple(_rated_line(wallet_id, one, outcomes[one.id]) for one in sized)


@dataclass(slots=True)
class _Group:
    """The results that one ratable line is made of."""

    segment: RateSegment | None
    cell_ids: list[CellId] = field(default_factory=list)
    drawn: Decimal = ZERO
    overage: Decimal = ZERO

    @property
    def used(self) -> Decimal:
        return self.drawn + self.overage

    def add(self, result: SettledIncrement) -> None:
        self.cell_ids.append(result.increment.cell_id)
        self.drawn += result.drawn
        self.overage += result.overage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    """Of an asset and origin: all overage, what of it comes before a line, and all usage.

    All lines of it share the packages that were begun.
    """

    whole: Decimal
    before: Decimal
    packages: Packages
    used: Decimal


@dataclass(frozen=True, slots=True)
class _Sized:
    """A line that is to be rated, and by what."""

    id: RatableSummaryId
    key: RatableKey
    group: _Group
    sizes: _Sizes
    rater: CompiledRating | None

    @property
    def terms(self) -> RateTerms | None:
        return self.group.segment.terms if self.group.segment else None

    @property
    def policy(self) -> OveragePolicy:
        return self.group.segment.overage if self.group.segment else OveragePolicy.CHARGE

    @property
    def overflow(self) -> RatingFailed | None:
        """Why the line cannot be rated: procedures count with quantities of up to 26 digits."""
        if max(self.group.used, self.sizes.whole, self.sizes.used) < LIMIT:
            return None
        asset = str(self.key.asset_id)
        text = f"the usage of the asset {asset} adds up to more than {INTEGER_DIGITS} digits"
        return RatingFailed("AGGREGATE_OVERFLOW", text, {"asset": asset})

    @property
    def line(self) -> Line:
        return Line(
            quantity=self.group.overage,
            terms=self.terms,
            tier_quantity=self.sizes.whole,
            before=self.sizes.before,
            packages=self.sizes.packages,
            used=self.sizes.used,
            overage=self.policy,
            attributes=dimensions_of(self.key.dimensions),
        )


def _grouped(results: Iterable[SettledIncrement], rates: Rates) -> dict[RatableKey, _Group]:
    groups: dict[RatableKey, _Group] = {}
    for result in results:
        increment = result.increment
        segments = rates.get(increment.asset_id, ())
        segment = next((s for s in segments if s.contains(increment.used_at)), None)
        key = RatableKey(
            increment.period_start,
            increment.is_correction,
            increment.origin_start,
            increment.asset_number,
            increment.asset_id,
            segment.start if segment else increment.origin_start,
            increment.dimensions,
        )
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(segment)
        group.add(result)
    return groups


def _by_origin(groups: Iterable[RatableKey]) -> list[tuple[Origin, list[RatableKey]]]:
    """The keys in order, those of one period, asset and origin together."""
    found: dict[tuple[datetime, Origin], list[RatableKey]] = {}
    for key in sorted(groups):
        origin = (key.asset_id, key.origin_start)
        found.setdefault((key.period_start, origin), []).append(key)
    return [(origin, keys) for (_, origin), keys in found.items()]


def _outcomes(sized: Iterable[_Sized]) -> dict[RatableSummaryId, Outcome]:
    """What the lines come to, those of one period and version together."""
    found: dict[RatableSummaryId, Outcome] = {}
    runs: dict[tuple[datetime, VersionKey | None], list[_Sized]] = {}
    for one in sized:
        overflow = one.overflow
        if overflow is not None:
            found[one.id] = overflow
        elif one.rater is None:
            found[one.id] = not_in_force(one.key.origin_start)
        else:
            runs.setdefault((one.key.period_start, one.rater.key), []).append(one)
    for some in runs.values():
        rater = some[0].rater
        assert rater is not None, some
        outcomes = rater.rate([one.line for one in some])
        found.update(zip((one.id for one in some), outcomes, strict=True))
    return found


def _rated_line(wallet_id: WalletId, one: _Sized, outcome: Outcome) -> RatableLine:
    group, sizes = one.group, one.sizes
    rated = outcome if isinstance(outcome, Rated) else None
    failed = outcome if isinstance(outcome, RatingFailed) else None
    return RatableLine(
        id=one.id,
        wallet_id=wallet_id,
        key=one.key,
        terms=one.terms,
        overage_policy=one.policy,
        cell_ids=tuple(group.cell_ids),
        used=group.used,
        drawn=group.drawn,
        overage=group.overage,
        tier_quantity=sizes.whole,
        before=sizes.before,
        packaged=rated.packaged if rated else (),
        origin_used=sizes.used,
        net_unit_rate=rated.net_unit_rate if rated else None,
        amount=rated.amount if rated else None,
        steps=outcome.steps,
        failure=failed.reason if failed else None,
        failure_text=failed.message if failed else "",
        version=one.rater.key if one.rater else None,
    )


def line_id(wallet_id: WalletId, key: RatableKey) -> RatableSummaryId:
    """The id of the one line of a wallet with this key."""
    times = (key.period_start, key.origin_start, key.segment_start)
    texts = [instant.isoformat() for instant in times]
    texts += [key.dimensions] if key.dimensions else []
    return RatableSummaryId(derive(wallet_id, "ratable", key.asset_id, *texts))
