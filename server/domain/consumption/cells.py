"""Cells: the usage of one series in one civil day or less, and what is known of its records."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import reduce

from server.domain.calendar import Period, PolicyPeriod, local_date
from server.domain.exact import EXACT, ZERO
from server.domain.ids import AssetId, CellId, RecordId, WalletId
from server.domain.modeling.units import SAME, Ratio, counted

NO_RECORD = RecordId("")
"""Stands for the record of a cell without records."""

MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_A_SECOND = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The aggregates of a set of records. The order and grouping of merges do not matter.

    `held` is the quantity that the readings held from the first to the last of them, times seconds.
    It is None where that is not known: readings of two sets lie between each other. Only what is
    held depends on the grouping of merges, and two measures are compared without it.
    """

    sum: Decimal
    count: int
    max: Decimal
    min: Decimal
    last: Decimal
    last_time: datetime
    last_record_id: RecordId
    first_time: datetime
    held: Decimal | None = field(compare=False)

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
            first_time=time,
            held=ZERO,
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
            first_time=min(self.first_time, other.first_time),
            held=_held(self, other),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The usage of one asset, with the same dimensions and unit, in one civil day or less.

    `measure` is of the quantities as they were sent, and `ratio` converts them to the unit that the
    resource counts in. So a sum is converted once, however the usage was split into records.
    `period` is the rating period in which the usage happened, whenever it was recorded. The records
    of an empty cell were all voided.
    """

    id: CellId
    wallet_id: WalletId
    asset_id: AssetId
    asset_number: int
    start: datetime
    end: datetime
    period: Period
    measure: Measure
    dimensions: str = ""
    ratio: Ratio = SAME
    is_empty: bool = False

    @property
    def counted(self) -> Measure:
        """The measure in the unit that the resource counts in."""
        return self.measure.converted(self.ratio)


# The first day of a window, its place in the rating period, or the start of its hour.
Window = date | int | datetime


def merged(measures: Iterable[Measure]) -> Measure:
    """Return the measure of all sets together; there must be at least one."""
    return reduce(Measure.merge, measures)


def seconds(length: timedelta) -> Decimal:
    """Return a length of time in seconds, exactly."""
    return EXACT.multiply(Decimal(length // MICROSECOND), MICROSECONDS_A_SECOND)


def _held(one: Measure, other: Measure) -> Decimal | None:
    """Return what the readings of both sets held, if one set is before the other."""
    first, second = (one, other) if one.first_time <= other.first_time else (other, one)
    if first.held is None or second.held is None or first.last_time >= second.first_time:
        return None
    between = EXACT.multiply(first.last, seconds(second.first_time - first.last_time))
    return EXACT.add(EXACT.add(first.held, between), second.held)


def window(start: datetime, period_start: datetime, length: PolicyPeriod, zone: str) -> Window:
    """Return the window of a day or hour; windows count from the first day of the rating period."""
    if length is PolicyPeriod.HOUR:
        return start
    if length is PolicyPeriod.RATING_PERIOD:
        return 0
    day = local_date(zone, start)
    if length is PolicyPeriod.DAY:
        return day
    return length.cadence.index(local_date(zone, period_start), day)
