"""Spending on grants, in the order of the policy."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given

from server.domain.modeling.policies import DrawdownOrder
from server.domain.settlement.drawdown import TURN, draw_down
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
