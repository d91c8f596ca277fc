"""Billing cycles: the length of billing periods, and the dates that they are counted from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Period,
    anchor_date,
    local_date,
    period_containing,
)

MONTH = Cadence(CadenceUnit.MONTH)
MONTHS_OF_A_YEAR = 12
MOST_MONTHS = 60
MOST_DAYS = 5 * 365
# A Monday and the first of January, so weeks and parts of a year by the calendar all begin on it.
CALENDAR = date(1990, 1, 1)


@dataclass(frozen=True, slots=True)
class BillingCycle:
    """Billing periods of one `interval`, on a `day` of the month or `counted_from` a date.

    The day is 1 to 31. Without both, they are those of the calendar. Source: the account's fields.
    """

    interval: Cadence = MONTH
    day: int | None = None
    counted_from: date | None = None

    @property
    def fault(self) -> str | None:
        """The reason why no account can be billed in this way, or None."""
        months, days = self.interval.months, self.interval.days
        if self.interval.unit is CadenceUnit.DAY:
            return "billing periods are weeks, months, quarters, half-years or years"
        if months > MOST_MONTHS or days > MOST_DAYS:
            return f"a billing period has at most {MOST_MONTHS} months"
        if self.counted_from is not None:
            return "give either an anchor day or an anchor date" if self.day is not None else None
        if self.day is not None:
            return "weeks have no day of the month; give an anchor date" if days else None
        is_one_week = self.interval == Cadence(CadenceUnit.WEEK)
        if is_one_week or (months and MONTHS_OF_A_YEAR % months == 0):
            return None
        return "only one week and what divides a year begin with the calendar; give an anchor date"

    def anchor(self, start: date) -> date:
        """Return the date from which the periods of a target are counted, first sold on `start`."""
        if self.day is None:
            return self.counted_from or CALENDAR
        return anchor_date(self.day, start)

    def period_at(self, zone: str, anchors: Iterable[date], instant: datetime) -> Period | None:
        """Return the billing period of an account at `instant`.

        Unless it `is_fixed`, its periods are counted from `anchors`, those of its targets; None if
        there are none or they differ.
        """
        # Any start gives the same periods if they are fixed, so `instant` will do.
        fixed = (self.anchor(local_date(zone, instant)),)
        counted_from = fixed if self.is_fixed else anchors
        found = {period_containing(zone, each, self.interval, instant) for each in counted_from}
        return found.pop() if len(found) == 1 else None

    @property
    def is_fixed(self) -> bool:
        """True if all targets have the same periods, whenever they are sold."""
        return self.day is None or self.interval.months == 1
