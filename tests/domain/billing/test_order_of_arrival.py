"""For a given set of records, the order in which they arrive changes nothing."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.gauges import Service
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, RolloverPolicy
from server.domain.settlement.standing import is_standing, standing, with_standing
from server.domain.wallets.balances import balance
from tests.domain.procedure_words import tier
from tests.domain.settlement.correction_words import (
    JANUARY,
    MARCH,
    PERIODS,
    VOLUME,
    Books,
    at,
    day,
    used,
    voided,
)
from tests.strategies import ASSET, entitlement

POLICIES = st.builds(
    RolloverPolicy,
    max_count=st.none() | st.integers(0, 2),
    max_percent=st.none() | st.sampled_from([Decimal(0), Decimal(50), Decimal(100)]),
    max_quantity=st.none() | st.integers(0, 120).map(Decimal),
    remainder_percent=st.none() | st.sampled_from([Decimal(0), Decimal(50), Decimal(100)]),
)
RECORDS = st.lists(
    st.tuples(
        st.integers(1, 160),
        st.integers(1, 3),
        st.integers(1, 28),
        # In time, or known when so many months are final.
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=8,
)
FLAT_DUE = replace(tier(0, 100, "OVERRIDE", 2), flat=Decimal(30), is_flat_due=True)
PRICES = st.sampled_from([{}, {"tiers": VOLUME}, {"tiers": (tier(0, 100, "OVERRIDE", 3),)}])


def made_of(records):
    """The cells of records, when they are known, and whether they are voided in the end."""
    return [
        (used(n, amount, month, number), known, is_voided)
        for n, (amount, month, number, known, is_voided) in enumerate(records)
    ]


def live_through(books: Books, made) -> None:
    """Close January to March, take in what is late, and void what is to be voided."""
    for final in range(4):
        known_now = [one for one, known, _ in made if known == final]
        books.use(*known_now)
        for one in known_now:
            if final and one.period.end <= books.closed:
                books.correct(one.period.start)
        if final:
            books.check()
        if final < 3:
            books.close()
    for one in (one for one, _, is_voided in made if is_voided):
        books.use(voided(one))
        books.correct(one.period.start)
    books.check()


@given(RECORDS, POLICIES, PRICES, st.integers(1, 200), st.booleans())
@settings(max_examples=150)
def test_for_a_set_of_records_their_order_changes_nothing(records, policy, price, quantity, two):
    """Usage in time, late usage, and voids of either: the same is left and owed as in time."""
    held = (entitlement(quantity=quantity, rollover=policy),)
    held += (entitlement(2, 30, date(2024, 1, 20), rollover=policy),) if two else ()
    books = Books(periods=PERIODS, held=held, rates=at("2", **price))

    live_through(books, made_of(records))


@given(
    RECORDS,
    st.sampled_from([AggregationMethod.SUM, AggregationMethod.TIME_WEIGHTED]),
    POLICIES,
    st.integers(1, 28),
    st.none() | st.tuples(st.integers(1, 3), st.integers(1, 28)),
)
@settings(max_examples=60)
def test_what_carries_over_and_what_is_due_without_usage_is_corrected(
    records, method, policy, start, end
):
    """Within a service that begins in January, and ends by March or not at all."""
    began, ended = day(1, start), None if end is None else day(*end)
    service = Service(1, began, None if ended is None or ended <= began else ended)
    books = Books(
        periods=PERIODS,
        held=(entitlement(rollover=policy),),
        policy=AggregationPolicy.usual(method, PolicyPeriod.RATING_PERIOD),
        services={ASSET: service},
        rates=at("2", tiers=(FLAT_DUE, tier(100, None, "OVERRIDE", 1))),
    )
    books.use(*standing(books.state(JANUARY.start), (), JANUARY))

    live_through(books, made_of(records))

    due = with_standing(books.state(JANUARY.start)).cells
    held = [
        {one.id: one.measure.last for one in cells if is_standing(one)}
        for cells in (due, books.cells.values())
    ]
    assert held[0] == held[1]


@given(RECORDS, POLICIES, st.integers(0, 27))
@settings(max_examples=60)
def test_the_balance_knows_what_waits_for_a_correction(records, policy, days):
    """A wallet that is read before its correction has the balance that it has afterwards."""
    books = Books(periods=PERIODS, held=(entitlement(rollover=policy),), rates=at("2"))
    made = made_of(records)
    books.use(*(one for one, known, _ in made if known == 0))
    books.close(2)
    books.use(
        *(one for one, known, _ in made if known), *(voided(one) for one, _, gone in made if gone)
    )
    now = MARCH.start + timedelta(days=days)

    before = balance(books.books(JANUARY.start).state, now=now)
    books.correct(JANUARY.start)
    after = balance(books.state(MARCH.start), now=now)

    assert (before.balance, before.used, before.overage) == (
        after.balance,
        after.used,
        after.overage,
    )
