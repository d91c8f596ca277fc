"""Gauges: what is held, as stored gigabytes or seats, weighted by the time for which it is held.

The figure of a window is the integral of the readings over the window, divided by its length. It is
0 before the first reading, the last reading lasts to the end of service, and a reading carries over
into the periods that follow; see `settlement.standing`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from server.domain.calendar import Period, PolicyPeriod, day_of, hour_of, local_date, local_midnight
from server.domain.consumption.cells import Cell, Measure, seconds
from server.domain.errors import Unimplemented
from server.domain.exact import PLACES, ZERO, Rounding, divide
from server.domain.ids import AssetId, RecordId


class Service(NamedTuple):
    """The number of an asset, and the time for which it is sold; without an end it goes on.

    If it draws on another wallet before or after, the time is that of this wallet; it is sold until
    `sold_until` then.
    """

    number: int
    start: datetime
    end: datetime | None
    sold_until: datetime | None = None

    def within(self, period: Period) -> Period | None:
        """Return the part of a period in which the asset is in service, if there is any."""
        start = max(period.start, self.start)
        end = period.end if self.end is None else min(period.end, self.end)
        return Period(start, end) if start < end else None


Services = Mapping[AssetId, Service]


def window_figures(
    cells: Sequence[Cell], length: PolicyPeriod, zone: str, service: Service
) -> list[Decimal]:
    """Return the figure of each window of the rating period of one series, to 12 places.

    Windows count from the first day of the rating period, and the first one begins no earlier than
    the service. Raises NOT_SUPPORTED for readings whose order within a day is not known.
    """
    whole = cells[0].period
    served = service.within(whole)
    if served is None:
        return []
    windows = [
        Period(max(window.start, served.start), window.end)
        for window in _windows(whole, length, zone)
        if window.end > served.start
    ]
    integrals = _integrals(windows, _spans(cells, served))
    return [
        divide(integral, seconds(window.end - window.start), places=PLACES, mode=Rounding.HALF_EVEN)
        for integral, window in zip(integrals, windows, strict=True)
    ]


class _Span(NamedTuple):
    """A time, and what was held in it: `value` all the time, or else the integral of a cell."""

    start: datetime
    end: datetime
    value: Decimal | None
    integral: Decimal = ZERO


def _spans(cells: Sequence[Cell], served: Period) -> Iterator[_Span]:
    """Yield the time of each cell, and the time from it to the next one or the end, in order."""
    measures = sorted((cell.measure for cell in cells), key=_order)
    for index, measure in enumerate(measures):
        if measure.held is None:
            text = "a reading before the last one of its day can be recorded, but not previewed"
            raise Unimplemented("NOT_SUPPORTED", text)
        yield _Span(measure.first_time, measure.last_time, None, measure.held)
        is_last = index + 1 == len(measures)
        until = served.end if is_last else measures[index + 1].first_time
        until = min(until, served.end)
        if until > measure.last_time:
            yield _Span(measure.last_time, until, measure.last)


def _order(measure: Measure) -> tuple[datetime, datetime, RecordId]:
    # What was carried over is before a reading at the first instant of the period.
    return measure.first_time, measure.last_time, measure.last_record_id


def _integrals(windows: Sequence[Period], spans: Iterable[_Span]) -> list[Decimal]:
    """Return the integral over each window; windows and spans are in order of time."""
    integrals = [ZERO] * len(windows)
    at = 0
    for span in spans:
        while at + 1 < len(windows) and windows[at].end <= span.start:
            at += 1
        if span.value is None:
            # A cell lies within one window.
            integrals[at] += span.integral
            continue
        index = at
        while index < len(windows) and windows[index].start < span.end:
            part = min(span.end, windows[index].end) - max(span.start, windows[index].start)
            integrals[index] += span.value * seconds(part)
            index += 1
    return integrals


def _windows(whole: Period, length: PolicyPeriod, zone: str) -> Iterator[Period]:
    """Yield the windows of a rating period; the last one may be shorter."""
    if length is PolicyPeriod.RATING_PERIOD:
        yield whole
        return
    first = local_date(zone, whole.start)
    start = whole.start
    k = 0
    while start < whole.end:
        k += 1
        if length is PolicyPeriod.HOUR:
            end = hour_of(zone, start).end
        elif length is PolicyPeriod.DAY:
            end = day_of(zone, start).end
        else:
            end = local_midnight(zone, length.cadence.nth(first, k))
        yield Period(start, min(end, whole.end))
        start = end
