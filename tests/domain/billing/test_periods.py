"""Periods at an instant: of a resource that an asset has, and of an account."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from server.domain.billing.periods import (
    RefreshWindow,
    ResourceCalendar,
    account_billing_period,
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
)
from server.domain.ids import ProductGrantId, ProductId, ResourceId
from server.domain.modeling.policies import RatingFrequency
from server.domain.selling.sales import SoldEntitlement
from tests.strategies import WALLET, entitlement

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
    found = account_billing_period("UTC", 10, months, anchors, instant)

    assert found == (None if period is None else Period(*period))


def test_periods_are_the_same_if_all_are():
    march, april = Period(day(3, 1), day(4, 1)), Period(day(4, 1), day(5, 1))

    assert same([march, march]) == march
    assert same([march, april]) is None
    assert same([]) is None
