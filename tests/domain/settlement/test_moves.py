"""Moves: what leaves a wallet on a day arrives in another one, with its window and rollovers."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import Period
from server.domain.consumption.aggregation import increments
from server.domain.ids import WalletId
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.selling.grants import first_index_from
from server.domain.settlement.moves import (
    arrivals,
    changed_arrivals,
    departed,
    first_changed,
    replaced,
)
from server.domain.settlement.walk import WalletTerms, settle
from server.domain.settlement.wallet_states import WalletState, walked
from tests import strategies
from tests.strategies import WALLET, cell, entitlement

SUM = AggregationPolicy.usual(AggregationMethod.SUM)
TERMS = WalletTerms(id=WALLET, zone="UTC", aggregation=SUM)
OTHER = WalletId(UUID(int=99))
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)
THERE = replace(TERMS, id=OTHER)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def parts(at, index, **more):
    """The part of an entitlement in the wallet that it leaves, and that where it goes on."""
    held = entitlement(end=date(2025, 1, 1), **more)
    before = replace(held, issues_until=index, leave_time=at, leaves_to=OTHER)
    return before, replace(held, wallet_id=OTHER, issues_from=index)


def state(part, cells=(), **more):
    terms = TERMS if part.leaves_to else THERE
    values = {"grants": (), "period": Period(day(1, 1), day(2, 1)), **more}
    return WalletState(terms=terms, entitlements=(part,), cells=tuple(cells), **values)


def lines(settlement):
    return [
        (move.kind.value, move.effective_time.date(), int(move.amount))
        for move in settlement.movements
    ]


def test_a_remainder_rolls_over_then_leaves_and_arrives_with_its_window():
    before, after = parts(day(2, 1), 1, rollover=RolloverPolicy(max_count=2))
    used = [cell("jan", 60, day(1, 10), period=JANUARY)]

    source = walked(state(before, used), used, through=day(2, 1))
    arrived = departed(state(before), source)[OTHER]
    target = walked(state(after, arrivals=arrived), (), through=day(2, 20))

    assert lines(source)[-3:] == [
        ("ROLLOVER", date(2024, 2, 1), -40),
        ("ROLLOVER", date(2024, 2, 1), 40),
        ("MOVED_OUT", date(2024, 2, 1), -40),
    ]
    assert sorted(lines(target)) == [
        ("MOVED_IN", date(2024, 2, 1), 40),
        ("REFRESH", date(2024, 2, 1), 100),
    ]
    [rolled] = arrived
    assert (rolled.start, rolled.expire, rolled.rollovers) == (day(2, 1), day(3, 1), 1)
    assert sum(grant.balance for grant in source.grants) == 0


def test_what_arrives_pays_from_then_on_and_not_for_usage_before():
    before, after = parts(day(1, 16), 1)
    source = walked(state(before), (), through=day(1, 16))
    arrived = departed(state(before), source)[OTHER]
    used = [
        cell("early", 30, day(1, 15), period=JANUARY),
        cell("late", 30, day(1, 16), period=JANUARY),
    ]

    # As the walk brings it in, and as it is when it is posted already.
    walking = walked(state(after, arrivals=arrived), used, through=day(1, 31))
    posted = walked(state(after, grants=arrived), used, through=day(1, 31))

    for settlement in (walking, posted):
        assert [int(result.drawn) for result in settlement.results] == [0, 30]
        assert [int(grant.balance) for grant in settlement.grants] == [70]


def test_an_issue_that_was_posted_after_the_day_leaves_at_once():
    before, after = parts(day(1, 16), 2)

    source = walked(state(before), (), through=day(3, 1))
    target = walked(
        state(after, arrivals=departed(state(before), source)[OTHER]), (), through=day(3, 1)
    )

    out = [line for line in lines(source) if line[0] == "MOVED_OUT"]
    assert out == [("MOVED_OUT", date(2024, 1, 16), -100), ("MOVED_OUT", date(2024, 2, 1), -100)]
    assert [line for line in lines(target) if line[0] == "REFRESH"] == [
        ("REFRESH", date(2024, 3, 1), 100)
    ]


@given(
    st.lists(st.tuples(st.integers(1, 31), st.integers(1, 60)), max_size=6),
    st.integers(1, 31),
    st.sampled_from([None, RolloverPolicy(max_count=1), RolloverPolicy(max_count=None)]),
)
def test_nothing_is_lost_and_both_wallets_together_hold_what_one_would(usage, number, rollover):
    """One asset alone draws the same whether its wallet changes or not."""
    at = day(1, number)
    before, after = parts(at, 1, rollover=rollover)
    cells = [
        cell(f"{index}", quantity, day(1, on), period=JANUARY)
        for index, (on, quantity) in enumerate(usage)
    ]
    here = [one for one in cells if one.start < at]
    there = [one for one in cells if one.start >= at]

    source = walked(state(before, here), here, through=day(2, 1))
    moved = departed(state(before), source).get(OTHER, ())
    target = walked(state(after, there, arrivals=moved), there, through=day(2, 1))
    alone = entitlement(end=date(2025, 1, 1), rollover=rollover)
    whole = settle(TERMS, (), [alone], increments(cells, SUM, zone="UTC"), through=day(2, 1))

    out = sum((m.amount for m in source.movements if m.kind.value == "MOVED_OUT"), Decimal())
    came = sum((m.amount for m in target.movements if m.kind.value == "MOVED_IN"), Decimal())
    assert out + came == 0
    assert sum(g.balance for g in (*source.grants, *target.grants)) == sum(
        g.balance for g in whole.grants
    )
    assert sum(r.overage for r in (*source.results, *target.results)) == sum(
        r.overage for r in whole.results
    )


def test_changed_arrivals_are_posted_as_differences():
    before, _ = parts(day(2, 1), 1)
    whole = departed(state(before), walked(state(before), (), through=day(1, 31)))
    assert whole == {}
    before, _ = parts(day(1, 16), 1)
    [grant] = departed(state(before), walked(state(before), (), through=day(1, 31)))[OTHER]
    less = replace(grant, quantity=Decimal(30), balance=Decimal(30))

    first, opened = changed_arrivals((), (grant,), closed=None)
    then, again = changed_arrivals((grant,), (less,), closed=None)
    gone, _ = changed_arrivals((less,), (), closed=None)
    final, _ = changed_arrivals((grant,), (less,), closed=day(2, 1))

    assert first == arrivals([grant])
    assert (opened, again) == ((grant,), ())
    assert [(m.kind.value, int(m.amount)) for m in then] == [("CORRECTION", -70)]
    assert [int(m.amount) for m in gone] == [-30]
    # The walk over final periods has these.
    assert final == ()
    assert first_changed((grant,), (less,)) == day(1, 16)
    assert first_changed((grant,), (grant,)) is None


def test_only_the_arrivals_of_the_wallet_that_was_walked_again_are_replaced():
    before, _ = parts(day(1, 16), 1)
    [grant] = departed(state(before), walked(state(before), (), through=day(1, 31)))[OTHER]
    other = replace(grant, id=UUID(int=7), entitlement_id=UUID(int=8))

    through = replaced((grant, other), state(before), (), since=day(1, 1), through=day(2, 1))
    later = replaced((grant, other), state(before), (), since=day(1, 16), through=day(2, 1))

    assert through == (other,)
    assert set(later) == {grant, other}


def test_the_first_issue_from_a_time_on():
    held = entitlement(end=date(2025, 1, 1))

    found = [
        first_index_from(held, "UTC", at)
        for at in (day(1, 1), day(1, 2), day(2, 1), day(2, 2), day(3, 1))
    ]

    assert found == [0, 1, 1, 2, 2]
