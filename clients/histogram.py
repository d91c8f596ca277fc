"""Durations counted in buckets that grow with them: a stated precision, in a memory that does not.

Durations are whole nanoseconds. Those below 256 are kept exactly; above, each doubling has 128
buckets, so that a figure read back is never below what was recorded and at most 1/128 above it.
Pure. The idea is that of HdrHistogram.
"""

from array import array
from collections.abc import Iterator
from fractions import Fraction
from math import ceil

BITS = 7
PRECISION = Fraction(1, 1 << BITS)
MOST_BITS = 42  # 73 minutes; what is longer is counted as that, though `highest` is exact


class Histogram:
    """Durations by their counts."""

    __slots__ = ("_counts", "count", "highest", "lowest", "total")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * (_place((1 << MOST_BITS) - 1) + 1)))
        self.count = 0
        self.total = 0
        self.lowest = 0
        self.highest = 0

    def record(self, nanos: int) -> None:
        """Count a duration; what is below zero, by a clock set back, is zero."""
        nanos = max(nanos, 0)
        self._counts[_place(min(nanos, (1 << MOST_BITS) - 1))] += 1
        self.lowest = nanos if self.count == 0 else min(self.lowest, nanos)
        self.highest = max(self.highest, nanos)
        self.count += 1
        self.total += nanos

    def add(self, other: "Histogram") -> None:
        """Count what another histogram counted, too."""
        if not other.count:
            return
        for place, count in enumerate(other._counts):
            self._counts[place] += count
        self.lowest = other.lowest if self.count == 0 else min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)
        self.count += other.count
        self.total += other.total

    @property
    def mean(self) -> int:
        """The mean, exact but for the fraction of a nanosecond; 0 of nothing."""
        return self.total // self.count if self.count else 0

    def percentile(self, share: Fraction) -> int:
        """The least duration that `share` (0 to 1) of all do not exceed; 0 of nothing."""
        wanted = max(ceil(share * self.count), 1)
        reached = 0
        for _, behind, count in self.buckets():
            reached += count
            if reached >= wanted:
                # The last bucket may hold longer ones than it can tell apart.
                return self.highest if reached == self.count else min(behind - 1, self.highest)
        return 0

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """The buckets that hold something, in order: from, up to (exclusive), how many."""
        for place, count in enumerate(self._counts):
            if count:
                yield _first(place), _first(place + 1), count


def _place(nanos: int) -> int:
    """The bucket of a duration."""
    shift = max(nanos.bit_length() - BITS - 1, 0)
    return (shift << BITS) + (nanos >> shift)


def _first(place: int) -> int:
    """The least duration of a bucket."""
    shift = max((place >> BITS) - 1, 0)
    return (place - (shift << BITS)) << shift
