"""Billing cycles: alignment to the calendar, a date or a day of the month."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Cadence, CadenceUnit, add_months
from server.domain.selling.billing_cycles import BillingCycle

WEEK, MONTH, QUARTER, HALF_YEAR, YEAR = (
    Cadence(unit)
    for unit in (
        CadenceUnit.WEEK,
        CadenceUnit.MONTH,
        CadenceUnit.QUARTER,
        CadenceUnit.HALF_YEAR,
        CadenceUnit.YEAR,
    )
)


def starts(cycle: BillingCycle, sold: date, count: int) -> list[str]:
    """The first days of the billing periods after a sale, by their month and day."""
    anchor = cycle.anchor(sold)
    k = cycle.interval.index(anchor, sold)
    return [f"{cycle.interval.nth(anchor, k + n):%m-%d}" for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (WEEK, ["02-12", "02-19", "02-26", "03-04"]),
        (MONTH, ["03-01", "04-01", "05-01", "06-01"]),
        (QUARTER, ["04-01", "07-01", "10-01", "01-01"]),
        (HALF_YEAR, ["07-01", "01-01", "07-01", "01-01"]),
        (YEAR, ["01-01", "01-01", "01-01", "01-01"]),
    ],
)
def test_periods_of_the_calendar_begin_where_its_own_do(interval, expected):
    assert starts(BillingCycle(interval), date(2024, 2, 10), 4) == expected


@given(st.dates(date(1990, 1, 1), date(2199, 1, 1)))
def test_weeks_of_the_calendar_begin_on_monday(sold):
    cycle = BillingCycle(WEEK)

    first = WEEK.nth(cycle.anchor(sold), WEEK.index(cycle.anchor(sold), sold))

    assert first == sold - timedelta(days=sold.weekday())


@pytest.mark.parametrize(
    ("counted_from", "expected"),
    [
        (date(2024, 2, 15), ["05-15", "08-15", "11-15", "02-15"]),
        # Before the sale and after it, the same periods.
        (date(2020, 8, 15), ["05-15", "08-15", "11-15", "02-15"]),
        (date(2031, 11, 15), ["05-15", "08-15", "11-15", "02-15"]),
        (date(2023, 11, 30), ["05-30", "08-30", "11-30", "02-28"]),
        (date(2024, 5, 31), ["05-31", "08-31", "11-30", "02-28"]),
    ],
)
def test_quarters_from_a_date_keep_its_day(counted_from, expected):
    cycle = BillingCycle(QUARTER, counted_from=counted_from)

    assert starts(cycle, date(2024, 3, 1), 4) == expected


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(-400, 400))
def test_periods_from_a_date_never_drift(counted_from, k):
    """Every start has the day of the date, or is the last day of a shorter month."""
    found = MONTH.nth(BillingCycle(MONTH, counted_from=counted_from).anchor(date(2024, 1, 1)), k)

    following = add_months(found.replace(day=1), 1)
    assert found.day == min(counted_from.day, (following - timedelta(days=1)).day)


@given(st.integers(1, 31), st.dates(date(2020, 1, 1), date(2030, 1, 1)))
def test_a_day_of_the_month_counts_from_the_last_one_before_the_first_sale(number, sold):
    cycle = BillingCycle(QUARTER, day=number)

    anchor = cycle.anchor(sold)

    assert anchor.day == number
    assert anchor <= sold
    assert not cycle.is_fixed
    assert BillingCycle(MONTH, day=number).is_fixed


@pytest.mark.parametrize(
    ("cycle", "fault"),
    [
        (BillingCycle(), None),
        (BillingCycle(WEEK), None),
        (BillingCycle(Cadence(CadenceUnit.WEEK, 2), counted_from=date(2024, 1, 3)), None),
        (BillingCycle(Cadence(CadenceUnit.MONTH, 5), day=31), None),
        (BillingCycle(Cadence(CadenceUnit.YEAR, 5), day=1), None),
        (BillingCycle(Cadence(CadenceUnit.MONTH, 4)), None),
        (BillingCycle(Cadence(CadenceUnit.DAY, 7)), "weeks, months, quarters"),
        (BillingCycle(Cadence(CadenceUnit.YEAR, 6), day=1), "at most 60 months"),
        (
            BillingCycle(Cadence(CadenceUnit.WEEK, 261), counted_from=date(2024, 1, 3)),
            "at most 60 months",
        ),
        (BillingCycle(MONTH, day=1, counted_from=date(2024, 1, 1)), "either"),
        (BillingCycle(WEEK, day=1), "no day of the month"),
        (BillingCycle(Cadence(CadenceUnit.WEEK, 2)), "give an anchor date"),
        (BillingCycle(Cadence(CadenceUnit.MONTH, 5)), "give an anchor date"),
        (BillingCycle(Cadence(CadenceUnit.YEAR, 2)), "give an anchor date"),
    ],
)
def test_what_cannot_be_aligned_is_told(cycle, fault):
    assert cycle.fault is None if fault is None else fault in (cycle.fault or "")


def test_all_targets_share_the_periods_of_a_calendar():
    cycle, at = BillingCycle(QUARTER), datetime(2024, 5, 5, tzinfo=UTC)

    found = cycle.period_at("UTC", (), at)

    assert found is not None
    assert (found.start, found.end) == (
        datetime(2024, 4, 1, tzinfo=UTC),
        datetime(2024, 7, 1, tzinfo=UTC),
    )
