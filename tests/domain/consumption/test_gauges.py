"""Gauges: readings weighted by the time for which they are held."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.aggregation import combined, increments
from server.domain.consumption.cells import Cell, Measure, merged
from server.domain.consumption.gauges import Service
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, Combination
from tests import strategies
from tests.strategies import cell

# April has 30 days.
MARCH, APRIL, MAY = strategies.months("UTC", 5)[2:]


def day(number, hour=0, month=4):
    return datetime(2024, month, number, hour, tzinfo=UTC)


def policy(window, combine=Combination.TOTAL):
    return AggregationPolicy(method=AggregationMethod.TIME_WEIGHTED, period=window, combine=combine)


WHOLE, DAILY = policy(PolicyPeriod.RATING_PERIOD), policy(PolicyPeriod.DAY)
HIGHEST_DAY = policy(PolicyPeriod.DAY, Combination.HIGHEST)


def reading(value, time, period=APRIL, **more):
    start = datetime(time.year, time.month, time.day, tzinfo=UTC)
    one = cell(time.isoformat(), value, start, period=period, **more)
    return replace(one, measure=Measure.of(Decimal(value), time, time.isoformat()))


def test_one_gigabyte_for_5_days_and_3_for_25_are_2_67():
    cells = [reading(1, day(1)), reading(3, day(6))]

    assert combined(cells, WHOLE, zone="UTC") == Decimal("2.666666666667")
    assert combined(cells, DAILY, zone="UTC") == 5 + 75
    assert combined(cells, HIGHEST_DAY, zone="UTC") == 3


def test_nothing_is_held_before_the_first_reading_and_the_last_one_lasts():
    cells = [reading(30, day(16))]

    assert combined(cells, WHOLE, zone="UTC") == 15
    ended = {cells[0].asset_id: Service(1, day(1), day(21))}
    assert combined(cells, WHOLE, zone="UTC", services=ended) == 5


def test_no_window_begins_before_the_service():
    cells = [reading(30, day(16))]
    began = {cells[0].asset_id: Service(1, day(16), None)}

    assert combined(cells, WHOLE, zone="UTC", services=began) == 30


def test_a_reading_within_a_day_counts_from_its_hour():
    cells = [reading(24, day(30, 18))]

    assert combined(cells, HIGHEST_DAY, zone="UTC") == 6
    assert combined(cells, policy(PolicyPeriod.HOUR, Combination.HIGHEST), zone="UTC") == 24


def test_a_day_of_23_hours_is_a_whole_one():
    zone = "Europe/Berlin"
    march = strategies.months(zone, 5)[2]
    start = datetime(2024, 3, 30, 23, tzinfo=UTC)
    one = replace(cell("x", 5, start, period=march), measure=Measure.of(Decimal(5), start, "r"))

    # The days of March 31, which has 23 hours: 5.
    assert combined([one], DAILY, zone=zone) == 5


def test_it_is_rated_by_the_terms_at_the_end_of_service():
    cells = [reading(3, day(2))]
    goes_on = increments(cells, WHOLE, zone="UTC")
    services = {cells[0].asset_id: Service(1, day(1), day(11))}
    ends = increments(cells, WHOLE, zone="UTC", services=services)

    assert [item.rated_at for item in (*goes_on, *ends)] == [day(30), day(10)]


READINGS = st.lists(
    st.tuples(
        st.integers(0, 30 * 24 * 60 - 1).map(lambda minutes: timedelta(minutes=minutes)),
        strategies.quantities(1000, 2),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda reading: reading[0],
)


def by_day(readings) -> list[Cell]:
    """The readings as the cells of their days, each measured from its sorted records."""
    days: dict[datetime, list[Measure]] = {}
    for offset, value in sorted(readings):
        time = APRIL.start + offset
        start = time.replace(hour=0, minute=0)
        days.setdefault(start, []).append(Measure.of(value, time, time.isoformat()))
    return [
        replace(cell(start, 0, start, period=APRIL), measure=merged(found))
        for start, found in days.items()
    ]


@given(READINGS, st.randoms(use_true_random=False))
def test_the_figure_is_the_integral_over_the_period_whatever_the_order(readings, chance):
    times = [offset for offset, _ in sorted(readings)] + [timedelta(days=30)]
    held = [
        value * Decimal((end - start) // timedelta(minutes=1))
        for (_, value), (start, end) in zip(sorted(readings), pairwise(times), strict=True)
    ]
    cells = by_day(readings)
    chance.shuffle(cells)

    figure = combined(cells, WHOLE, zone="UTC")

    due = Fraction(sum(held)) / (30 * 24 * 60)
    assert abs(Fraction(figure) - due) <= Fraction(1, 2 * 10**12)
    # Thirty days of equal length average to the same.
    assert abs(combined(cells, DAILY, zone="UTC") / 30 - figure) < Decimal("1e-11")
