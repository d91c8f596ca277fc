"""Aggregation: the increment that each cell adds to its rating period.

A cell has the usage of one series for at most one civil day; usage with other dimensions belongs to
another series, and usage in another unit to another cell. A cell's increment is
combine(1…i) − combine(1…i−1), so the increments of a rating period always add up to its combined
quantity. Increments are in the unit that the resource counts in, and never negative.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from server.domain.calendar import last_day
from server.domain.consumption.cells import Cell, Measure, Window, window
from server.domain.consumption.gauges import Service, Services, window_figures
from server.domain.exact import PLACES, ZERO, Rounding, divide, exact, round_to
from server.domain.ids import AssetId, CellId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, Combination
from server.domain.modeling.units import ScaleRounding


class Precedence(NamedTuple):
    """The end of an asset and its rate, negated: what ends first and what is dearest goes first.

    Source: R26 k.
    """

    end: datetime
    negated_rate: Decimal


NO_PRECEDENCE = Precedence(datetime.max.replace(tzinfo=UTC), ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """The quantity that one cell adds, used at `used_at`, drawn at `at`, rated as at `rated_at`.

    Of increments with the same `used_at`, a lower `precedence` is drawn first.
    """

    cell_id: CellId
    asset_id: AssetId
    asset_number: int
    used_at: datetime
    at: datetime
    rated_at: datetime
    period_start: datetime
    quantity: Decimal
    dimensions: str = ""
    precedence: Precedence = NO_PRECEDENCE


# Cells of one series are combined by the policy: an asset, its dimensions, the rating period.
Series = tuple[AssetId, str, datetime]

AssetPeriod = tuple[AssetId, datetime]
"""An asset and the start of the rating period in which its usage happened."""

# Without the times of service, an asset is in service all the time.
ALWAYS: Services = {}


class Turn(NamedTuple):
    """The position of an increment among those of its wallet."""

    period_start: datetime
    used_at: datetime
    precedence: Precedence
    asset_number: int
    dimensions: str
    cell_id: CellId


def turn(increment: Increment) -> Turn:
    """Return the sort key: period, time, precedence, asset number, dimensions, cell."""
    return Turn(
        increment.period_start,
        increment.used_at,
        increment.precedence,
        increment.asset_number,
        increment.dimensions,
        increment.cell_id,
    )


@exact
def increments(
    cells: Iterable[Cell],
    policy: AggregationPolicy,
    *,
    zone: str,
    rounding: ScaleRounding | None = None,
    services: Services = ALWAYS,
) -> tuple[Increment, ...]:
    """Return what each of `cells` adds, in the order of drawdown.

    `cells` are all those of their rating periods. A figure that can fall again (an average, a
    minimum, the latest, what is held) is added as a whole by the last cell of its asset and period,
    and rated by the terms at the end of service in the period, of which `services` has the end.
    Always: the increments of an asset and rating period add up to `combined` of all its cells,
    rounded once by `rounding`.
    """
    if not policy.method.only_grows:
        found = _added_at_the_end(cells, policy, zone, services)
    else:
        running: dict[Series, _Running] = {}
        added_by_cell: list[Increment] = []
        for cell in sorted(cells, key=_cell_turn):
            key = (cell.asset_id, cell.dimensions, cell.period.start)
            series = running.get(key)
            if series is None:
                series = running[key] = _Running(policy, zone)
            added_by_cell.append(_increment(cell, series.add(cell)))
        found = tuple(added_by_cell)
    return found if rounding is None else _rounded(found, rounding)


def _rounded(added: Sequence[Increment], rounding: ScaleRounding) -> tuple[Increment, ...]:
    """Round the usage of each asset and rating period once, over all dimensions.

    The difference goes on the latest cells, none of which falls below zero.
    """
    parts: dict[AssetPeriod, list[int]] = {}
    for index, item in enumerate(added):
        parts.setdefault((item.asset_id, item.period_start), []).append(index)
    quantities = [item.quantity for item in added]
    for indexes in parts.values():
        total = sum((quantities[index] for index in indexes), ZERO)
        left = round_to(total, *rounding) - total
        for index in reversed(indexes):
            quantity = max(quantities[index] + left, ZERO)
            left -= quantity - quantities[index]
            quantities[index] = quantity
    return tuple(
        replace(item, quantity=quantity) for item, quantity in zip(added, quantities, strict=True)
    )


@exact
def combined(
    cells: Iterable[Cell],
    policy: AggregationPolicy,
    *,
    zone: str,
    services: Services = ALWAYS,
) -> Decimal:
    """Return the quantity of the cells of one asset and origin period under `policy`."""
    if not policy.method.only_grows:
        return _whole(list(cells), policy, zone, services)
    series = _Running(policy, zone)
    for cell in cells:
        series.add(cell)
    return series.total


@dataclass(slots=True)
class _Running:
    """The combination of the cells so far of one asset and origin period."""

    policy: AggregationPolicy
    zone: str
    total: Decimal = ZERO
    windows: dict[Window, Decimal] = field(default_factory=dict)

    def add(self, cell: Cell) -> Decimal:
        """Add one more cell, and return its increment."""
        total = self.total
        if self.policy.combine is Combination.TOTAL and self.policy.method.adds_up:
            # The total of all windows is that of all cells.
            self.total = self._with(total, cell.counted)
        else:
            self.total = self._by_window(cell)
        assert self.total >= total, (cell, total)
        return self.total - total

    def _by_window(self, cell: Cell) -> Decimal:
        key = window(cell.start, cell.period.start, self.policy.period, self.zone)
        before = self.windows.get(key, ZERO)
        after = self.windows[key] = self._with(before, cell.counted)
        if self.policy.combine is Combination.TOTAL:
            return self.total + after - before
        return max(self.total, after)

    def _with(self, value: Decimal, measure: Measure) -> Decimal:
        if self.policy.method in _ADDED:
            return value + measure.sum
        if self.policy.method is AggregationMethod.COUNT:
            return value + measure.count
        return max(value, measure.max)


# UNIQUE_COUNT is a sum too: a record counts 1 if its value is new in the window, and 0 otherwise.
_ADDED = (AggregationMethod.SUM, AggregationMethod.UNIQUE_COUNT)


def _added_at_the_end(
    cells: Iterable[Cell], policy: AggregationPolicy, zone: str, services: Services
) -> tuple[Increment, ...]:
    series: dict[Series, list[Cell]] = {}
    ordered = sorted(cells, key=_cell_turn)
    for cell in ordered:
        key = (cell.asset_id, cell.dimensions, cell.period.start)
        series.setdefault(key, []).append(cell)
    whole = {found[-1].id: _whole(found, policy, zone, services) for found in series.values()}
    return tuple(
        replace(
            _increment(cell, whole.get(cell.id, ZERO)),
            rated_at=_end_of_service(cell, zone, services),
        )
        for cell in ordered
    )


def _end_of_service(cell: Cell, zone: str, services: Services) -> datetime:
    """Return the last civil day of a cell's rating period on which its asset is in service."""
    service = services.get(cell.asset_id)
    served = cell.period if service is None else service.within(cell.period)
    return cell.start if served is None else max(cell.start, last_day(zone, served))


def _whole(
    cells: Sequence[Cell], policy: AggregationPolicy, zone: str, services: Services
) -> Decimal:
    """Return the combined figure of all windows."""
    figures = _figures(cells, policy, zone, services)
    if policy.combine is Combination.TOTAL:
        return sum(figures, ZERO)
    return max(figures, default=ZERO)


def _figures(
    cells: Sequence[Cell], policy: AggregationPolicy, zone: str, services: Services
) -> list[Decimal]:
    if policy.method is AggregationMethod.TIME_WEIGHTED:
        read = [cell for cell in cells if not cell.is_empty]
        if not read:
            return []
        service = services.get(read[0].asset_id) or Service(0, read[0].period.start, None)
        return window_figures(read, policy.period, zone, service)
    windows: dict[Window, Measure] = {}
    for cell in cells:
        if not cell.measure.count:
            continue
        key = window(cell.start, cell.period.start, policy.period, zone)
        # Records are merged within a window first: an average of the averages of cells would be
        # wrong.
        known = windows.get(key)
        windows[key] = cell.counted if known is None else known.merge(cell.counted)
    return [_FIGURES[policy.method](measure) for measure in windows.values()]


def _average(measure: Measure) -> Decimal:
    return divide(measure.sum, Decimal(measure.count), places=PLACES, mode=Rounding.HALF_UP)


_FIGURES: dict[AggregationMethod, Callable[[Measure], Decimal]] = {
    AggregationMethod.AVERAGE: _average,
    AggregationMethod.MINIMUM: lambda measure: measure.min,
    AggregationMethod.LATEST: lambda measure: measure.last,
}


def _cell_turn(cell: Cell) -> Turn:
    """Return the turn of the cell's increment."""
    place = (NO_PRECEDENCE, cell.asset_number, cell.dimensions)
    return Turn(cell.period.start, cell.start, *place, cell.id)


def _increment(cell: Cell, quantity: Decimal) -> Increment:
    return Increment(
        cell_id=cell.id,
        asset_id=cell.asset_id,
        asset_number=cell.asset_number,
        used_at=cell.start,
        at=cell.start,
        rated_at=cell.start,
        period_start=cell.period.start,
        quantity=quantity,
        dimensions=cell.dimensions,
    )
