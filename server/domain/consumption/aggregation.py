"""From usage to increments: what each cell adds to its rating period.

A cell holds the usage of one series for at most one civil day. Usage that differs in dimensions is
of different series. Its increment is what combining
cells 1…i by the policy exceeds combining cells 1…i−1, so the increments of a rating period always
sum to its combined quantity. Quantities are in the resource's default unit and never negative.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

from server.domain.calendar import Period, PolicyPeriod, last_day, local_date
from server.domain.exact import EXACT, PLACES, ZERO, Rounding, divide, exact
from server.domain.ids import AssetId, CellId, RecordId, WalletId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, Combination


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is kept of a set of records. Merging in any order and grouping gives the same."""

    sum: Decimal
    count: int
    max: Decimal
    min: Decimal
    last: Decimal
    last_time: datetime
    last_record_id: RecordId

    @classmethod
    def of(cls, quantity: Decimal, time: datetime, record_id: RecordId) -> "Measure":
        """The measure of one record."""
        return cls(
            sum=quantity,
            count=1,
            max=quantity,
            min=quantity,
            last=quantity,
            last_time=time,
            last_record_id=record_id,
        )

    def merge(self, other: "Measure") -> "Measure":
        """The measure of both sets, which have no record in common."""
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
    """The usage of one asset, with the same dimensions, in one civil day or less.

    `origin_start` begins the rating period in which the usage happened; `period` is the one in
    which it is drawn and rated. They differ for late usage, which makes the cell a correction.
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

    @property
    def is_correction(self) -> bool:
        """Whether the usage came after its own period was frozen."""
        return self.origin_start != self.period.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """What one cell adds: `used_at` is when it was used, `at` when it is drawn."""

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


# What combines by the policy: an asset, its dimensions, the rating period of the usage.
Series = tuple[AssetId, str, datetime]

# The first day of a window, its place in the rating period, or the start of its hour.
Window = date | int | datetime


class Turn(NamedTuple):
    """The place of an increment among those of its wallet."""

    period_start: datetime
    is_correction: bool
    used_at: datetime
    asset_number: int
    cell_id: CellId


def turn(increment: Increment) -> Turn:
    """Period by period; own usage before corrections; then by time, asset and cell."""
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
) -> tuple[Increment, ...]:
    """What each of `cells` adds, in the order in which it is drawn.

    A figure that may become smaller again – an average, a minimum, the latest – is added whole by
    the last cell of its asset and period.
    Corrections are measured against what their origin period combined to before them, so `settled`
    must hold all cells of those origins that are final already. A correction is dated at the last
    civil day of the period that handles it. Always: the increments of an asset and origin, with
    those of `settled`, sum to `combined` of all its cells.
    """
    if not policy.method.only_grows:
        return _added_at_the_end(cells, policy, zone)
    fresh = [(cell, True) for cell in cells]
    known = [(cell, False) for cell in settled]
    running: dict[Series, _Running] = {}
    found: list[Increment] = []
    for cell, is_fresh in sorted(known + fresh, key=lambda item: _cell_turn(item[0])):
        key = (cell.asset_id, cell.dimensions, cell.origin_start)
        series = running.get(key)
        if series is None:
            series = running[key] = _Running(policy, zone)
        added = series.add(cell)
        if is_fresh:
            found.append(_increment(cell, added, zone))
    return tuple(found)


@exact
def combined(cells: Iterable[Cell], policy: AggregationPolicy, *, zone: str) -> Decimal:
    """What the cells of one asset and one origin period amount to under `policy`."""
    if not policy.method.only_grows:
        return _whole(cells, policy, zone)
    series = _Running(policy, zone)
    for cell in cells:
        series.add(cell)
    return series.total


def merged(measures: Iterable[Measure]) -> Measure:
    """The measure of all sets together; there must be at least one."""
    return reduce(Measure.merge, measures)


@dataclass(slots=True)
class _Running:
    """The combination of the cells seen so far of one asset and origin period."""

    policy: AggregationPolicy
    zone: str
    total: Decimal = ZERO
    windows: dict[Window, Decimal] = field(default_factory=dict)

    def add(self, cell: Cell) -> Decimal:
        """Take one more cell; answer with what it adds to the total."""
        key = window(cell.start, cell.origin_start, self.policy.period, self.zone)
        before = self.windows.get(key, ZERO)
        after = self._with(before, cell.measure)
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


# A record whose value is new in its window counts one, every other none.
_ADDED = (AggregationMethod.SUM, AggregationMethod.UNIQUE_COUNT)


def window(start: datetime, origin_start: datetime, length: PolicyPeriod, zone: str) -> Window:
    """The window of a day or hour within its rating period, from whose first day they count."""
    if length is PolicyPeriod.HOUR:
        return start
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
    """The figures of all windows together."""
    windows: dict[Window, Measure] = {}
    for cell in cells:
        key = window(cell.start, cell.origin_start, policy.period, zone)
        known = windows.get(key)
        windows[key] = cell.measure if known is None else known.merge(cell.measure)
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
    """The turn of the cell's increment."""
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
