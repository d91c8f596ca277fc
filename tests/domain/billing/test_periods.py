"""Periods at an instant: of a resource that an asset has, and of an account."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.billing.closing import WalletCalendar
from server.domain.billing.periods import (
    RefreshWindow,
    ResourceCalendar,
    begun,
    periods_at,
    same,
)
from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Delay,
    Period,
    PolicyPeriod,
    RatingPeriod,
    freeze_time,
    local_midnight,
    period_containing,
    rating_period,
)
from server.domain.ids import ProductGrantId, ProductId, ResourceId
from server.domain.modeling.policies import RatingFrequency
from server.domain.selling.billing_cycles import BillingCycle
from server.domain.selling.sales import SoldEntitlement
from tests.strategies import WALLET, entitlement

ZONES = ("UTC", "Europe/Berlin", "America/Santiago", "Asia/Kolkata", "Pacific/Chatham")
DAYS_UNTIL = date(2030, 12, 31)
INSTANT = timedelta(microseconds=1)


def day(month, number, year=2024):
    return datetime(year, month, number, tzinfo=UTC)


def sold(held):
    return SoldEntitlement(
        entitlement=held, product_id=ProductId("plan"), product_grant_id=ProductGrantId("calls")
    )


# Sold from 15 January to 15 June, rated by the month from the 15th, billed by the quarter.
CALENDAR = ResourceCalendar(
    resource_id=ResourceId("calls"),
    wallet_id=WALLET,
    start=day(1, 15),
    end=day(6, 15),
    zone="UTC",
    anchor=date(2024, 1, 15),
    service_start=day(1, 15),
    billing=Cadence(CadenceUnit.MONTH, 3),
    frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
    entitlements=(
        sold(entitlement(1, start=date(2024, 1, 15))),
        sold(entitlement(2, start=date(2024, 4, 15))),
        sold(entitlement(3, start=date(2024, 1, 15), refresh=None)),
    ),
)


def test_a_resource_has_a_rating_a_billing_and_a_refresh_period():
    found = periods_at(CALENDAR, day(3, 1))

    assert found is not None
    assert (found.resource_id, found.wallet_id) == ("calls", WALLET)
    assert found.rating == RatingPeriod(day(2, 15), day(3, 15), day(3, 18))
    assert found.billing == Period(day(1, 15), day(4, 15))
    assert found.windows == (
        RefreshWindow(sold=CALENDAR.entitlements[0], period=Period(day(2, 15), day(3, 15))),
    )


@pytest.mark.parametrize(
    ("instant", "has_it"),
    [
        (day(1, 15) - INSTANT, False),
        (day(1, 15), True),
        (day(6, 15) - INSTANT, True),
        (day(6, 15), False),
    ],
)
def test_a_resource_has_periods_from_its_start_until_its_end(instant, has_it):
    assert (periods_at(CALENDAR, instant) is not None) is has_it
    unbounded = periods_at(replace(CALENDAR, end=None), instant)
    assert (unbounded is not None) is (instant >= CALENDAR.start)


def test_a_period_that_was_opened_late_has_its_stored_freeze():
    kept = RatingPeriod(day(2, 15), day(3, 15), day(5, 1))
    late = replace(CALENDAR, kept=kept)

    within, before = periods_at(late, day(3, 1)), periods_at(late, day(2, 1))

    assert within is not None
    assert within.rating == kept
    assert before is not None
    assert before.rating == RatingPeriod(day(1, 15), day(2, 15), day(2, 18))


JANUARY, FEBRUARY = date(2024, 1, 10), date(2024, 2, 10)


@pytest.mark.parametrize(
    ("months", "anchors", "instant", "period"),
    [
        # Every month the account's day counts, whatever the anchors of its targets.
        (1, (), day(3, 9), (day(2, 10), day(3, 10))),
        (1, (JANUARY, FEBRUARY), day(3, 10), (day(3, 10), day(4, 10))),
        (2, (JANUARY,), day(3, 9), (day(1, 10), day(3, 10))),
        (2, (JANUARY,), day(3, 10), (day(3, 10), day(5, 10))),
        (2, (JANUARY, date(2024, 3, 10)), day(4, 1), (day(3, 10), day(5, 10))),
        (2, (JANUARY, FEBRUARY), day(3, 10), None),
        (2, (), day(3, 10), None),
        (12, (FEBRUARY,), day(1, 1, 2025), (day(2, 10), day(2, 10, 2025))),
    ],
)
def test_an_account_billed_every_few_months_needs_targets_that_agree(
    months, anchors, instant, period
):
    cycle = BillingCycle(Cadence(CadenceUnit.MONTH, months), day=10)

    found = cycle.period_at("UTC", anchors, instant)

    assert found == (None if period is None else Period(*period))


@pytest.mark.parametrize(
    ("instant", "period"),
    [
        (day(3, 19), (day(3, 1), day(4, 1))),
        (day(3, 20), (day(3, 20), day(4, 1))),
        (day(4, 1), (day(4, 1), day(5, 1))),
    ],
)
def test_the_first_billing_period_of_an_account_begins_with_its_first_asset(instant, period):
    whole = BillingCycle(day=1).period_at("UTC", (), instant)
    assert whole is not None

    found = begun(whole, day(3, 20), instant)

    assert found == Period(*period)


def test_periods_are_the_same_if_all_are():
    march, april = Period(day(3, 1), day(4, 1)), Period(day(4, 1), day(5, 1))

    assert same([march, march]) == march
    assert same([march, april]) is None
    assert same([]) is None


units = st.sampled_from(
    [
        (CadenceUnit.WEEK, PolicyPeriod.WEEK),
        (CadenceUnit.WEEK, PolicyPeriod.DAY),
        (CadenceUnit.MONTH, PolicyPeriod.MONTH),
        (CadenceUnit.MONTH, PolicyPeriod.WEEK),
        (CadenceUnit.QUARTER, PolicyPeriod.MONTH),
        (CadenceUnit.HALF_YEAR, PolicyPeriod.QUARTER),
        (CadenceUnit.YEAR, PolicyPeriod.YEAR),
    ]
)


@st.composite
def cut_calendars(draw):
    """The calendar of an asset in any alignment, whose target's first asset started before it."""
    unit, rating = draw(units)
    choices = [
        BillingCycle(Cadence(unit)),
        BillingCycle(Cadence(unit), counted_from=draw(st.dates(date(2015, 1, 1), DAYS_UNTIL))),
    ]
    if unit is not CadenceUnit.WEEK:
        choices.append(BillingCycle(Cadence(unit), day=draw(st.integers(1, 31))))
    cycle = draw(st.sampled_from(choices))
    assert cycle.fault is None
    zone = draw(st.sampled_from(ZONES))
    first = draw(st.dates(date(2023, 1, 1), date(2024, 12, 31)))
    start = first + timedelta(days=draw(st.integers(0, 60)))
    return ResourceCalendar(
        resource_id=ResourceId("calls"),
        wallet_id=WALLET,
        start=local_midnight(zone, start),
        end=None,
        zone=zone,
        anchor=cycle.anchor(first),
        service_start=local_midnight(zone, first),
        billing=cycle.interval,
        frequency=RatingFrequency(period=rating, delay=Delay(3)),
    )


@given(cut_calendars())
def test_periods_tile_time_from_the_start_of_the_service_and_end_as_whole_ones_do(calendar):
    zone, anchor, length = calendar.zone, calendar.anchor, calendar.frequency.period
    at = calendar.start
    for _ in range(6):
        found = periods_at(calendar, at)
        assert found is not None
        rating, whole = found.rating, rating_period(zone, anchor, length, at)
        assert rating.start == max(whole.start, calendar.service_start) <= at < rating.end
        assert rating.end == whole.end
        assert rating.freeze == freeze_time(zone, whole.end, Delay(3))
        billing, whole = found.billing, period_containing(zone, anchor, calendar.billing, at)
        assert billing == Period(max(whole.start, calendar.service_start), whole.end)
        following = periods_at(calendar, rating.end)
        assert following is not None
        assert following.rating.start == rating.end
        before = periods_at(calendar, rating.end - INSTANT)
        assert before is not None
        assert before.rating == rating
        after = periods_at(calendar, billing.end)
        assert after is not None
        assert after.billing.start == billing.end
        at = rating.end


@given(cut_calendars(), st.integers(0, 400))
def test_a_rating_period_is_in_the_billing_period_that_its_told_start_is_in(calendar, days):
    wallet = WalletCalendar(
        zone=calendar.zone,
        anchor=calendar.anchor,
        service_start=calendar.service_start,
        billing=calendar.billing,
        frequency=calendar.frequency,
    )
    at = calendar.start + timedelta(days=days)
    found = periods_at(calendar, at)
    assert found is not None
    whole = rating_period(calendar.zone, calendar.anchor, calendar.frequency.period, at)

    billed = wallet.served(wallet.billing_of(whole))

    assert billed.start >= calendar.service_start
    assert billed.contains(found.rating.start)
