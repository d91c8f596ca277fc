"""Caps of rollover: how much of the remainders goes on, which first, and what expires."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.settlement.ledger import Head, post
from server.domain.settlement.rollover import rollover_cap
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.strategies import WALLET, cell, entitlement

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def policy(count=None, quantity=None, percent=None, remainder=None):
    return RolloverPolicy(
        max_count=count,
        max_quantity=None if quantity is None else Decimal(quantity),
        max_percent=None if percent is None else Decimal(percent),
        remainder_percent=None if remainder is None else Decimal(remainder),
    )


def walk(*held, used=(), through):
    found = increments(used, TERMS.aggregation, zone="UTC")
    return settle(TERMS, (), held, found, through=through)


def opened_at(settlement, instant):
    """Return the balance and the number of rollovers of each open grant."""
    return sorted(
        (int(grant.balance), grant.rollovers)
        for grant in settlement.grants
        if grant.is_open(instant) and grant.balance
    )


@pytest.mark.parametrize(
    ("rollover", "quantity", "scale", "cap"),
    [
        (None, 100, 0, None),
        (policy(), 100, 0, None),
        (policy(quantity=30), 100, 0, 30),
        (policy(percent=50), 100, 0, 50),
        (policy(percent=50), 1000, 0, 500),
        (policy(quantity=30, percent=50), 100, 0, 30),
        (policy(quantity=70, percent=50), 100, 0, 50),
        # 35 % of 10 are 3.5: a half is cut off, unless the unit has a place for it.
        (policy(percent=35), 10, 0, 3),
        (policy(percent=35), 10, 1, "3.5"),
    ],
)
def test_the_lower_cap_counts_in_whole_steps_of_the_unit(rollover, quantity, scale, cap):
    held = entitlement(quantity=quantity, rollover=rollover, scale=scale)

    assert rollover_cap(held) == (None if cap is None else Decimal(cap))


def test_what_is_above_the_cap_expires_and_each_entry_is_posted_once():
    """100 a month, half may roll: of the 70 left in January 50 roll and 20 expire."""
    held = entitlement(rollover=policy(percent=50))

    settlement = walk(held, used=[cell("jan", 30, day(1, 10), period=JANUARY)], through=day(2, 1))

    moves = [(move.kind.value, int(move.amount), move.leg) for move in settlement.movements[2:]]
    assert moves == [
        ("ROLLOVER", -50, 0),
        ("ROLLOVER", 50, 1),
        ("EXPIRY", -20, 2),
        ("REFRESH", 100, 0),
    ]
    assert opened_at(settlement, day(2, 1)) == [(50, 1), (100, 0)]
    rolled = next(grant for grant in settlement.grants if grant.rollovers)
    assert (rolled.quantity, rolled.start, rolled.expire) == (50, day(2, 1), day(3, 1))
    assert post(Head(wallet_id=WALLET), (), settlement.movements).head.balance == 150


@pytest.mark.parametrize("name", range(6))
def test_all_remainders_of_a_window_share_its_cap_and_the_one_with_rollovers_left_goes_first(name):
    """February keeps 50 that rolled and its own 100: 50 of the 100 roll, the other 50 expire."""
    held = entitlement(name, rollover=policy(count=2, quantity=50))

    settlement = walk(held, through=day(3, 1))

    assert opened_at(settlement, day(3, 1)) == [(50, 1), (100, 0)]
    march = [
        (move.kind.value, int(move.amount))
        for move in settlement.movements
        if move.effective_time == day(3, 1)
    ]
    assert march == [
        ("ROLLOVER", -50),
        ("ROLLOVER", 50),
        ("EXPIRY", -50),
        ("EXPIRY", -50),
        ("REFRESH", 100),
    ]


def test_a_second_remainder_rolls_into_what_the_first_left_of_the_cap():
    """Under a cap of 70, of 40 rolled and 100 new in February 20 were used: 70 go on, not 120."""
    held = entitlement(rollover=policy(count=2, quantity=70))
    january = cell("jan", 60, day(1, 10), period=JANUARY)
    february = cell("feb", 90, day(2, 10), period=FEBRUARY)

    settlement = walk(held, used=[january, february], through=day(3, 1))

    # 90 are drawn from the 40 that rolled and from 50 of the 100; the 50 left are below the cap.
    assert opened_at(settlement, day(3, 1)) == [(50, 1), (100, 0)]


def test_two_remainders_fill_the_cap_together():
    """20 that rolled are left of 40 and 100 are new: of the 100 and the 20 at most 110 go on."""
    held = entitlement(rollover=policy(count=2, quantity=110))
    january = cell("jan", 60, day(1, 10), period=JANUARY)
    february = cell("feb", 20, day(2, 10), period=FEBRUARY)

    settlement = walk(held, used=[january, february], through=day(3, 1))

    assert opened_at(settlement, day(3, 1)) == [(10, 2), (100, 0), (100, 1)]


def test_a_last_unit_rolls_over():
    used = [cell("jan", 99, day(1, 10), period=JANUARY)]

    settlement = walk(entitlement(rollover=policy(count=1)), used=used, through=day(2, 1))

    assert opened_at(settlement, day(2, 1)) == [(1, 1), (100, 0)]


@pytest.mark.parametrize("rollover", [policy(quantity=50), policy(count=1, quantity=50)])
def test_each_entitlement_has_a_cap_and_remainders_of_its_own(rollover):
    held = [entitlement(name, rollover=rollover) for name in (1, 2)]

    settlement = walk(*held, through=day(2, 1))

    assert opened_at(settlement, day(2, 1)) == [(50, 1), (50, 1), (100, 0), (100, 0)]


def test_a_last_unit_of_the_cap_is_used():
    """The 100 of February fill 100 of a cap of 101, so 1 of the 40 that rolled goes on."""
    held = entitlement(rollover=policy(count=2, quantity=101))
    january = cell("jan", 60, day(1, 10), period=JANUARY)

    settlement = walk(held, used=[january], through=day(3, 1))

    assert opened_at(settlement, day(3, 1)) == [(1, 2), (100, 0), (100, 1)]


def test_the_cap_of_one_window_is_not_that_of_the_next():
    held = entitlement(rollover=policy(count=1, quantity=50))

    for month in (2, 3, 4):
        now = day(month, 1)
        assert opened_at(walk(held, through=now), now) == [(50, 1), (100, 0)]


def test_a_cap_of_zero_lets_everything_expire():
    settlement = walk(entitlement(rollover=policy(quantity=0)), through=day(2, 1))

    assert opened_at(settlement, day(2, 1)) == [(100, 0)]
    # What expires is a leg of its own, whatever rolls over beside it.
    assert [move.leg for move in settlement.movements] == [0, 2, 0]


def test_uncounted_remainders_join_one_grant_within_the_cap():
    """100 roll into March and join; with a cap of 120, 20 of the older 100 go on."""
    held = entitlement(rollover=policy(quantity=120))

    settlement = walk(held, through=day(3, 1))

    assert sum(balance for balance, _ in opened_at(settlement, day(3, 1))) == 220
    joined = next(
        grant for grant in settlement.grants if grant.rollovers and grant.is_open(day(3, 1))
    )
    assert (joined.quantity, joined.balance) == (120, 120)


@pytest.mark.parametrize(
    ("rollover", "rolled"),
    [
        # 30 of 100 are left.
        (policy(remainder=60), 18),
        (policy(remainder=100), 30),
        (policy(remainder=60, quantity=10), 10),
        # 1 % of 30 is less than a whole unit.
        (policy(remainder=1), 0),
    ],
)
def test_a_part_of_what_is_left_rolls_over_and_the_rest_expires(rollover, rolled):
    used = [cell("jan", 70, day(1, 10), period=JANUARY)]

    settlement = walk(entitlement(rollover=rollover), used=used, through=day(2, 1))

    assert opened_at(settlement, day(2, 1)) == [*([(rolled, 1)] if rolled else []), (100, 0)]
    expired = [int(move.amount) for move in settlement.movements if move.kind.value == "EXPIRY"]
    assert expired == ([rolled - 30] if rolled < 30 else [])
