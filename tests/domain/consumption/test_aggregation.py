"""From records to cells to increments."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.aggregation import combined, increments
from server.domain.consumption.cells import Measure, merged
from server.domain.exact import Rounding, round_to
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, Combination
from server.domain.modeling.units import Ratio, ScaleRounding
from tests import strategies
from tests.strategies import cell

SUM = AggregationPolicy.usual(AggregationMethod.SUM)
PEAK = AggregationPolicy.usual(AggregationMethod.PEAK)
PEAK_DAYS = AggregationPolicy(
    method=AggregationMethod.PEAK, period=PolicyPeriod.DAY, combine=Combination.TOTAL
)
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)


def day(number, hour=0, month=1):
    return datetime(2024, month, number, hour, tzinfo=UTC)


def amounts(found):
    return [int(increment.quantity) for increment in found]


def test_one_day_of_10_25_and_15_sums_to_50_and_peaks_at_25():
    entries = ((10, 1), (25, 3), (15, 7))
    records = [Measure.of(Decimal(q), day(1, hour), f"at {hour}") for q, hour in entries]
    measure = merged(records)
    one = replace(cell("a", 0, day(1), period=JANUARY), measure=measure)

    assert combined([one], SUM, zone="UTC") == 50
    assert combined([one], PEAK, zone="UTC") == 25
    assert (measure.count, measure.min, measure.last) == (3, 10, 15)


def test_daily_peaks_keep_the_highest_or_add_up_as_the_policy_says():
    cells = [
        cell(index, quantity, day(index), period=JANUARY)
        for index, quantity in ((1, 10), (2, 25), (3, 15))
    ]

    assert amounts(increments(cells, PEAK, zone="UTC")) == [10, 15, 0]
    assert amounts(increments(cells, PEAK_DAYS, zone="UTC")) == [10, 25, 15]
    assert amounts(increments(cells, SUM, zone="UTC")) == [10, 25, 15]


def test_two_cells_of_one_day_share_their_peak():
    cells = [
        cell("a", 30, day(1, 1), period=JANUARY),
        cell("b", 50, day(1, 2), period=JANUARY),
    ]

    assert amounts(increments(cells, PEAK_DAYS, zone="UTC")) == [30, 20]


def test_each_period_peaks_on_its_own_and_comes_after_the_one_before():
    cells = [
        cell("feb", 70, day(1, month=2), period=FEBRUARY),
        cell("later", 50, day(5, 1), period=JANUARY),
        cell("jan", 30, day(5), period=JANUARY),
    ]

    found = increments(cells, PEAK, zone="UTC")

    assert [(i.quantity, i.period_start, i.at) for i in found] == [
        (30, JANUARY.start, day(5)),
        (20, JANUARY.start, day(5, 1)),
        (70, FEBRUARY.start, day(1, month=2)),
    ]


def test_assets_peak_each_on_their_own():
    cells = [
        cell("a", 30, day(1), period=JANUARY, asset=1),
        cell("b", 50, day(1), period=JANUARY, asset=2),
    ]

    assert amounts(increments(cells, PEAK, zone="UTC")) == [30, 50]


@given(
    st.lists(strategies.measures(), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_measures_merge_in_any_order_and_grouping(measures, random):
    shuffled = random.sample(measures, len(measures))
    grouped = reduce(lambda right, left: left.merge(right), reversed(measures))

    assert merged(measures) == merged(shuffled) == grouped


@given(st.data(), strategies.policies, st.sampled_from(["UTC", "Europe/Berlin"]))
def test_increments_sum_to_the_combined_quantity(data, policy, zone):
    periods = strategies.months(zone, 3)
    cells = data.draw(strategies.usage(zone, periods))

    found = increments(cells, policy, zone=zone)

    for key in {(item.asset_id, item.period.start) for item in cells}:
        own = [item for item in cells if (item.asset_id, item.period.start) == key]
        parts = [i.quantity for i in found if (i.asset_id, i.period_start) == key]
        assert sum(parts) == combined(own, policy, zone=zone)
        assert min(parts) >= 0


@given(st.data(), strategies.policies, st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(data, policy, random):
    cells = list(data.draw(strategies.usage("UTC", (JANUARY, FEBRUARY, MARCH))))
    shuffled = random.sample(cells, len(cells))

    assert increments(cells, policy, zone="UTC") == increments(shuffled, policy, zone="UTC")


@given(st.data(), strategies.policies)
@settings(max_examples=60)
def test_other_periods_make_no_difference_to_a_period(data, policy):
    cells = data.draw(strategies.usage("UTC", (JANUARY, FEBRUARY, MARCH)))
    fresh = [item for item in cells if item.period != JANUARY]

    whole = increments(cells, policy, zone="UTC")
    rest = increments(fresh, policy, zone="UTC")

    assert rest == tuple(i for i in whole if i.period_start != JANUARY.start)


def test_a_cell_belongs_to_the_civil_day_it_starts_in():
    berlin = strategies.months("Europe/Berlin", 1)[0]
    before, after = day(10, 22, 1), day(10, 23, 1)
    cells = [cell("a", 10, before, period=berlin), cell("b", 10, after, period=berlin)]

    assert amounts(increments(cells, PEAK_DAYS, zone="Europe/Berlin")) == [10, 10]
    assert after - before == timedelta(hours=1)


def policy(method, period=PolicyPeriod.DAY, combine=Combination.TOTAL):
    return AggregationPolicy(method=method, period=period, combine=combine)


RECORDS = [(day(1, 1), 10), (day(1, 3), 25), (day(1, 7), 15), (day(2, 1), 4), (day(9, 1), 2)]


def days_of(records):
    """The cells of a month with these records, one for each day."""
    by_day = {}
    for at, quantity in records:
        measure = Measure.of(Decimal(quantity), at, at.isoformat())
        by_day.setdefault(at.replace(hour=0), []).append(measure)
    return [
        replace(cell(start, 0, start, period=JANUARY), measure=merged(measures))
        for start, measures in by_day.items()
    ]


def test_each_method_makes_its_own_figure_of_the_same_day():
    first = days_of(RECORDS)[:1]
    figures = {
        AggregationMethod.SUM: Decimal(50),
        AggregationMethod.PEAK: Decimal(25),
        AggregationMethod.COUNT: Decimal(3),
        AggregationMethod.AVERAGE: Decimal("16.666666666667"),
        AggregationMethod.MINIMUM: Decimal(10),
        AggregationMethod.LATEST: Decimal(15),
        # What is new counts one and what is not counts none before it is added up.
        AggregationMethod.UNIQUE_COUNT: Decimal(50),
        # 10 for 2 hours, 25 for 4, 15 for 17 of that day; then 15 on each of 30 days.
        AggregationMethod.TIME_WEIGHTED: Decimal("465.625"),
    }

    assert {m: combined(first, policy(m), zone="UTC") for m in AggregationMethod} == figures


def test_windows_are_counted_from_the_first_day_of_the_rating_period():
    cells = days_of(RECORDS)
    found = {
        period: combined(cells, policy(AggregationMethod.PEAK, period), zone="UTC")
        for period in (PolicyPeriod.DAY, PolicyPeriod.WEEK, PolicyPeriod.MONTH)
    }
    least = policy(AggregationMethod.MINIMUM, PolicyPeriod.WEEK)
    mean = policy(AggregationMethod.AVERAGE, PolicyPeriod.MONTH)

    assert found == {
        PolicyPeriod.DAY: 25 + 4 + 2,
        PolicyPeriod.WEEK: 25 + 2,
        PolicyPeriod.MONTH: 25,
    }
    assert combined(cells, least, zone="UTC") == 4 + 2
    assert combined(cells, mean, zone="UTC") == Decimal("11.2")


def test_hours_are_windows_of_their_own():
    hours = [
        replace(cell(at, quantity, at, period=JANUARY), end=at + timedelta(hours=1))
        for at, quantity in RECORDS
    ]

    assert combined(hours, policy(AggregationMethod.PEAK, PolicyPeriod.HOUR), zone="UTC") == 56


@given(st.sampled_from([m for m in AggregationMethod if not m.only_grows]), st.randoms())
def test_what_may_become_smaller_is_added_once_by_the_last_cell(method, chance):
    cells = days_of(RECORDS)
    chance.shuffle(cells)

    found = increments(cells, policy(method), zone="UTC")

    assert [increment.quantity for increment in found[:-1]] == [0, 0]
    assert found[-1].used_at == day(9)
    assert found[-1].quantity == combined(cells, policy(method), zone="UTC")


HUNDREDTHS_ON_DAYS = st.tuples(
    st.integers(0, 999), st.integers(1, 28), st.integers(1, 2), st.sampled_from("ab")
)
MINUTES = Ratio(Decimal(1), Decimal(60))


def in_minutes(name, quantity, start, **more):
    return replace(cell(name, quantity, start, period=JANUARY, **more), ratio=MINUTES)


def test_a_sum_in_another_unit_is_converted_once():
    parts = [Measure.of(Decimal(1), day(1), str(n)) for n in range(181)]
    one = replace(in_minutes("a", 0, day(1)), measure=merged(parts))

    assert combined([one], SUM, zone="UTC") == Decimal("3.016666666667")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.data())
def test_any_split_of_a_quantity_counts_the_same(parts, data):
    """Seconds are 1/3600 of an hour: no split of them rounds more than once."""
    seconds = Ratio(Decimal(1), Decimal(3600))
    cut = data.draw(st.integers(0, len(parts)))
    measures = [Measure.of(Decimal(n) / 8, day(1), str(k)) for k, n in enumerate(parts)]
    stored = merged([merged(half) for half in (measures[:cut], measures[cut:]) if half])
    whole = Measure.of(sum((one.sum for one in measures), Decimal(0)), day(1), "whole")

    one, other = (
        replace(in_minutes("a", 0, day(1)), measure=measure, ratio=seconds)
        for measure in (stored, whole)
    )

    assert combined([one], SUM, zone="UTC") == combined([other], SUM, zone="UTC")


def test_figures_of_several_units_are_compared_as_counted():
    cells = [cell("a", 2, day(1), period=JANUARY), in_minutes("b", 90, day(1, 1))]

    assert combined(cells, PEAK, zone="UTC") == 2
    assert combined(cells, SUM, zone="UTC") == Decimal("3.5")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 999), st.integers(1, 28), st.integers(1, 2), st.sampled_from("ab")
        ),
        max_size=12,
    ),
    st.sampled_from(Rounding),
    st.integers(0, 1),
)
def test_usage_is_rounded_once_for_each_asset_over_all_dimensions(said, mode, scale):
    cells = [
        replace(
            cell(n, Decimal(hundredths) / 100, day(number), period=JANUARY, asset=asset),
            dimensions=dimensions,
        )
        for n, (hundredths, number, asset, dimensions) in enumerate(said)
    ]
    rounding = ScaleRounding(scale, mode)

    plain = increments(cells, SUM, zone="UTC")
    found = increments(cells, SUM, zone="UTC", rounding=rounding)

    assert [item.cell_id for item in found] == [item.cell_id for item in plain]
    assert all(item.quantity >= 0 for item in found)
    for asset in {item.asset_id for item in plain}:
        sent = sum(item.quantity for item in plain if item.asset_id == asset)
        assert sum(item.quantity for item in found if item.asset_id == asset) == round_to(
            sent, scale, mode
        )


def test_the_difference_of_rounding_goes_on_the_latest_cells():
    cells = [cell(n, Decimal("1.2"), day(n), period=JANUARY) for n in (1, 2, 3)]
    down = increments(cells, SUM, zone="UTC", rounding=ScaleRounding(0, Rounding.DOWN))
    up = increments(cells, SUM, zone="UTC", rounding=ScaleRounding(0, Rounding.UP))
    tiny = [cell(n, Decimal("0.2"), day(n), period=JANUARY) for n in (1, 2, 3)]
    none = increments(tiny, SUM, zone="UTC", rounding=ScaleRounding(0, Rounding.DOWN))

    assert [item.quantity for item in down] == [Decimal("1.2"), Decimal("1.2"), Decimal("0.6")]
    assert [item.quantity for item in up] == [Decimal("1.2"), Decimal("1.2"), Decimal("1.6")]
    assert [item.quantity for item in none] == [0, 0, 0]


def test_usage_is_rounded_with_all_that_is_known_of_its_period():
    """1.4 alone are 1; with 0.2 more, whenever they arrive, 1.6 are 2."""
    first = cell("a", Decimal("1.4"), day(5), period=JANUARY)
    more = cell("b", Decimal("0.2"), day(5, 1), period=JANUARY)
    february = cell("c", Decimal("1.4"), day(5, month=2), period=FEBRUARY)
    nearest = ScaleRounding(0, Rounding.HALF_UP)

    alone = increments([first, february], SUM, zone="UTC", rounding=nearest)
    both = increments([february, more, first], SUM, zone="UTC", rounding=nearest)

    assert [item.quantity for item in alone] == [1, 1]
    assert [item.quantity for item in both] == [Decimal("1.4"), Decimal("0.6"), 1]


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(0, 2)), min_size=1, max_size=8),
    st.sampled_from(Rounding),
)
def test_what_was_rounded_period_by_period_is_rounded_the_same_at_once(said, mode):
    """Usage of January, February and March, a close after the other."""
    rounding = ScaleRounding(0, mode)
    periods = (JANUARY, FEBRUARY, MARCH)
    cells = [
        cell(n, Decimal(hundredths) / 100, day(5, n, at + 1), period=periods[at])
        for n, (hundredths, at) in enumerate(said)
    ]
    closed = {}
    for period in periods:
        own = [one for one in cells if one.period == period]
        found = increments(own, SUM, zone="UTC", rounding=rounding)
        closed |= {item.cell_id: item.quantity for item in found}

    again = increments(cells, SUM, zone="UTC", rounding=rounding)

    assert {item.cell_id: item.quantity for item in again} == closed
