"""Days, months and periods in a time zone. No other module computes their lengths.

Instants are aware UTC datetimes. Periods are half-open: the start is in, the end is out. Periods
are counted from an anchor, never from the previous period, so that the 31st stays the 31st in every
month that has one. A civil day runs from one local midnight to the next.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from server.domain.caches import memoize
from server.domain.errors import InvalidArgument

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start` until just before `end`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        assert {self.start.tzinfo, self.end.tzinfo} == {UTC}, self
        assert self.start < self.end, self

    def contains(self, instant: datetime) -> bool:
        """Return whether `instant` is in the period; its end is not."""
        return self.start <= instant < self.end

    def split(self, at: datetime) -> "tuple[Period, ...]":
        """Return the parts before and from `at`, or the whole period if `at` is not inside."""
        if not self.start < at < self.end:
            return (self,)
        return Period(self.start, at), Period(at, self.end)

    def since(self, start: datetime) -> "Period":
        """Return the part from `start` on, or the whole period if `start` is not inside."""
        return self.split(start)[-1]


class RatingPeriod(NamedTuple):
    """A rating period from `start` until just before `end`; its usage is late from `freeze` on."""

    start: datetime
    end: datetime
    freeze: datetime

    def since(self, start: datetime) -> "RatingPeriod":
        """Return the part from `start` on, or the whole period if `start` is not inside."""
        return self._replace(start=start) if self.start < start < self.end else self


class Days(NamedTuple):
    """Consecutive civil days, from `start` until the day before `end`."""

    start: date
    end: date

    @staticmethod
    def around(day: date, edges: Sequence[date]) -> "Days":
        """Return the days around `day` between two edges; `edges` are sorted."""
        after = bisect_right(edges, day)
        start = edges[after - 1] if after > 0 else date.min
        return Days(start, edges[after] if after < len(edges) else date.max)

    def meet(self, other: "Days") -> "Days":
        """Return the days that both have; they must have one in common."""
        return Days(max(self.start, other.start), min(self.end, other.end))


class CadenceUnit(StrEnum):
    """The unit of a cadence."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    QUARTER = "QUARTER"
    HALF_YEAR = "HALF_YEAR"
    YEAR = "YEAR"


_DAYS = {CadenceUnit.DAY: 1, CadenceUnit.WEEK: 7}
_MONTHS = {
    CadenceUnit.MONTH: 1,
    CadenceUnit.QUARTER: 3,
    CadenceUnit.HALF_YEAR: 6,
    CadenceUnit.YEAR: 12,
}


@dataclass(frozen=True, slots=True)
class Cadence:
    """Every `count` days, weeks, months, quarters, half-years or years."""

    unit: CadenceUnit
    count: int = 1

    def __post_init__(self) -> None:
        assert self.count > 0, self

    @property
    def months(self) -> int:
        """The length in months; 0 for cadences of days."""
        return _MONTHS.get(self.unit, 0) * self.count

    @property
    def days(self) -> int:
        """The length in days; 0 for cadences of months."""
        return _DAYS.get(self.unit, 0) * self.count

    def nth(self, anchor: date, k: int) -> date:
        """Return the `k`-th date from `anchor`, which is the zeroth; `k` may be negative."""
        return add_months(anchor, self.months * k) + timedelta(days=self.days * k)

    def index(self, anchor: date, day: date) -> int:
        """Return the greatest `k` with `nth(anchor, k)` on or before `day`."""
        if self.days:
            return (day - anchor).days // self.days
        months = (day.year - anchor.year) * 12 + day.month - anchor.month
        k = months // self.months
        # The month count ignores the day of the month, so the estimate may be one too high.
        return k - 1 if self.nth(anchor, k) > day else k


class PolicyPeriod(StrEnum):
    """The length of a window of usage, from short to long; RATING_PERIOD is the whole of one."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"
    RATING_PERIOD = "RATING_PERIOD"

    @property
    def cadence(self) -> Cadence:
        """The same length as a cadence; HOUR and RATING_PERIOD have none."""
        return _CADENCES[self]

    @property
    def adverb(self) -> str:
        """The adverb, as in `monthly`."""
        if self is PolicyPeriod.RATING_PERIOD:
            return "by-rating-period"
        return "daily" if self is PolicyPeriod.DAY else f"{self.lower()}ly"

    @property
    def length(self) -> int:
        """The rank by length: the longer, the higher."""
        return list(PolicyPeriod).index(self)


_CADENCES = {
    PolicyPeriod.DAY: Cadence(CadenceUnit.DAY),
    PolicyPeriod.WEEK: Cadence(CadenceUnit.WEEK),
    PolicyPeriod.MONTH: Cadence(CadenceUnit.MONTH),
    PolicyPeriod.QUARTER: Cadence(CadenceUnit.QUARTER),
    PolicyPeriod.YEAR: Cadence(CadenceUnit.YEAR),
}


class DelayUnit(StrEnum):
    """DAYS are civil days in a time zone, HOURS are elapsed hours."""

    DAYS = "DAYS"
    HOURS = "HOURS"


@dataclass(frozen=True, slots=True)
class Delay:
    """The time after its end in which a rating period still accepts usage."""

    count: int
    unit: DelayUnit = DelayUnit.DAYS


@memoize(entries=1_024, entry_bytes=65_536)
def zone_info(zone: str) -> ZoneInfo:
    """Return the zone with this IANA name. Raises `TIME_ZONE`."""
    try:
        return ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as error:
        raise InvalidArgument.at(
            "time_zone",
            "TIME_ZONE",
            f"{zone!r} is not an IANA time zone",
            time_zone=zone,
        ) from error


@memoize(entries=65_536, entry_bytes=512)
def local_midnight(zone: str, day: date) -> datetime:
    """Return the instant at which `day` begins in `zone`.

    If the clock skips midnight, it is the first instant after the gap; if midnight comes twice, it
    is the first of the two.
    """
    info = zone_info(zone)
    midnight = datetime.combine(day, time(), info)
    first = midnight.astimezone(UTC)
    # Converting there and back changes the clock time only inside a gap.
    if first.astimezone(info).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return first
    return _first_after_gap(info, midnight)


def _first_after_gap(info: ZoneInfo, midnight: datetime) -> datetime:
    """Return the first whole second, as UTC, at which the clock shows `midnight` or later."""
    before = midnight.replace(fold=1).astimezone(UTC)
    after = midnight.astimezone(UTC)
    wanted = midnight.replace(tzinfo=None)
    # A binary search, because `zoneinfo` does not expose its transitions.
    while after - before > SECOND:
        middle = before + (after - before) // (2 * SECOND) * SECOND
        if middle.astimezone(info).replace(tzinfo=None) < wanted:
            before = middle
        else:
            after = middle
    return after


def local_date(zone: str, instant: datetime) -> date:
    """Return the civil day of `instant`: the day whose midnight came last.

    This is the date on the clock, except in the minutes that some zones repeat around midnight.
    """
    day = instant.astimezone(zone_info(zone)).date()
    following = day + DAY
    return following if local_midnight(zone, following) <= instant else day


def day_of(zone: str, instant: datetime) -> Period:
    """Return the civil day around `instant`, which has 23 to 25 hours in most zones."""
    day = local_date(zone, instant)
    return Period(local_midnight(zone, day), local_midnight(zone, day + DAY))


def hour_of(zone: str, instant: datetime) -> Period:
    """Return the hour around `instant`, counted from local midnight.

    The last hour of a day may be shorter.
    """
    day = day_of(zone, instant)
    start = day.start + (instant - day.start) // HOUR * HOUR
    return Period(start, min(start + HOUR, day.end))


def add_months(anchor: date, months: int) -> date:
    """Return `anchor` plus months; a day that the month lacks becomes the month's last day."""
    total = anchor.year * 12 + anchor.month - 1 + months
    year, month = total // 12, total % 12 + 1
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


def anchor_date(day: int, on_or_before: date) -> date:
    """Return the latest date with this day of the month (1 to 31), on or before a date.

    Counting from it keeps the 31st, because it is never a clamped date.
    """
    # Twelve months back include every day of the month, also the 31st.
    candidates = (add_months(on_or_before.replace(day=1), -back) for back in range(12))
    return next(
        month.replace(day=day)
        for month in candidates
        if monthrange(month.year, month.month)[1] >= day and month.replace(day=day) <= on_or_before
    )


def period_containing(zone: str, anchor: date, cadence: Cadence, instant: datetime) -> Period:
    """Return the period of this cadence, counted from `anchor`, around `instant`."""
    return _period_of_day(zone, anchor, cadence, local_date(zone, instant))


@memoize(entries=65_536, entry_bytes=1_024)
def _period_of_day(zone: str, anchor: date, cadence: Cadence, day: date) -> Period:
    k = cadence.index(anchor, day)
    start, end = cadence.nth(anchor, k), cadence.nth(anchor, k + 1)
    return Period(local_midnight(zone, start), local_midnight(zone, end))


def period_after(zone: str, anchor: date, cadence: Cadence, period: Period) -> Period:
    """Return the period that begins where `period` ends."""
    return period_containing(zone, anchor, cadence, period.end)


def rating_period(zone: str, anchor: date, length: PolicyPeriod, instant: datetime) -> Period:
    """Return the rating period around `instant`, counted from `anchor`."""
    return period_containing(zone, anchor, length.cadence, instant)


def last_day(zone: str, period: Period) -> datetime:
    """Return the midnight at which the last civil day of `period` begins."""
    # The last instant of the period, because its end belongs to the next day.
    return max(period.start, day_of(zone, period.end - timedelta(microseconds=1)).start)


def freeze_time(zone: str, end: datetime, delay: Delay) -> datetime:
    """Return the instant from which usage of a rating period that ends at `end` is late."""
    match delay.unit:
        case DelayUnit.HOURS:
            return end + delay.count * HOUR
        case DelayUnit.DAYS:
            return local_midnight(zone, local_date(zone, end) + delay.count * DAY)
