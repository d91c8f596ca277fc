"""The walk: usage, expiries, rollovers and issues, each in its place in time."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.settlement.ledger import EntryKind
from server.domain.settlement.walk import WalletTerms, settle
from tests import strategies
from tests.strategies import WALLET, cell, entitlement, grant

SUM = AggregationPolicy.usual(AggregationMethod.SUM)
TERMS = WalletTerms(id=WALLET, zone="UTC", aggregation=SUM)
JANUARY, FEBRUARY, MARCH = MONTHS = strategies.months("UTC", 3)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def walk(cells, held, *, through, grants=(), terms=TERMS):
    found = increments(cells, terms.aggregation, zone=terms.zone)
    return settle(terms, grants, held, found, through=through)


def lines(settlement):
    return [
        (move.kind.value, move.effective_time.date(), int(move.amount))
        for move in settlement.movements
    ]


def open_at(settlement, instant):
    return sorted(int(g.balance) for g in settlement.grants if g.is_open(instant) and g.balance)


def test_a_remainder_rolls_once_and_then_expires():
    # boundary by boundary.
    held = [entitlement(rollover=RolloverPolicy(max_count=1), end=date(2025, 1, 1))]
    cells = [cell("jan", 60, day(1, 10), period=JANUARY)]
    cells.append(cell("feb", 30, day(2, 10), period=FEBRUARY))

    january = walk(cells[:1], held, through=day(2, 1))
    both = walk(cells, held, through=day(3, 1))

    assert lines(january) == [
        ("GRANT", date(2024, 1, 1), 100),
        ("DRAWDOWN", date(2024, 1, 10), -60),
        ("ROLLOVER", date(2024, 2, 1), -40),
        ("ROLLOVER", date(2024, 2, 1), 40),
        ("REFRESH", date(2024, 2, 1), 100),
    ]
    assert open_at(january, day(2, 1)) == [40, 100]
    assert lines(both)[:5] == lines(january)
    assert lines(both)[5] == ("DRAWDOWN", date(2024, 2, 10), -30)
    assert sorted(lines(both)[6:9]) == [
        ("EXPIRY", date(2024, 3, 1), -10),
        ("ROLLOVER", date(2024, 3, 1), -100),
        ("ROLLOVER", date(2024, 3, 1), 100),
    ]
    assert lines(both)[9:] == [("REFRESH", date(2024, 3, 1), 100)]
    assert open_at(both, day(3, 1)) == [100, 100]


def test_without_rollover_what_is_left_expires_at_each_boundary():
    settlement = walk([], [entitlement(end=date(2024, 4, 1))], through=day(4, 1))

    kinds = [move.kind for move in settlement.movements]
    assert kinds == [
        EntryKind.GRANT,
        *[EntryKind.EXPIRY, EntryKind.REFRESH] * 2,
        EntryKind.EXPIRY,
    ]
    assert sum(g.balance for g in settlement.grants) == 0


def test_remainders_that_roll_without_end_stay_one_grant():
    held = entitlement(rollover=RolloverPolicy(max_count=None), end=date(2026, 1, 1))

    settlement = walk([], [held], through=day(12, 1))

    assert open_at(settlement, day(12, 1)) == [100, 1100]
    assert len(settlement.movements) == 12 + 11 * 2 + 10 * 2
    rolled = next(g for g in settlement.grants if g.balance == 1100)
    assert (rolled.quantity, rolled.rollovers) == (1100, 1)


def test_a_pack_of_2000_joins_the_plan_of_4000_and_pays_first():
    plan, pack = (
        grant("plan", 4000, day(1, 1), day(2, 1)),
        grant("pack", 2000, day(1, 8)),
    )
    pack = replace(pack, expire=day(1, 15))

    settlement = walk(
        [cell("a", 2500, day(1, 9), period=JANUARY)],
        [],
        grants=(plan, pack),
        through=day(1, 9),
    )

    assert [int(d.quantity) for d in settlement.results[0].debits] == [2000, 500]
    assert settlement.results[0].debits[0].grant_id == pack.id


def test_an_expired_grant_pays_for_nothing_and_an_issue_for_nothing_before_it():
    held = [entitlement(start=date(2024, 2, 1), quantity=10)]
    old = grant("old", 10, day(1, 1), day(1, 20))
    cells = [cell(n, 7, day(1, n), period=JANUARY) for n in (19, 20, 31)]

    settlement = walk(cells, held, grants=(old,), through=day(2, 1))

    assert [int(result.overage) for result in settlement.results] == [0, 7, 7]
    assert lines(settlement)[-1] == ("GRANT", date(2024, 2, 1), 10)


def test_usage_of_a_period_is_drawn_before_its_boundary_whatever_comes_first():
    own = cell("own", 90, day(2, 29), period=FEBRUARY)
    more = cell("more", 30, day(1, 5), period=JANUARY)
    held = [entitlement(end=date(2025, 1, 1))]

    settlement = walk([own, more], held, through=day(3, 1))

    assert lines(settlement) == [
        ("GRANT", date(2024, 1, 1), 100),
        ("DRAWDOWN", date(2024, 1, 5), -30),
        ("EXPIRY", date(2024, 2, 1), -70),
        ("REFRESH", date(2024, 2, 1), 100),
        ("DRAWDOWN", date(2024, 2, 29), -90),
        ("EXPIRY", date(2024, 3, 1), -10),
        ("REFRESH", date(2024, 3, 1), 100),
    ]


def test_what_is_drawn_after_the_balance_is_asked_for_has_the_issues_until_then():
    """On 5 February usage of the 29th is drawn then, when a pack of the 10th is open."""
    pack = entitlement(quantity=50, start=date(2024, 2, 10), refresh=None)
    ahead = cell("ahead", 30, day(2, 29), period=FEBRUARY)

    settlement = walk([ahead], [pack], through=day(2, 5))

    [result] = settlement.results
    assert (result.drawn, result.overage) == (30, 0)
    assert [one.balance for one in settlement.grants] == [20]


def test_grants_are_listed_by_their_start():
    grants = [grant(name, 1, day(1, name)) for name in range(1, 9)]

    assert walk([], [], grants=grants[::-1], through=day(1, 9)).grants == tuple(grants)


def test_a_refresh_that_ran_already_is_not_repeated():
    held = entitlement(end=date(2025, 1, 1))
    issued = walk([], [held], through=day(2, 1))

    again = walk([], [held], grants=issued.grants, through=day(2, 1))
    told = walk([], [replace(held, next_index=2)], grants=issued.grants, through=day(2, 15))

    assert again.movements == told.movements == ()


def test_two_wallets_of_500_overdraw_alone_and_share_when_pooled():
    # asset A sends 700, asset B none.
    mine, theirs = grant("A", 500, day(1, 1)), grant("B", 500, day(1, 1))
    cells = [cell("a", 700, day(1, 5), period=JANUARY)]

    alone = walk(cells, [], grants=(mine,), through=day(2, 1))
    pooled = walk(cells, [], grants=(mine, theirs), through=day(2, 1))

    assert alone.results[0].overage == 200
    assert pooled.results[0].overage == 0
    assert sum(g.balance for g in pooled.grants) == 300


@st.composite
def worlds(draw):
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]))
    terms = WalletTerms(
        id=WALLET,
        zone=zone,
        aggregation=draw(strategies.policies),
        order=draw(strategies.orders),
    )
    periods = strategies.months(zone, 3)
    held = tuple(draw(strategies.entitlements(n)) for n in range(draw(st.integers(0, 3))))
    return terms, periods, held, draw(strategies.usage(zone, periods))


@given(worlds())
@settings(max_examples=80)
def test_finalising_period_by_period_is_walking_them_at_once(world):
    terms, periods, held, cells = world
    whole = walk(cells, held, through=periods[-1].end, terms=terms)

    grants, movements, results = (), (), ()
    for period in periods:
        fresh = [one for one in cells if one.period == period]
        part = walk(fresh, held, grants=grants, through=period.end, terms=terms)
        grants = part.grants
        movements, results = movements + part.movements, results + part.results

    assert movements == whole.movements
    assert results == whole.results
    assert {g.id: g for g in grants} == {g.id: g for g in whole.grants}


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_a_settlement_depends_on_nothing_but_what_it_is_about(world, random):
    terms, periods, held, cells = world
    found = list(increments(cells, terms.aggregation, zone=terms.zone))
    shuffled, shuffled_held = (
        random.sample(found, len(found)),
        random.sample(held, len(held)),
    )

    one = settle(terms, (), held, found, through=periods[-1].end)
    two = settle(terms, (), shuffled_held, shuffled, through=periods[-1].end)

    assert (one.movements, one.results) == (two.movements, two.results)


@given(worlds())
@settings(max_examples=60)
def test_each_cause_moves_each_leg_once_and_the_parts_add_up(world):
    terms, periods, held, cells = world
    settlement = walk(cells, held, through=periods[-1].end, terms=terms)

    causes = [(m.cause_kind, m.cause_id, m.cause_revision, m.leg) for m in settlement.movements]
    assert len(set(causes)) == len(causes)
    moved = dict.fromkeys((g.id for g in settlement.grants), Decimal(0))
    for movement in settlement.movements:
        moved[movement.grant_id] += movement.amount
        assert moved[movement.grant_id] >= 0
    assert moved == {g.id: g.balance for g in settlement.grants}
    assert set(settlement.opened) == set(settlement.grants)
