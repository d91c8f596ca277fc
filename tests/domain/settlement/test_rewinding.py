"""Rewinding: a wallet as it was, and the difference between two walks from there."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.ids import GrantId
from server.domain.modeling.policies import RolloverPolicy
from server.domain.settlement.ledger import CauseKind, EntryKind, Movement
from server.domain.settlement.rewinding import (
    MovementKey,
    continued,
    corrections,
    counts_since,
    in_posting_order,
    less,
    rewound,
)
from server.domain.settlement.walk import EXPIRED, ROLLED_IN, ROLLED_OUT, opening
from server.domain.settlement.wallet_states import walked
from tests import strategies
from tests.domain.procedure_words import tier
from tests.domain.settlement.correction_words import Books, effects_of, voided
from tests.strategies import ASSET, cell, entitlement, grant, terms

JANUARY, FEBRUARY, MARCH, APRIL = PERIODS = strategies.months("UTC", 4)
INSTANT = timedelta(microseconds=1)
USED_AT = datetime(2024, 1, 10, tzinfo=UTC)
A, B = grant("A", 100, JANUARY.start), grant("B", 100, JANUARY.start)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def wallet(*used, months=2, **more) -> Books:
    """A wallet of 100 a month; `used` are the quantities of January, February and so on."""
    books = Books(**{"periods": PERIODS, "held": (entitlement(),)} | more)
    for month, quantity in enumerate(used, 1):
        books.use(cell(month, quantity, day(month, 10), period=PERIODS[month - 1]))
    books.close(months)
    return books


def effect(kind, time, *, cause=1, leg=0, held=A):
    return MovementKey(time, kind, UUID(int=cause), leg, held.id)


def drawn(amount, *, cause=1, held=A, covered=None, leg=0, at=USED_AT):
    return Movement(
        kind=EntryKind.DRAWDOWN,
        grant_id=held.id,
        amount=-Decimal(amount),
        covered=None if covered is None else Decimal(covered),
        effective_time=at,
        cause_kind=CauseKind.CELL,
        cause_id=UUID(int=cause),
        leg=leg,
    )


def ended(held, amount, leg, at=FEBRUARY.start):
    return Movement(
        kind=EntryKind.EXPIRY,
        grant_id=held.id,
        amount=Decimal(amount),
        effective_time=at,
        cause_kind=CauseKind.BOUNDARY,
        cause_id=A.id,
        leg=leg,
    )


def corrected(before, after, *, since=JANUARY.start, through=MARCH.end):
    found = corrections(effects_of(before), after, since=since, through=through)
    return in_posting_order(found, revision=1)


@pytest.mark.parametrize("kind", list(CauseKind))
def test_a_boundary_at_the_start_of_a_period_belongs_to_the_walk_of_the_one_before(kind):
    start = FEBRUARY.start

    assert not counts_since(effect(kind, start - INSTANT), start)
    assert counts_since(effect(kind, start), start) is (kind is CauseKind.CELL)
    assert counts_since(effect(kind, start + INSTANT), start)


def test_a_wallet_is_rewound_to_where_a_period_began():
    """60 of January rolled 40 into February, of which 30 were used: 10 expired, 100 rolled."""
    once = entitlement(rollover=RolloverPolicy(max_count=1))
    books = wallet(60, 30, held=(once,))
    state, effects = books.state(JANUARY.start), effects_of(books.entries)

    def balances(since):
        found = rewound(state, since, effects)
        assert found.posted_grants == state.grants
        # The first grant that is not there yet is issued by the walk from there.
        [held] = found.entitlements
        return [(one.start, int(one.balance)) for one in found.grants], held.next_index

    assert sorted(books.left(day(3, 1))) == [100, 100]
    assert balances(FEBRUARY.start) == (
        # January's is empty, 40 rolled, and 100 are new.
        [(day(1, 1), 0), (day(2, 1), 40), (day(2, 1), 100)],
        2,
    )
    assert balances(JANUARY.start) == ([(day(1, 1), 100)], 1)
    assert balances(MARCH.start)[1] == 3


def test_what_ended_before_is_not_needed_to_rewind():
    books = wallet(60, 30, 10, months=3)

    since = FEBRUARY.start
    found = rewound(books.state(since), since, effects_of(books.entries))

    assert [(one.start, one.balance) for one in found.grants] == [(day(2, 1), 100)]


def test_a_slice_goes_on_with_the_grants_that_the_one_before_left():
    """60 of January rolled 40 into February; with 20 more, 20 roll, and the entry is not posted."""
    books = wallet(60, 30, held=(entitlement(rollover=RolloverPolicy(max_count=1)),))
    books.use(cell("more", 20, day(1, 20), period=JANUARY))
    whole = rewound(books.state(JANUARY.start), JANUARY.start, effects_of(books.entries))
    january = walked(
        whole, [one for one in whole.cells if one.period == JANUARY], through=FEBRUARY.start
    )

    found = continued(books.state(FEBRUARY.start), january, FEBRUARY.start)

    assert [(one.start.month, int(one.balance)) for one in found.grants] == [(2, 20), (2, 100)]
    [held] = found.entitlements
    assert held.next_index == 2
    assert {one.id for one in found.grants} < {one.id for one in january.grants}


def test_balances_can_be_less_what_moved_later():
    books = wallet(60, 30)
    state = books.state(JANUARY.start)
    [grant] = [one for one in state.grants if one.balance][-1:]

    found = less(state, {grant.id: Decimal(-5)})

    balances = {one.id: one.balance for one in found.grants}
    assert balances == {one.id: one.balance for one in state.grants} | {grant.id: grant.balance + 5}


def test_what_moves_alike_again_is_not_corrected():
    moves = [drawn(30), drawn(20, cause=2, covered=25), ended(A, -50, EXPIRED)]

    assert corrected(moves, moves[::-1]) == ()


def test_credits_come_before_debits():
    before = [drawn(30), ended(A, -70, EXPIRED), drawn(5, cause=2, held=B)]
    after = [drawn(40), ended(A, -60, EXPIRED), drawn(7, cause=2, held=B)]

    found = corrected(before, after)

    assert [(one.cause_kind, int(one.amount)) for one in found] == [
        (CauseKind.BOUNDARY, 10),
        (CauseKind.CELL, -10),
        (CauseKind.CELL, -2),
    ]
    assert {one.kind for one in found} == {EntryKind.CORRECTION}
    assert [one.effective_time for one in found] == [day(2, 1), day(1, 10), day(1, 10)]


def test_only_the_periods_that_are_walked_are_compared():
    """February is walked anew, and what January and March did stays as it is."""
    january = [drawn(30), ended(A, -70, EXPIRED, day(2, 1))]
    february = [drawn(5, cause=2, at=day(2, 1)), ended(B, -9, EXPIRED, day(3, 1))]
    march = [drawn(7, cause=3, at=day(3, 1)), ended(B, -1, ROLLED_OUT, day(4, 1))]

    found = corrected([*january, *february, *march], (), since=FEBRUARY.start, through=FEBRUARY.end)

    assert sorted(int(one.amount) for one in found) == [5, 9]


def test_the_same_amount_that_pays_for_other_usage_is_given_back_and_taken_again():
    """375 at 20 % off take 300, and 600 at 50 % off take 300 as well."""
    found = corrected([drawn(300, covered=375)], [drawn(300, covered=600)])

    assert [(one.amount, one.covered, one.leg) for one in found] == [(300, -375, 0), (-300, 600, 1)]
    assert effects_of([drawn(300, covered=375), *found]) == effects_of([drawn(300, covered=600)])


@pytest.mark.parametrize(
    ("before", "after", "amount", "covered"),
    [
        # A plain difference pays for what it takes.
        (drawn(30), drawn(40), -10, None),
        (drawn(40), drawn(30), 10, None),
        (drawn(80, covered=100), drawn(160, covered=200), -80, 100),
        (drawn(80, covered=100), drawn(50, covered=100), 30, 0),
        (drawn(80, covered=100), drawn(100), -20, 0),
    ],
)
def test_a_difference_says_what_it_pays_for(before, after, amount, covered):
    [found] = corrected([before], [after])

    assert (found.amount, found.covered) == (amount, covered)


def test_a_commitment_that_takes_the_same_for_other_usage_is_posted_and_rewound():
    """The 375 of January turn out to be 600, of which half is taken instead of four fifths."""
    tiers = (tier(0, 600, "PERCENTAGE", 20), tier(600, None, "PERCENTAGE", 50))
    discount = replace(terms(tiers=tiers), rate=None)
    books = wallet(
        375, 100, held=(entitlement(quantity=1000, refresh=None),), commitments={ASSET: discount}
    )
    books.use(cell(1, 600, day(1, 10), period=JANUARY))

    found = books.correct(JANUARY.start)

    assert [(one.amount, one.covered) for one in found.movements] == [(300, -375), (-300, 600)]
    books.check()
    state = rewound(books.state(JANUARY.start), JANUARY.start, effects_of(books.entries))
    assert [one.balance for one in state.grants] == [1000]


def test_a_commitment_is_drawn_for_less_where_more_usage_picks_a_better_tier():
    tiers = (tier(0, 600, "PERCENTAGE", 20), tier(600, None, "PERCENTAGE", 50))
    discount = replace(terms(tiers=tiers), rate=None)
    books = wallet(
        500, 100, held=(entitlement(quantity=1000, refresh=None),), commitments={ASSET: discount}
    )
    books.use(cell("more", 100, day(1, 5), period=JANUARY))

    found = books.correct(JANUARY.start)

    # 500 took 400 and take 250 now; the same usage is paid for, so nothing is covered.
    assert {(one.amount, one.covered) for one in found.movements} == {(150, 0), (-50, 100)}
    books.check()
    assert books.left(day(3, 1)) == [1000 - 300 - 80]


def test_entries_of_one_cause_have_legs_of_their_own():
    """A cell is paid for by two grants, and the remainder of a grant rolls into another one."""
    before = [
        drawn(30),
        drawn(10, held=B, leg=1),
        ended(A, -20, ROLLED_OUT),
        ended(B, 20, ROLLED_IN),
        ended(A, -5, EXPIRED),
    ]
    other = grant("C", 1, FEBRUARY.start)
    after = [drawn(20), drawn(20, held=B, leg=1), ended(A, -30, ROLLED_OUT)]
    after += [ended(other, 30, ROLLED_IN), ended(A, -10, EXPIRED)]

    found = corrected(before, after)

    legs = [(one.cause_kind, one.cause_id, one.leg) for one in found]
    assert len(set(legs)) == len(found) == 6
    of_boundary = [one for one in found if one.cause_kind is CauseKind.BOUNDARY]
    assert sorted((one.leg % 3, int(one.amount)) for one in of_boundary) == [
        (ROLLED_OUT, -10),
        (ROLLED_IN, -20),
        (ROLLED_IN, 30),
        (EXPIRED, -5),
    ]
    assert effects_of([*before, *found]) == effects_of(after)


def test_an_issue_that_was_not_posted_is_posted_as_usual_and_one_that_was_is_corrected():
    a, b = opening(A), opening(B)

    assert corrected((), [a, b]) == tuple(sorted([a, b], key=lambda one: one.grant_id))
    assert corrected([a, b], [a, b], since=JANUARY.start - INSTANT) == ()
    [more] = corrected([a], [replace(a, amount=Decimal(120))], since=JANUARY.start - INSTANT)
    assert (more.kind, more.amount, more.covered) == (EntryKind.CORRECTION, 20, None)


def moved(cause, held, amount, covered):
    """A movement of one of the causes; what pays for usage takes something."""
    kind, of, leg, time = cause
    is_usage = kind is CauseKind.CELL
    return Movement(
        kind=EntryKind.DRAWDOWN,
        grant_id=GrantId(UUID(int=held)),
        amount=Decimal(-abs(amount) if is_usage else amount),
        covered=Decimal(covered) if is_usage and covered is not None else None,
        effective_time=time,
        cause_kind=kind,
        cause_id=UUID(int=of),
        leg=leg,
    )


CAUSES = st.sampled_from(
    [
        (CauseKind.CELL, 1, 0, day(1, 10)),
        (CauseKind.CELL, 2, 0, day(2, 10)),
        (CauseKind.BOUNDARY, 3, ROLLED_OUT, day(2, 1)),
        (CauseKind.BOUNDARY, 3, ROLLED_IN, day(2, 1)),
        (CauseKind.BOUNDARY, 3, EXPIRED, day(2, 1)),
        (CauseKind.BOUNDARY, 4, EXPIRED, day(3, 1)),
    ]
)
AMOUNTS = st.integers(-9, 9).filter(bool)
MOVEMENTS = st.lists(
    st.builds(moved, CAUSES, st.integers(1, 3), AMOUNTS, st.none() | st.integers(1, 9)),
    max_size=12,
)


@given(MOVEMENTS, MOVEMENTS)
def test_what_is_posted_and_its_corrections_are_what_is_due(before, after):
    found = corrected(before, after)

    assert effects_of([*before, *found]) == effects_of(after)
    assert corrected([*before, *found], after) == ()
    assert all(one.amount for one in found)
    legs = [(one.cause_kind, one.cause_id, one.leg) for one in found]
    assert len(set(legs)) == len(legs)
    signs = [one.amount > 0 for one in found]
    assert signs == sorted(signs, reverse=True)


def test_corrections_leave_a_chain_that_rewinds_to_the_same_state():
    """January used 60, then 95, then nothing."""
    once = entitlement(rollover=RolloverPolicy(max_count=1), end=date(2025, 1, 1))
    books = wallet(60, 30, held=(once,))
    first = books.cells[cell(1, 60, day(1, 10), period=JANUARY).id]

    def before():
        effects = effects_of(books.entries)
        state = rewound(books.state(FEBRUARY.start), FEBRUARY.start, effects)
        return sorted(int(one.balance) for one in state.grants if one.balance)

    assert before() == [40, 100]
    for changed, rolled in (
        (replace(first, measure=cell("x", 95, day(1, 10), period=JANUARY).measure), [5, 100]),
        (voided(first), [100, 100]),
        (first, [40, 100]),
    ):
        books.use(changed)
        books.correct(JANUARY.start)
        books.check()
        assert before() == rolled
    assert {one.cause_revision for one in books.entries} == {0, 1, 2, 3}


@given(
    strategies.usage("UTC", PERIODS[:3]),
    st.lists(strategies.entitlements(1) | strategies.entitlements(2), max_size=2),
    st.integers(0, 2),
)
@settings(max_examples=60)
def test_a_wallet_is_rewound_to_what_closing_it_until_then_left(cells, held, month):
    held = tuple({one.id: one for one in held}.values())
    until, books = (Books(periods=PERIODS, held=held) for _ in range(2))
    for one in (until, books):
        one.use(*cells)
    until.close(month)
    books.close(3)
    since = PERIODS[month].start

    found = rewound(books.state(since), since, effects_of(books.entries))

    balances = {one.id: one.balance for one in until.grants.values() if one.balance}
    if month == 0:
        # What was issued before the first period was posted with its close.
        assert all(one.start <= since for one in found.grants)
        return
    assert {one.id: one.balance for one in found.grants if one.balance} == balances
