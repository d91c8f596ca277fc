"""Aggregation: the increment that each cell adds to its rating period.

A cell has the usage of one series for at most one civil day; usage with other dimensions belongs to
another series, and usage in another unit to another cell. A cell's increment is
combine(1…i) − combine(1…i−1), so the increments of a rating period always add up to its combined
quantity. Increments are in the unit that the resource counts in, and never negative.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

from server.domain.calendar import Period, PolicyPeriod, last_day, local_date
from server.domain.exact import EXACT, PLACES, ZERO, Rounding, divide, exact, round_to
from server.domain.ids import AssetId, CellId, RecordId, WalletId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, Combination
from server.domain.modeling.units import SAME, Ratio, ScaleRounding, counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The aggregates of a set of records. The order and grouping of merges do not matter."""

    sum: Decimal
    count: int
    max: Decimal
    min: Decimal
    last: Decimal
    last_time: datetime
    last_record_id: RecordId

    @classmethod
    def of(cls, quantity: Decimal, time: datetime, record_id: RecordId) -> "Measure":
        """Return the measure of one record."""
        return cls(
            sum=quantity,
            count=1,
            max=quantity,
            min=quantity,
            last=quantity,
            last_time=time,
            last_record_id=record_id,
        )

    def converted(self, by: Ratio) -> "Measure":
        """Return the measure with its quantities converted, each once."""
        if by is SAME:
            return self
        return replace(
            self,
            sum=counted(self.sum, by),
            max=counted(self.max, by),
            min=counted(self.min, by),
            last=counted(self.last, by),
        )

    def merge(self, other: "Measure") -> "Measure":
        """Return the measure of both sets, which have no record in common."""
        # Records of one time are ordered by their ids, so that the order of merging does not
        # matter.
        mine, theirs = (
            (self.last_time, self.last_record_id),
            (other.last_time, other.last_record_id),
        )
        latest = self if mine >= theirs else other
        return Measure(
            sum=EXACT.add(self.sum, other.sum),
            count=self.count + other.count,
            max=max(self.max, other.max),
            min=min(self.min, other.min),
            last=latest.last,
            last_time=latest.last_time,
            last_record_id=latest.last_record_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The usage of one asset, with the same dimensions and unit, in one civil day or less.

    `measure` is of the quantities as they were sent, and `ratio` converts them to the unit that the
    resource counts in. So a sum is converted once, however the usage was split into records.
    `origin_start` begins the rating period in which the usage happened; `period` is the one that
    draws and rates it. They differ for late usage, which makes the cell a correction.
    """

    id: CellId
    wallet_id: WalletId
    asset_id: AssetId
    asset_number: int
    start: datetime
    end: datetime
    origin_start: datetime
    period: Period
    measure: Measure
    dimensions: str = ""
    ratio: Ratio = SAME

    @property
    def counted(self) -> Measure:
        """The measure in the unit that the resource counts in."""
        return self.measure.converted(self.ratio)

    @property
    def is_correction(self) -> bool:
        """True if another period than its own handles the usage."""
        return self.origin_start != self.period.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """The quantity that one cell adds, used at `used_at` and drawn at `at`."""

    cell_id: CellId
    asset_id: AssetId
    asset_number: int
    used_at: datetime
    at: datetime
    period_start: datetime
    origin_start: datetime
    quantity: Decimal
    is_correction: bool
    dimensions: str = ""


# Cells of one series are combined by the policy: an asset, its dimensions, the origin period.
Series = tuple[AssetId, str, datetime]

AssetPeriod = tuple[AssetId, datetime]
"""An asset and the start of the rating period in which its usage happened."""

# The first day of a window, its place in the rating period, or the start of its hour.
Window = date | int | datetime


class Turn(NamedTuple):
    """The position of an increment among those of its wallet."""

    period_start: datetime
    is_correction: bool
    used_at: datetime
    asset_number: int
    cell_id: CellId


def turn(increment: Increment) -> Turn:
    """Return the sort key: period, own usage before corrections, time, asset number, cell."""
    return Turn(
        increment.period_start,
        increment.is_correction,
        increment.used_at,
        increment.asset_number,
        increment.cell_id,
    )


@exact
def increments(
    cells: Iterable[Cell],
    policy: AggregationPolicy,
    *,
    zone: str,
    settled: Iterable[Cell] = (),
    rounding: ScaleRounding | None = None,
) -> tuple[Increment, ...]:
    """Return what each of `cells` adds, in the order of drawdown.

    Corrections are measured against the combination of their origin period before them, so
    `settled` must have all final cells of those origins. A correction is dated at the last civil
    day of the period that handles it. A figure that can fall again (an average, a minimum, the
    latest) is added as a whole by the last cell of its asset and period. Always: the increments of
    an asset and origin, with those of `settled`, add up to `combined` of all its cells, rounded
    once by `rounding`.
    """
    if not policy.method.only_grows:
        at_the_end = _added_at_the_end(cells, policy, zone)
        return at_the_end if rounding is None else _rounded(at_the_end, {}, rounding)
    fresh = [(cell, True) for cell in cells]
    known = [(cell, False) for cell in settled]
    running: dict[Series, _Running] = {}
    before: dict[AssetPeriod, Decimal] = {}
    added_by_cell: list[Increment] = []
    # Settled cells run through the same series to reach its total; only fresh ones become
    # increments.
    for cell, is_fresh in sorted(known + fresh, key=lambda item: _cell_turn(item[0])):
        key = (cell.asset_id, cell.dimensions, cell.origin_start)
        series = running.get(key)
        if series is None:
            series = running[key] = _Running(policy, zone)
        added = series.add(cell)
        if is_fresh:
            added_by_cell.append(_increment(cell, added, zone))
        else:
            whole = (cell.asset_id, cell.origin_start)
            before[whole] = before.get(whole, ZERO) + added
    found = tuple(added_by_cell)
    return found if rounding is None else _rounded(found, before, rounding)


def _rounded(
    added: Sequence[Increment], before: Mapping[AssetPeriod, Decimal], rounding: ScaleRounding
) -> tuple[Increment, ...]:
    """Round the usage of each asset and origin period once, over all dimensions.

    The difference goes on the latest cells, none of which falls below zero. `before` is what final
    cells added.
    """
    by_whole: dict[AssetPeriod, list[int]] = {}
    for index, item in enumerate(added):
        by_whole.setdefault((item.asset_id, item.origin_start), []).append(index)
    quantities = [item.quantity for item in added]
    for whole, indexes in by_whole.items():
        old = before.get(whole, ZERO)
        total = sum((quantities[index] for index in indexes), old)
        due = round_to(total, *rounding) - round_to(old, *rounding)
        left = due - (total - old)
        for index in reversed(indexes):
            quantity = max(quantities[index] + left, ZERO)
            left -= quantity - quantities[index]
            quantities[index] = quantity
    return tuple(
        replace(item, quantity=quantity) for item, quantity in zip(added, quantities, strict=True)
    )


@exact
def combined(cells: Iterable[Cell], policy: AggregationPolicy, *, zone: str) -> Decimal:
    """Return the quantity of the cells of one asset and origin period under `policy`."""
    if not policy.method.only_grows:
        return _whole(cells, policy, zone)
    series = _Running(policy, zone)
    for cell in cells:
        series.add(cell)
    return series.total


def merged(measures: Iterable[Measure]) -> Measure:
    """Return the measure of all sets together; there must be at least one."""
    return reduce(Measure.merge, measures)


@dataclass(slots=True)
class _Running:
    """The combination of the cells so far of one asset and origin period."""

    policy: AggregationPolicy
    zone: str
    total: Decimal = ZERO
    windows: dict[Window, Decimal] = field(default_factory=dict)

    def add(self, cell: Cell) -> Decimal:
        """Add one more cell, and return its increment."""
        key = window(cell.start, cell.origin_start, self.policy.period, self.zone)
        before = self.windows.get(key, ZERO)
        after = self._with(before, cell.counted)
        self.windows[key] = after
        total = self.total
        if self.policy.combine is Combination.TOTAL:
            self.total = total + after - before
        else:
            self.total = max(total, after)
        assert self.total >= total, (cell, total)
        return self.total - total

    def _with(self, value: Decimal, measure: Measure) -> Decimal:
        if self.policy.method in _ADDED:
            return value + measure.sum
        if self.policy.method is AggregationMethod.COUNT:
            return value + measure.count
        return max(value, measure.max)


# UNIQUE_COUNT is a sum too: a record counts 1 if its value is new in the window, and 0 otherwise.
_ADDED = (AggregationMethod.SUM, AggregationMethod.UNIQUE_COUNT)


def window(start: datetime, origin_start: datetime, length: PolicyPeriod, zone: str) -> Window:
    """Return the window of a day or hour; windows count from the first day of the rating period."""
    if length is PolicyPeriod.HOUR:
        return start
    if length is PolicyPeriod.RATING_PERIOD:
        return 0
    day = local_date(zone, start)
    if length is PolicyPeriod.DAY:
        return day
    return length.cadence.index(local_date(zone, origin_start), day)


def _added_at_the_end(
    cells: Iterable[Cell], policy: AggregationPolicy, zone: str
) -> tuple[Increment, ...]:
    series: dict[Series, list[Cell]] = {}
    ordered = sorted(cells, key=_cell_turn)
    for cell in ordered:
        key = (cell.asset_id, cell.dimensions, cell.origin_start)
        series.setdefault(key, []).append(cell)
    whole = {found[-1].id: _whole(found, policy, zone) for found in series.values()}
    return tuple(_increment(cell, whole.get(cell.id, ZERO), zone) for cell in ordered)


def _whole(cells: Iterable[Cell], policy: AggregationPolicy, zone: str) -> Decimal:
    """Return the combined figure of all windows."""
    windows: dict[Window, Measure] = {}
    for cell in cells:
        key = window(cell.start, cell.origin_start, policy.period, zone)
        # Records are merged within a window first: an average of the averages of cells would be
        # wrong.
        known = windows.get(key)
        windows[key] = cell.counted if known is None else known.merge(cell.counted)
    figures = [_FIGURES[policy.method](measure) for measure in windows.values()]
    if policy.combine is Combination.TOTAL:
        return sum(figures, ZERO)
    return max(figures, default=ZERO)


def _average(measure: Measure) -> Decimal:
    return divide(measure.sum, Decimal(measure.count), places=PLACES, mode=Rounding.HALF_UP)


_FIGURES: dict[AggregationMethod, Callable[[Measure], Decimal]] = {
    AggregationMethod.AVERAGE: _average,
    AggregationMethod.MINIMUM: lambda measure: measure.min,
    AggregationMethod.LATEST: lambda measure: measure.last,
}


def _cell_turn(cell: Cell) -> Turn:
    """Return the turn of the cell's increment."""
    return Turn(cell.period.start, cell.is_correction, cell.start, cell.asset_number, cell.id)


def _increment(cell: Cell, quantity: Decimal, zone: str) -> Increment:
    return Increment(
        cell_id=cell.id,
        asset_id=cell.asset_id,
        asset_number=cell.asset_number,
        used_at=cell.start,
        at=last_day(zone, cell.period) if cell.is_correction else cell.start,
        period_start=cell.period.start,
        origin_start=cell.origin_start,
        quantity=quantity,
        is_correction=cell.is_correction,
        dimensions=cell.dimensions,
    )
