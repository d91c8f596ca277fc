"""The model against the rulings' figures, and against the domain for usage that is in time."""

from fractions import Fraction

import pytest
from hypothesis import given, settings

from tests.oracle import cases, scenarios
from tests.oracle.compare import assert_moved_alike, assert_same
from tests.oracle.ledger import Ledger
from tests.oracle.lives import Account
from tests.oracle.naive import account
from tests.oracle.plans import Plan, Service, Wallet
from tests.oracle.scenarios import Scenario, at, day, monthly, one_wallet, used


@settings(max_examples=cases.EXAMPLES)
@given(cases.in_time())
def test_what_is_in_time_is_closed_as_the_model_has_it(case):
    plan, records = case
    ledger = Ledger(plan)
    for record in records:
        ledger.record(record)
    for month in range(plan.months):
        ledger.close(month)
    ledger.bill()

    found, due = ledger.account(), account(plan, records)

    ledger.check()
    assert_same(found, due)
    assert_moved_alike(plan, found, due)


def moved(found: Account, kind: str) -> list[tuple[int, int]]:
    """The month and the quantity of each movement of a kind, by the start of its grant."""
    moves = [
        (key[2].month, int(amount)) for (key, own), amount in found.moved.items() if own == kind
    ]
    return sorted(moves)


def owed(found: Account) -> list[Fraction]:
    return [amount for amount in found.rounded.values() if amount]


def both(scenario: Scenario) -> tuple[Account, Account]:
    """Return the accounts of what is in time, and of everything."""
    plan, in_time, changed = scenario
    return account(plan, in_time), account(plan, scenarios.changed(in_time, changed))


def test_scenario_a_a_remainder_within_its_cap_rolls_whole():
    before, found = both(scenarios.a())

    assert sum(before.balances.values()) == 130
    assert moved(before, "expired") == [(1, -20)]
    assert sum(found.balances.values()) == 110
    assert moved(found, "rolled out") == [(1, -30), (2, -10)]
    assert moved(found, "expired") == []


def test_scenario_b_one_more_unit_makes_tokens_cheaper_and_nothing_is_owed():
    before, found = both(scenarios.b())

    assert before.exact == {("usage", 1, 0): 150, ("credits", 1, 0): 10}
    assert moved(before, "drawn") == [(1, -100)]
    assert found.exact == {("usage", 1, 0): 80, ("credits", 1, 0): 0}
    assert moved(found, "drawn") == [(1, -80)]
    assert moved(found, "expired") == [(1, -20)]
    assert (owed(before), owed(found)) == ([10], [])


def test_scenario_c_the_commitment_serves_the_usage_of_the_earlier_day():
    before, found = both(scenarios.c())

    assert before.rounded == {("usage", 1, 0): 4200, ("usage", 2, 0): 0}
    assert found.rounded == {("usage", 1, 0): 5400, ("usage", 2, 0): 0}


@pytest.mark.parametrize(
    ("count", "expired", "owed_before", "owed_after", "left"),
    [(1, [-10, -35], 20, 20, 0), (None, [0, 0], 10, 0, 15)],
)
def test_scenario_d_a_void_gives_back_what_had_rolled_over(
    count, expired, owed_before, owed_after, left
):
    before, found = both(scenarios.d(count))

    gone = [sum(quantity for _, quantity in moved(one, "expired")) for one in (before, found)]
    assert gone == expired
    assert (sum(owed(before)), sum(owed(found))) == (owed_before, owed_after)
    assert sum(found.balances.values()) == 100 + left


def test_a_unit_that_takes_a_month_to_another_tier_makes_all_units_cheaper():
    plan = one_wallet(1, at((0, 10), (16, 5)))

    assert owed(account(plan, [used(day(1, 10), 15)])) == [150]
    assert owed(account(plan, [used(day(1, 10), 15), used(day(1, 20), 1)])) == [80]


def test_late_units_are_paid_for_by_the_grant_of_their_own_month():
    plan = one_wallet(2, at((0, 2)), monthly(10))

    assert owed(account(plan, [used(day(1, 10), 12), used(day(2, 10), 10)])) == [4]


@pytest.mark.parametrize(("rate", "amount"), [("0.004", 4), ("0.006", 6)])
def test_a_thousand_labels_are_rounded_once(rate, amount):
    plan = one_wallet(1, at((0, rate)))

    found = account(plan, [used(day(1, 10), 1, dimensions=str(n)) for n in range(1000)])

    assert owed(found) == [amount]


@pytest.mark.parametrize(
    ("method", "by_day", "whole"),
    [
        ("SUM", 67, 67),
        ("COUNT", 5, 5),
        ("PEAK", 30 + 10 + 12, 30),
        ("UNIQUE_COUNT", 2 + 1 + 1, 3),
        ("LATEST", 30 + 10 + 12, 12),
        ("MINIMUM", 5 + 10 + 10, 5),
        ("AVERAGE", Fraction("17.5") + 10 + 11, Fraction("13.4")),
        ("TIME_WEIGHTED", None, None),
    ],
)
def test_each_method_counts_by_the_day_and_by_the_month(method, by_day, whole):
    records = [
        used(day(1, 1, 0), 5, value="a"),
        used(day(1, 1, 12), 30, value="b"),
        used(day(1, 3, 0), 10, value="a"),
        used(day(1, 21, 0), 10, value="c"),
        used(day(1, 21, 1), 12, value="c"),
    ]
    if method == "TIME_WEIGHTED":
        # Held for half a day, 1.5 days, 18 days, an hour, and the rest of 31 days.
        hours = 5 * 12 + 30 * 36 + 10 * 18 * 24 + 10 + 12 * (11 * 24 - 1)
        by_day, whole = Fraction(hours, 24), Fraction(hours, 24 * 31)
    found = []
    for is_whole in (False, True):
        wallet = Wallet("usage", (), {1: at((0, 1))}, method, is_whole_period=is_whole)
        found.append(account(Plan(1, {1: Service()}, (wallet,)), records).exact["usage", 1, 0])

    assert [
        abs(one - due) < Fraction(1, 10**9) for one, due in zip(found, (by_day, whole), strict=True)
    ] == [True, True]
