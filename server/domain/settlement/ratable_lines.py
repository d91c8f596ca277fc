"""Ratable lines: settled usage, grouped by terms and rated.

A ratable line is one asset's usage of one rating period under one set of terms, with its amount to
24 places. Liable lines, which `billing.liable_lines` makes of them, round money once.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
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
from server.domain.rating.procedures.flat_amounts import FlatTiers
from server.domain.rating.procedures.packages import Packaged, Packages
from server.domain.rating.procedures.state import Line
from server.domain.rating.procedures.waterfall import Outcome
from server.domain.rating.rates import RateSegment, RateTerms
from server.domain.settlement.walk import SettledIncrement

Rates = Mapping[AssetId, tuple[RateSegment, ...]]
"""The terms of each asset, as segments without overlaps or gaps."""


@dataclass(slots=True)
class _Tally:
    """The packages that lines of an asset and period began, and the tiers with a charged amount."""

    packages: Packages = field(default_factory=dict)
    flat_tiers: FlatTiers = field(default_factory=set)


class UsageKey(NamedTuple):
    """The usage that ratable lines share: an asset's, of one period, terms and dimension values."""

    asset_id: AssetId
    origin_start: datetime
    segment_start: datetime
    dimensions: str


class RatableKey(NamedTuple):
    """The key of a ratable line; lines are sorted by it.

    The usage happened in the rating period from `origin_start`. A line that the close of that
    period made belongs to it; a correction belongs to the later period from `period_start`.
    """

    period_start: datetime
    is_correction: bool
    origin_start: datetime
    asset_number: int
    asset_id: AssetId
    segment_start: datetime
    dimensions: str = ""

    @property
    def usage(self) -> UsageKey:
        """The key of the usage, which a line and its corrections share."""
        return UsageKey(self.asset_id, self.origin_start, self.segment_start, self.dimensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatableLine:
    """Usage that one set of terms prices.

    `before` is the overage of its period that was rated before it, and `origin_used` all usage of
    its period. `version` is the procedure version that rated it; None is the shipped one. A line
    without an amount has the reason in `failure`, and the message in `failure_text`. `corrects` is
    the line whose usage a correction changes; its figures are differences. `billed_from` is the
    start of its usage's period, cut to the service as it was when the usage was billed first.
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
    flat_tiers: tuple[Decimal, ...] = ()
    flat_before: frozenset[Decimal] = frozenset()
    origin_used: Decimal = ZERO
    net_unit_rate: Decimal | None
    amount: Decimal | None
    steps: tuple[WaterfallStep, ...]
    failure: str | None = None
    failure_text: str = ""
    version: VersionKey | None = None
    corrects: RatableSummaryId | None = None
    billed_from: datetime | None = None


@exact
def ratable_lines(
    wallet_id: WalletId,
    results: Iterable[SettledIncrement],
    rates: Rates,
    *,
    rating_versions: RatingVersionSource = SHIPPED,
) -> tuple[RatableLine, ...]:
    """Rate the settled usage of whole rating periods of one wallet.

    `rating_versions` chooses the procedure version of each line. The lines of one period with the
    same version are rated together, because elements of a procedure may read the whole list.

    Usage is priced by the terms in force when it happened. All overage of the asset and period
    picks a VOLUME tier. GRADUATED tiers continue where the line before stopped, and so does a
    package while the rate is the same. The flat amount of a tier is charged once for an asset and
    period, by the first of its lines that is priced in the tier. Usage that cannot be priced
    becomes a line with a failure, never an amount of zero.
    """
    groups = _grouped(results, rates)
    sized: list[_Sized] = []
    for keys in _by_origin(groups):
        # Rating a line adds the packages and the tiers that it begins.
        tally, before = _Tally(), ZERO
        whole = sum((groups[key].overage for key in keys), ZERO)
        used = sum((groups[key].used for key in keys), ZERO)
        for key in keys:
            sizes = _Sizes(whole=whole, before=before, tally=tally, used=used)
            id_ = line_id(wallet_id, key)
            rater = rating_versions.of(id_, key.origin_start)
            sized.append(_Sized(id_, key, groups[key], sizes, rater))
            before += groups[key].overage
    outcomes = _outcomes(sized)
    lines = [_rated_line(wallet_id, sized_line, outcomes[sized_line.id]) for sized_line in sized]
    labeled = {(line.key.asset_id, line.key.origin_start) for line in lines if line.key.dimensions}
    return tuple(line for line in lines if not _is_idle(line, labeled))


def _is_idle(line: RatableLine, labeled: Set[tuple[AssetId, datetime]]) -> bool:
    """Return whether a line stands for what is due without usage, and usage was charged for it."""
    if line.key.dimensions or line.used or line.amount != ZERO:
        return False
    return (line.key.asset_id, line.key.origin_start) in labeled


@dataclass(slots=True)
class _Group:
    """The results that make one ratable line."""

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
    """The quantities of an asset and period: all overage, the overage before a line, and all usage.

    All lines of the period share the packages and tiers of the `tally` that were begun.
    """

    whole: Decimal
    before: Decimal
    tally: _Tally
    used: Decimal


@dataclass(frozen=True, slots=True)
class _Sized:
    """A line that is not rated yet, and the compiled procedure that will rate it."""

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
        # Without terms the policy is unknown. CHARGE makes the missing rate a failure; FREE would
        # hide it.
        return self.group.segment.overage if self.group.segment else OveragePolicy.CHARGE

    @property
    def overflow(self) -> RatingFailed | None:
        """The failure of a line with a quantity of more than 26 digits, or None."""
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
            packages=self.sizes.tally.packages,
            flat_tiers=self.sizes.tally.flat_tiers,
            used=self.sizes.used,
            overage=self.policy,
            attributes=dimensions_of(self.key.dimensions),
        )


def _grouped(results: Iterable[SettledIncrement], rates: Rates) -> dict[RatableKey, _Group]:
    groups: dict[RatableKey, _Group] = {}
    for result in results:
        increment = result.increment
        segments = rates.get(increment.asset_id, ())
        segment = next((s for s in segments if s.contains(increment.rated_at)), None)
        key = RatableKey(
            increment.period_start,
            False,
            increment.period_start,
            increment.asset_number,
            increment.asset_id,
            # Usage without terms still makes a line, which fails: it must not disappear.
            segment.start if segment else increment.period_start,
            increment.dimensions,
        )
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(segment)
        group.add(result)
    return groups


def _by_origin(groups: Iterable[RatableKey]) -> Iterable[list[RatableKey]]:
    """Return the sorted keys, grouped by period and asset."""
    by_origin: dict[tuple[datetime, AssetId], list[RatableKey]] = {}
    for key in sorted(groups):
        by_origin.setdefault((key.origin_start, key.asset_id), []).append(key)
    return by_origin.values()


def _outcomes(sized: Iterable[_Sized]) -> dict[RatableSummaryId, Outcome]:
    """Return the outcome of each line; lines of one period and version are rated in one run."""
    outcomes_by_id: dict[RatableSummaryId, Outcome] = {}
    runs: dict[tuple[datetime, VersionKey | None], list[_Sized]] = {}
    for sized_line in sized:
        overflow = sized_line.overflow
        if overflow is not None:
            outcomes_by_id[sized_line.id] = overflow
        elif sized_line.rater is None:
            outcomes_by_id[sized_line.id] = not_in_force(sized_line.key.origin_start)
        else:
            runs.setdefault((sized_line.key.period_start, sized_line.rater.key), []).append(
                sized_line
            )
    for run in runs.values():
        rater = run[0].rater
        assert rater is not None, run
        outcomes = rater.rate([sized_line.line for sized_line in run])
        outcomes_by_id.update(zip((sized_line.id for sized_line in run), outcomes, strict=True))
    return outcomes_by_id


def _rated_line(wallet_id: WalletId, sized: _Sized, outcome: Outcome) -> RatableLine:
    group, sizes = sized.group, sized.sizes
    rated = outcome if isinstance(outcome, Rated) else None
    failed = outcome if isinstance(outcome, RatingFailed) else None
    return RatableLine(
        id=sized.id,
        wallet_id=wallet_id,
        key=sized.key,
        terms=sized.terms,
        overage_policy=sized.policy,
        cell_ids=tuple(group.cell_ids),
        used=group.used,
        drawn=group.drawn,
        overage=group.overage,
        tier_quantity=sizes.whole,
        before=sizes.before,
        packaged=rated.packaged if rated else (),
        flat_tiers=rated.flat_tiers if rated else (),
        flat_before=rated.flat_before if rated else frozenset(),
        origin_used=sizes.used,
        # For display only: a large flat amount on a tiny quantity has no rate that can be stored.
        net_unit_rate=rated.net_unit_rate if rated and rated.net_unit_rate < LIMIT else None,
        amount=rated.amount if rated else None,
        steps=outcome.steps,
        failure=failed.reason if failed else None,
        failure_text=failed.message if failed else "",
        version=sized.rater.key if sized.rater else None,
    )


def line_id(wallet_id: WalletId, key: RatableKey) -> RatableSummaryId:
    """Return the id derived for the ratable line of a wallet with this key."""
    # Derived, so that rating usage again gives the same ids.
    times = (key.period_start, key.origin_start, key.segment_start)
    texts = [instant.isoformat() for instant in times]
    texts += [key.dimensions] if key.dimensions else []
    return RatableSummaryId(derive(wallet_id, "ratable", key.asset_id, *texts))
