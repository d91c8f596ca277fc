"""Keys that lists go on after, and windows of time that they are filtered by."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

TimeKey = tuple[datetime, UUID]
"""The time of the last row seen, and its id."""

NO_KEY = (None, None)
"""From the first row on."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Times from `start` to before `end`; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    def admits(self, time: datetime | None) -> bool:
        """Return whether a time is in the window; None is in one without bounds."""
        if time is None:
            return self.start is None and self.end is None
        return (self.start or time) <= time and (self.end is None or time < self.end)


ANY_TIME = TimeWindow()
