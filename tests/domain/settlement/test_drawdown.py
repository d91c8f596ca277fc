"""Spending on grants, in the order of the policy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given

from server.domain.ids import EntitlementId, GrantId
from server.domain.modeling.policies import DrawdownOrder
from server.domain.selling.grants import Grant
from server.domain.settlement.drawdown import TURN, Debit, draw_down
from tests import strategies
from tests.strategies import grant

NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
JANUARY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


def spend(wallet, drawdown):
    spent = {debit.grant_id: debit.quantity for debit in drawdown.debits}
    return [replace(g, balance=g.balance - spent.get(g.id, 0)) for g in wallet]


@pytest.mark.parametrize(
    ("order", "paid"),
    [
        (DrawdownOrder.EXPIRING_FIRST, [("B", 2000), ("A", 500)]),
        (DrawdownOrder.GRANTED_FIRST, [("A", 2500)]),
        (DrawdownOrder.GRANTED_LAST, [("B", 2000), ("A", 500)]),
    ],
)
def test_the_order_decides_who_pays_first(order, paid):
    a = grant("A", 4000, *JANUARY)
    b = grant("B", 2000, datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 1, 21, tzinfo=UTC))
    names = {a.id: "A", b.id: "B"}

    drawdown = draw_down([a, b], Decimal(2500), order=order, at=NOON)

    assert [(names[debit.grant_id], debit.quantity) for debit in drawdown.debits] == paid
    assert drawdown.overage == 0


@pytest.mark.parametrize(
    ("granted", "used", "balance", "overage"),
    [
        (4000, 4500, 0, 500),
        (2, 102, 0, 100),
        (10000, 300, 9700, 0),
        (4000, 4100, 0, 100),
    ],
)
def test_what_the_grant_does_not_cover_is_overage(granted, used, balance, overage):
    wallet = [grant("A", granted, *JANUARY)]

    drawdown = draw_down(wallet, Decimal(used), order=DrawdownOrder.EXPIRING_FIRST, at=NOON)

    assert drawdown.overage == overage
    assert spend(wallet, drawdown)[0].balance == balance


def test_every_order_has_its_turn():
    assert set(TURN) == set(DrawdownOrder)


@given(strategies.wallets(NOON), strategies.quantities(3000), strategies.orders)
def test_nothing_is_created_or_lost(wallet, quantity, order):
    drawdown = draw_down(wallet, quantity, order=order, at=NOON)

    assert drawdown.drawn + drawdown.overage == quantity
    assert all(held.balance >= 0 for held in spend(wallet, drawdown))
    assert len({debit.grant_id for debit in drawdown.debits}) == len(drawdown.debits)


@given(
    strategies.wallets(NOON),
    strategies.quantities(),
    strategies.quantities(),
    strategies.orders,
)
def test_usage_may_arrive_in_any_number_of_pieces(wallet, first, second, order):
    whole = draw_down(wallet, first + second, order=order, at=NOON)
    one = draw_down(wallet, first, order=order, at=NOON)
    two = draw_down(spend(wallet, one), second, order=order, at=NOON)

    assert one.overage + two.overage == whole.overage
    assert spend(spend(wallet, one), two) == spend(wallet, whole)


@given(strategies.wallets(NOON), strategies.quantities(), strategies.orders)
def test_only_open_grants_pay_and_their_order_in_the_list_is_nothing(wallet, quantity, order):
    drawdown = draw_down(wallet, quantity, order=order, at=NOON)

    is_open = {held.id: held.is_open(NOON) for held in wallet}
    assert all(is_open[debit.grant_id] for debit in drawdown.debits)
    assert drawdown == draw_down(wallet[::-1], quantity, order=order, at=NOON)


def test_a_surcharge_takes_more_than_the_usage_and_leaves_what_covers_nothing():
    """At 1.25 each, 100 cover 80; 0.000000000001 at 1.25 covers nothing and stays."""
    full, rest = grant("A", 100, *JANUARY), grant("B", Decimal("1e-12"), *JANUARY)
    ratios = {one.entitlement_id: Decimal("1.25") for one in (full, rest)}

    drawdown = draw_down(
        [full, rest], Decimal(90), order=DrawdownOrder.EXPIRING_FIRST, at=NOON, ratios=ratios
    )

    assert [(one.quantity, one.amount) for one in drawdown.debits] == [(80, 100)]
    assert drawdown.overage == 10


DAY = timedelta(days=1)


def turn_grant(number: int, start: int, expire: int | None, rollovers: int = 0) -> Grant:
    """A grant of 10, with its number as its id."""
    end = None if expire is None else JANUARY[0] + expire * DAY
    opened = grant(number, 10, JANUARY[0] + start * DAY, end)
    return replace(opened, id=GrantId(UUID(int=number)), rollovers=rollovers)


EXPIRING_FIRST, GRANTED_FIRST, GRANTED_LAST = DrawdownOrder


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [
        # (start, expiry, rollovers) of the grant that pays and of the one that does not.
        (EXPIRING_FIRST, (5, 20, 0), (1, 21, 1)),
        (EXPIRING_FIRST, (5, 20, 0), (1, None, 1)),
        (EXPIRING_FIRST, (1, 20, 0), (5, 20, 1)),
        (EXPIRING_FIRST, (1, 20, 1), (1, 20, 0)),
        (GRANTED_FIRST, (1, 21, 0), (5, 20, 1)),
        (GRANTED_FIRST, (1, 20, 0), (1, 21, 1)),
        (GRANTED_FIRST, (1, 20, 0), (1, None, 1)),
        (GRANTED_FIRST, (1, 20, 1), (1, 20, 0)),
        (GRANTED_LAST, (5, 21, 1), (1, 20, 0)),
        (GRANTED_LAST, (1, 20, 1), (1, 21, 0)),
        (GRANTED_LAST, (1, 20, 1), (1, None, 0)),
        (GRANTED_LAST, (1, 20, 0), (1, 20, 1)),
    ],
)
def test_ties_of_an_order_are_broken_by_the_other_dates_and_the_rollovers(order, first, second):
    payer, other = turn_grant(2, *first), turn_grant(1, *second)

    [debit] = draw_down([other, payer], Decimal(10), order=order, at=NOON).debits

    assert debit.grant_id == payer.id


@pytest.mark.parametrize("order", DrawdownOrder)
def test_of_equal_grants_the_lower_id_pays(order):
    low, high = turn_grant(1, 1, 20), turn_grant(2, 1, 20)

    [debit] = draw_down([high, low], Decimal(10), order=order, at=NOON).debits

    assert debit.grant_id == low.id


def test_an_empty_grant_and_no_usage_make_no_debit():
    empty = replace(grant("A", 5, *JANUARY), balance=Decimal(0))
    full = grant("B", 5, *JANUARY)

    paid = draw_down([empty, full], Decimal(3), order=EXPIRING_FIRST, at=NOON)
    nothing = draw_down([full], Decimal(0), order=EXPIRING_FIRST, at=NOON)

    assert [debit.grant_id for debit in paid.debits] == [full.id]
    assert (nothing.debits, nothing.overage) == ((), 0)


TINY = "0.000000000001"


@pytest.mark.parametrize(
    ("ratio", "balance", "used", "covered", "taken"),
    [
        # 100 units at 20 % off take 80.
        ("0.8", "1000", "100", "100", "80"),
        ("0.8", "80", "100", "100", "80"),
        # 40 left pay for 50 of the 100.
        ("0.8", "40", "100", "50", "40"),
        # 1 / 0.7 and 1 / 0.6 are rounded down, and the whole balance is taken.
        ("0.7", "1", "100", "1.428571428571", "1"),
        ("0.6", "1", "100", "1.666666666666", "1"),
        # Half of the smallest quantity is rounded up, so that it is not free.
        ("0.5", "1", TINY, TINY, TINY),
        ("1", "40", "100", "40", "40"),
    ],
)
def test_a_commitment_pays_less_than_the_usage(ratio, balance, used, covered, taken):
    held = replace(grant("A", balance, *JANUARY), quantity=Decimal(10_000))
    ratios = {held.entitlement_id: Decimal(ratio)}

    found = draw_down([held], Decimal(used), order=EXPIRING_FIRST, at=NOON, ratios=ratios)

    assert found.debits == (Debit(held.id, Decimal(covered), Decimal(taken)),)
    assert found.overage == Decimal(used) - Decimal(covered)


def test_a_commitment_pays_first_and_other_grants_the_rest_in_full():
    """40 left pay for 50 of 60 units; the grant that expires sooner pays the 10 others in full."""
    late = grant("A", 40, JANUARY[0])
    committed = replace(late, entitlement_id=EntitlementId(UUID(int=1)))
    sooner = grant("B", 100, *JANUARY)
    ratios = {committed.entitlement_id: Decimal("0.8")}

    found = draw_down(
        [sooner, committed], Decimal(60), order=EXPIRING_FIRST, at=NOON, ratios=ratios
    )

    assert found.debits == (
        Debit(committed.id, Decimal(50), Decimal(40)),
        Debit(sooner.id, Decimal(10), Decimal(10)),
    )
