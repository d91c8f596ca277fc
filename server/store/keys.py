"""The keys after which lists go on, and the time windows that filter them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

TimeKey = tuple[datetime, UUID]
"""The time of the last row seen, and its id."""

NO_KEY = (None, None)
"""The key of the first page."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Times from `start` to before `end`; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    def admits(self, time: datetime | None) -> bool:
        """Return True if a time is in the window; None is only in a window without bounds."""
        if time is None:
            return self.start is None and self.end is None
        return (self.start or time) <= time and (self.end is None or time < self.end)


ANY_TIME = TimeWindow()
