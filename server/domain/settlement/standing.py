"""Standing cells: what is there at the start of a rating period without a record in it.

A gauge holds its last reading, and the flat amount of a first tier may be due without usage. Both
are a cell without records at the start of the period, so that it is drawn, rated, billed and
verified like all other usage.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from server.domain.calendar import Period, day_of, period_after
from server.domain.consumption.cells import NO_RECORD, Cell, Measure
from server.domain.exact import ZERO
from server.domain.ids import AssetId, CellId, RecordId, derive
from server.domain.modeling.policies import AggregationMethod, OveragePolicy
from server.domain.settlement.wallet_states import WalletState

_Series = tuple[AssetId, str]


def standing(state: WalletState, own: Iterable[Cell], into: Period) -> tuple[Cell, ...]:
    """Return the standing cells of a period; `own` are the cells of the period before it.

    A series that holds nothing, or whose asset is not in service any more, carries nothing over.
    """
    values: dict[_Series, Decimal] = dict.fromkeys(due(state, into), ZERO)
    if state.terms.aggregation.method is AggregationMethod.TIME_WEIGHTED:
        values |= _last_readings(own)
    return tuple(_standing_cells(state, values, into))


def due(state: WalletState, into: Period) -> Iterator[_Series]:
    """Yield the assets that owe a flat amount without usage in a period."""
    for asset_id, segments in state.rates.items():
        service = state.services.get(asset_id)
        served = service.within(into) if service is not None else None
        if served is None:
            continue
        segment = next((one for one in segments if one.contains(served.start)), None)
        if segment is None or segment.terms is None or segment.overage is OveragePolicy.FREE:
            continue
        if segment.terms.due is not None:
            yield asset_id, ""


def with_standing(state: WalletState, until: datetime | None = None) -> WalletState:
    """Return a wallet with the standing cells of its periods up to the current one, or to a time.

    Those of its first period are stored. The later ones follow from the usage of the periods before
    them, which may have changed since they were made.
    """
    terms = state.terms
    if not state.cells or terms.anchor is None or terms.rating is None:
        return state
    by_start: dict[datetime, list[Cell]] = {}
    for cell in state.cells:
        by_start.setdefault(cell.period.start, []).append(cell)
    period = by_start[min(by_start)][0].period
    last = state.period.start if until is None else min(state.period.start, until)
    while period.start < last:
        following = period_after(terms.zone, terms.anchor, terms.rating.cadence, period)
        used = (cell for cell in by_start.get(following.start, ()) if not is_standing(cell))
        made = standing(state, by_start.get(period.start, ()), following)
        by_start[following.start] = [*made, *used]
        period = following
    cells = (cell for own in by_start.values() for cell in own)
    return replace(state, cells=tuple(cells))


def carried_over(
    state: WalletState, cells: Iterable[Cell]
) -> Iterator[tuple[CellId, Decimal, Decimal]]:
    """Yield the readings that were carried over from each final period to the next: due, and found.

    `cells` are the final cells of a wallet; 0 stands for a cell that is not there.
    """
    if state.terms.aggregation.method is not AggregationMethod.TIME_WEIGHTED:
        return
    by_start: dict[datetime, list[Cell]] = {}
    for cell in cells:
        by_start.setdefault(cell.period.start, []).append(cell)
    for own in by_start.values():
        following = by_start.get(own[0].period.end, [])
        if not following:
            continue
        due_now = {cell.id: cell.measure.last for cell in standing(state, own, following[0].period)}
        found = {cell.id: cell.measure.last for cell in following if is_standing(cell)}
        for cell_id in due_now.keys() | found.keys():
            yield cell_id, due_now.get(cell_id, ZERO), found.get(cell_id, ZERO)


def is_standing(cell: Cell) -> bool:
    """Return whether a cell has no records because it began its period."""
    return cell.measure.count == 0 and not cell.is_empty


def _last_readings(own: Iterable[Cell]) -> dict[_Series, Decimal]:
    """Return the last reading of each series that holds something."""
    last: dict[_Series, Measure] = {}
    for cell in own:
        if cell.is_empty:
            continue
        key = (cell.asset_id, cell.dimensions)
        known = last.get(key)
        if known is None or _end(known) < _end(cell.measure):
            last[key] = cell.measure
    return {key: measure.last for key, measure in last.items() if measure.last}


def _end(measure: Measure) -> tuple[datetime, RecordId]:
    return measure.last_time, measure.last_record_id


def _standing_cells(
    state: WalletState, values: dict[_Series, Decimal], into: Period
) -> Iterator[Cell]:
    wallet_id, zone = state.terms.id, state.terms.zone
    for (asset_id, dimensions), value in values.items():
        service = state.services[asset_id]
        served = service.within(into)
        if served is None:
            continue
        apart = (dimensions,) if dimensions else ()
        yield Cell(
            id=CellId(derive(wallet_id, "standing", asset_id, into.start.isoformat(), *apart)),
            wallet_id=wallet_id,
            asset_id=asset_id,
            asset_number=service.number,
            start=served.start,
            end=day_of(zone, served.start).end,
            period=into,
            measure=Measure(
                sum=ZERO,
                count=0,
                max=value,
                min=value,
                last=value,
                last_time=served.start,
                last_record_id=NO_RECORD,
                first_time=served.start,
                held=ZERO,
            ),
            dimensions=dimensions,
        )
