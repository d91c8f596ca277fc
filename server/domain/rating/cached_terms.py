"""The answers of an index of rates to one question, by day."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from server.domain.calendar import Days
from server.domain.rating.rates import RateTerms

# Questions with more days of change are not cached, so that the cache stays bounded in bytes.
MOST_EDGES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTerms:
    """Terms of the catalog; `is_fixed` if a quote may not change them.

    A quote needs an approval for a discount of more than `max_discount_percent`, if that is given.
    """

    terms: RateTerms
    is_fixed: bool
    max_discount_percent: Decimal | None = None


class TermsByDay:
    """The known answers to one question, by day.

    The answer can change on certain days only, so the number of answers is bounded by those days.
    """

    __slots__ = ("_days", "_found")

    def __init__(self, days: Iterable[date]) -> None:
        self._days = sorted(set(days))
        # One slot for each span between two days of change, and one before the first.
        self._found: list[CatalogTerms | None] = [None] * (len(self._days) + 1)

    @property
    def edges(self) -> int:
        """The number of days on which the answer can change."""
        return len(self._days)

    def at(self, day: date) -> CatalogTerms | None:
        """Return the answer of a day, if it is known."""
        return self._found[bisect_right(self._days, day)]

    def keep(self, day: date, found: CatalogTerms) -> None:
        """Store the answer for all days between two changes around `day`."""
        self._found[bisect_right(self._days, day)] = found

    def around(self, day: date) -> Days:
        """Return the days around `day` on which the answer is the same."""
        return Days.around(day, self._days)
