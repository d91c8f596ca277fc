"""The live balance: posted entries and what is not final yet, as one figure."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.rating.rates import RateSegment
from server.domain.settlement.walk import WalletTerms, settle
from server.domain.wallets.balances import WalletState, balance, percent
from tests import strategies
from tests.strategies import ASSET, WALLET, cell, entitlement, grant, terms

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = PERIODS = strategies.months("UTC", 3)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def state(cells, *grants, held=(), period=JANUARY, **more):
    return WalletState(
        terms=TERMS,
        grants=grants,
        entitlements=held,
        cells=tuple(cells),
        period=period,
        **more,
    )


def test_300_of_10000_images_leave_9700():
    held = grant("g", 10000, day(1, 1), day(2, 1))
    wallet = state([cell("a", 300, day(1, 5), period=JANUARY)], held)

    found = balance(wallet, now=day(1, 6))

    assert (found.balance, found.posted_balance) == (9700, 10000)
    assert (found.granted, found.consumed, found.used, found.overage) == (
        10000,
        300,
        300,
        0,
    )
    assert found.percent_used == 3
    assert found.grants[0].is_provisional


def test_overage_counts_into_the_percentage_and_the_charge():
    held = grant("g", 4000, day(1, 1), day(2, 1))
    rates = {ASSET: (RateSegment(start=day(1, 1), terms=terms("0.75")),)}
    wallet = state([cell("a", 4500, day(1, 5), period=JANUARY)], held, rates=rates)

    found = balance(wallet, now=day(1, 6))

    assert (found.balance, found.overage, found.percent_used) == (
        0,
        500,
        Decimal("112.50"),
    )
    assert [charge.amount for charge in found.charges] == [375]


def test_a_charge_without_a_rate_says_so():
    found = balance(state([cell("a", 5, day(1, 5), period=JANUARY)]), now=day(1, 6))

    assert [(c.amount, c.failure) for c in found.charges] == [(None, "RATE_NOT_FOUND")]
    assert found.percent_used is None


def test_a_rolled_remainder_and_a_refresh_are_provisional_before_they_are_posted():
    held = entitlement(rollover=RolloverPolicy(max_count=1), end=date(2025, 1, 1))
    posted = settle(TERMS, (), [held], (), through=day(1, 1)).grants
    january = cell("a", 60, day(1, 20), period=JANUARY)
    wallet = state([january], *posted, held=(held,), period=FEBRUARY)

    found = balance(wallet, now=day(2, 2))

    assert (found.balance, found.posted_balance, found.used) == (140, 100, 0)
    assert [g.is_open for g in found.grants].count(True) == 2
    assert all(g.is_provisional for g in found.grants)


def test_late_january_usage_does_not_touch_what_february_was_given():
    held = entitlement(end=date(2025, 1, 1))
    posted = settle(TERMS, (), [held], (), through=day(2, 1)).grants
    late = cell("late", 30, day(1, 31), period=JANUARY)

    january_left = replace(posted[0], balance=Decimal(100))
    wallet = state([late], january_left, *posted[1:], held=(held,), period=FEBRUARY)

    assert balance(wallet, now=day(2, 2)).balance == 100


def test_a_percentage_has_two_places():
    assert percent(Decimal(1), Decimal(3)) == Decimal("33.33")


@given(
    strategies.usage("UTC", PERIODS),
    strategies.entitlements(),
    st.integers(0, 90),
    st.integers(0, 2),
)
@settings(max_examples=60)
def test_finalising_a_period_does_not_move_the_balance(cells, held, days, final):
    now = day(1, 1) + timedelta(days=days)
    seen = [one for one in cells if one.start <= now]
    wallet = state(seen, held=(held,), period=FEBRUARY)
    period = PERIODS[final]
    done = [one for one in seen if one.period.start <= period.start]
    rest = [one for one in seen if one not in done]
    if now < period.end:
        return

    posted = settle(
        TERMS,
        (),
        [held],
        increments(done, TERMS.aggregation, zone="UTC"),
        through=period.end,
    )
    after = state(rest, *posted.grants, held=(held,), period=FEBRUARY)

    assert balance(after, now=now).balance == balance(wallet, now=now).balance


@given(
    strategies.usage("UTC", PERIODS),
    strategies.entitlements(),
    st.integers(0, 60),
    st.integers(1, 40 * 24),
)
@settings(max_examples=100)
def test_the_same_usage_has_the_same_balance_until_time_changes_it(cells, held, days, hours):
    now = day(1, 1) + timedelta(days=days)
    period = next(one for one in PERIODS if one.contains(now))
    wallet = state([one for one in cells if one.start <= now], held=(held,), period=period)

    found = balance(wallet, now=now)
    later = now + timedelta(hours=hours)
    last = min(later, found.holds_until - timedelta(microseconds=1))

    assert now < found.holds_until <= period.end
    assert balance(wallet, now=last) == found
