"""Days, months and periods: anchored, in a zone, without gap or overlap."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Delay,
    DelayUnit,
    Period,
    PolicyPeriod,
    add_months,
    anchor_date,
    day_of,
    freeze_time,
    hour_of,
    last_day,
    local_date,
    local_midnight,
    period_after,
    period_containing,
    rating_period,
)
from server.domain.errors import InvalidArgument
from tests import strategies

MONTH = Cadence(CadenceUnit.MONTH)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_the_31st_comes_back_after_every_short_month():
    ends = [MONTH.nth(date(2023, 12, 31), k) for k in range(48)]

    short = {2: 28, 4: 30, 6: 30, 9: 30, 11: 30}
    for k, day in enumerate(ends):
        leap = day.month == 2 and day.year in (2024, 2028)
        assert (day.year, day.month) == (2023 + (11 + k) // 12, (11 + k) % 12 + 1)
        assert day.day == (29 if leap else short.get(day.month, 31))


def test_months_are_clamped_from_the_anchor():
    assert add_months(date(2025, 1, 31), 1) == date(2025, 2, 28)
    assert add_months(date(2025, 1, 31), 2) == date(2025, 3, 31)
    assert add_months(date(2025, 1, 31), -2) == date(2024, 11, 30)


@pytest.mark.parametrize(
    ("zone", "day", "midnight"),
    [
        ("UTC", date(2024, 2, 29), utc(2024, 2, 29)),
        ("Europe/Berlin", date(2024, 2, 1), utc(2024, 1, 31, 23)),
        ("Europe/Berlin", date(2024, 7, 1), utc(2024, 6, 30, 22)),
        ("America/New_York", date(2024, 3, 11), utc(2024, 3, 11, 4)),
        ("Australia/Lord_Howe", date(2024, 4, 8), utc(2024, 4, 7, 13, 30)),
        # The clock goes from 23:59:59 to 01:00.
        ("America/Sao_Paulo", date(2017, 10, 15), utc(2017, 10, 15, 3)),
        ("Asia/Beirut", date(2022, 3, 27), utc(2022, 3, 26, 22)),
        # Midnight comes twice: 00:59:59 is followed by 00:00.
        ("America/Havana", date(2023, 11, 5), utc(2023, 11, 5, 4)),
        # The clock goes from 23:30 to 00:30: the day begins half past.
        ("America/Toronto", date(1919, 3, 31), utc(1919, 3, 31, 4, 30)),
        # The whole day does not exist.
        ("Pacific/Apia", date(2011, 12, 30), utc(2011, 12, 30, 10)),
        ("Pacific/Apia", date(2011, 12, 31), utc(2011, 12, 30, 10)),
    ],
)
def test_a_day_begins_at_the_first_instant_that_is_in_it(zone, day, midnight):
    assert local_midnight(zone, day) == midnight


def test_minutes_that_come_twice_around_midnight_belong_to_the_later_day():
    # St. John's went from 00:01 back to 23:01 of the day before.
    sunday = local_midnight("America/St_Johns", date(2010, 11, 7))

    assert local_date("America/St_Johns", sunday) == date(2010, 11, 7)
    assert local_date("America/St_Johns", sunday + timedelta(minutes=30)) == date(2010, 11, 7)


def test_a_day_with_a_change_of_clock_is_longer_or_shorter():
    spring = day_of("Europe/Berlin", utc(2024, 3, 31, 12))
    autumn = day_of("Europe/Berlin", utc(2024, 10, 27, 12))

    assert spring.end - spring.start == timedelta(hours=23)
    assert autumn.end - autumn.start == timedelta(hours=25)


@given(strategies.zones, strategies.instants)
def test_days_and_hours_hold_their_instant_and_tile_time(zone, instant):
    day, hour = day_of(zone, instant), hour_of(zone, instant)

    assert day.contains(instant)
    assert hour.contains(instant)
    assert day.start <= hour.start < hour.end <= day.end
    assert day_of(zone, day.end).start == day.end
    assert day_of(zone, day.start) == day


@given(
    strategies.zones,
    strategies.dates,
    strategies.cadences,
    strategies.instants,
)
@settings(max_examples=60)
def test_periods_tile_time_without_gap_or_overlap(zone, anchor, cadence, instant):
    periods = [period_containing(zone, anchor, cadence, instant)]
    for _ in range(14):
        periods.append(period_after(zone, anchor, cadence, periods[-1]))

    assert periods[0].contains(instant)
    assert all(first.end == second.start for first, second in pairwise(periods))
    for period in periods:
        assert period_containing(zone, anchor, cadence, period.start) == period
        last = period.end - timedelta(microseconds=1)
        assert period_containing(zone, anchor, cadence, last) == period


@given(strategies.dates, strategies.cadences, st.integers(-40, 40))
def test_the_index_of_a_date_is_that_of_the_period_it_is_in(anchor, cadence, k):
    start, following = cadence.nth(anchor, k), cadence.nth(anchor, k + 1)

    assert cadence.index(anchor, start) == k
    assert cadence.index(anchor, following - timedelta(days=1)) == k


@given(st.integers(1, 31), strategies.dates)
def test_an_anchor_has_its_day_and_is_not_after_the_start(day, start):
    anchor = anchor_date(day, start)

    assert anchor.day == day
    assert start - timedelta(days=62) <= anchor <= start


def test_a_service_from_20_january_first_ends_on_19_february():
    period = period_containing("UTC", date(2025, 1, 20), MONTH, utc(2025, 1, 20))

    assert period == Period(utc(2025, 1, 20), utc(2025, 2, 20))
    assert last_day("UTC", period) == utc(2025, 2, 19)


def test_rating_periods_are_days_or_anchored_months():
    instant = utc(2024, 2, 29, 12)
    anchor = anchor_date(31, date(2024, 2, 29))

    daily = rating_period("Europe/Berlin", anchor, PolicyPeriod.DAY, instant)
    monthly = rating_period("Europe/Berlin", anchor, PolicyPeriod.MONTH, instant)

    assert daily == Period(utc(2024, 2, 28, 23), utc(2024, 2, 29, 23))
    assert monthly == Period(utc(2024, 2, 28, 23), utc(2024, 3, 30, 23))


def test_january_is_frozen_on_4_february():
    end = local_midnight("Europe/Berlin", date(2024, 2, 1))

    assert freeze_time("Europe/Berlin", end, Delay(3)) == utc(2024, 2, 3, 23)


def test_days_of_delay_are_civil_and_hours_are_elapsed():
    end = local_midnight("Europe/Berlin", date(2024, 3, 31))

    assert freeze_time("Europe/Berlin", end, Delay(1)) - end == timedelta(hours=23)
    assert freeze_time("Europe/Berlin", end, Delay(24, DelayUnit.HOURS)) - end == timedelta(days=1)


def test_a_period_splits_only_inside():
    period = Period(utc(2024, 1, 1), utc(2024, 2, 1))

    assert period.split(utc(2024, 1, 15)) == (
        Period(utc(2024, 1, 1), utc(2024, 1, 15)),
        Period(utc(2024, 1, 15), utc(2024, 2, 1)),
    )
    assert period.split(utc(2024, 2, 1)) == (period,)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(InvalidArgument) as refusal:
        local_midnight(zone, date(2024, 1, 1))

    assert refusal.value.reason == "TIME_ZONE"
