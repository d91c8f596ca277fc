"""The histogram beside the sorted durations themselves."""

from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from clients.histogram import MOST_BITS, PRECISION, Histogram

NANOS = st.integers(0, (1 << MOST_BITS) - 1) | st.integers(0, 2_000) | st.integers(10**5, 10**8)
SHARES = st.fractions(0, 1) | st.sampled_from([Fraction(n, 1000) for n in (500, 990, 999, 1000)])


def counted(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(st.lists(NANOS, min_size=1, max_size=200), SHARES)
def test_a_percentile_is_that_of_the_sorted_durations_or_a_little_more(
    values: list[int], share: Fraction
) -> None:
    exact = sorted(values)[max(ceil(share * len(values)), 1) - 1]

    found = counted(values).percentile(share)

    assert exact <= found <= exact * (1 + PRECISION)


@given(st.lists(NANOS, max_size=200))
def test_nothing_is_lost_and_the_ends_are_exact(values: list[int]) -> None:
    histogram = counted(values)

    assert histogram.count == sum(count for *_, count in histogram.buckets()) == len(values)
    assert histogram.mean == (sum(values) // len(values) if values else 0)
    assert histogram.lowest == min(values, default=0)
    assert histogram.highest == max(values, default=0)
    assert histogram.percentile(Fraction(1)) == max(values, default=0)


@given(st.lists(NANOS, min_size=1, max_size=200))
def test_buckets_are_in_order_apart_and_hold_what_was_recorded(values: list[int]) -> None:
    buckets = list(counted(values).buckets())

    for (_, behind, _), (first, _, _) in pairwise(buckets):
        assert behind <= first
    for first, behind, count in buckets:
        assert sum(first <= value < behind for value in values) == count
        assert behind - 1 <= first * (1 + PRECISION)


@given(st.lists(NANOS, min_size=1, max_size=50), SHARES, SHARES)
def test_a_larger_share_is_never_shorter(values: list[int], one: Fraction, two: Fraction) -> None:
    histogram = counted(values)
    low, high = sorted((one, two))

    assert histogram.percentile(low) <= histogram.percentile(high)


def test_what_is_longer_than_the_longest_bucket_is_counted_and_told() -> None:
    histogram = counted([5, 1 << 50])

    assert histogram.count == 2
    assert histogram.highest == histogram.percentile(Fraction(1)) == 1 << 50
    assert histogram.percentile(Fraction(1, 2)) == 5


def test_a_clock_that_is_set_back_counts_as_nothing() -> None:
    assert counted([-3]).highest == 0


def test_of_nothing_everything_is_nothing() -> None:
    histogram = Histogram()

    assert (histogram.percentile(Fraction(99, 100)), histogram.mean) == (0, 0)
