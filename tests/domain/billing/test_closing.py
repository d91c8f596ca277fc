"""Closing: a period drawn and rated by the walk of the balance, and what follows it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.billing.closing import (
    Bill,
    Closing,
    WalletCalendar,
    closing,
    continues_after,
    execution_id,
    invoice_ready,
    out_of_turn,
)
from server.domain.billing.corrections import in_next_period
from server.domain.calendar import Cadence, CadenceUnit, Delay, Period, PolicyPeriod
from server.domain.exact import ZERO
from server.domain.ids import CorrectionId, UnitId, WalletId, derive
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    RatingFrequency,
    RolloverPolicy,
)
from server.domain.rating.rates import Rate, RateSegment, RateTerms
from server.domain.selling.activation import next_due
from server.domain.selling.grants import due_issues, issues
from server.domain.settlement.walk import WalletTerms
from server.domain.settlement.wallet_states import (
    FinalCell,
    WalletState,
    as_drawn,
    rated,
    walked,
    walked_anew,
)
from server.domain.wallets.balances import balance
from tests import strategies
from tests.strategies import ASSET, MONTHLY, WALLET, cell, entitlement, grant, terms

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = PERIODS = strategies.months("UTC", 3)
MONTHS = WalletCalendar(
    zone="UTC",
    anchor=date(2024, 1, 1),
    service_start=datetime(2024, 1, 1, tzinfo=UTC),
    billing=MONTHLY,
    frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
)
QUARTERS = replace(MONTHS, billing=Cadence(CadenceUnit.MONTH, 3))
OPEN: tuple[datetime | None, ...] = (None,)
DOLLARS = {ASSET: (RateSegment(start=JANUARY.start, terms=terms("2")),)}


def day(month: int, number: int) -> datetime:
    return datetime(2024, month, number, tzinfo=UTC)


def state(cells=(), *grants, held=(), **more) -> WalletState:
    usual = {"period": JANUARY, "rates": DOLLARS}
    return WalletState(
        terms=TERMS, grants=grants, entitlements=held, cells=tuple(cells), **(usual | more)
    )


def close(wallet: WalletState, calendar=MONTHS, ends=OPEN, period=JANUARY) -> Closing:
    return closing(wallet, calendar, ends, period)


def test_a_close_draws_and_rates_its_own_period_and_no_other():
    january = cell("a", 30, day(1, 5), period=JANUARY)
    february = cell("b", 70, day(2, 5), period=FEBRUARY)

    found = close(state([january, february], grant("g", 20, day(1, 1))))

    [result] = found.settlement.results
    assert (result.increment.cell_id, result.drawn, result.overage) == (january.id, 20, 10)
    assert [(one.cell_ids, one.amount) for one in found.lines] == [((january.id,), 20)]
    assert found.billing == JANUARY
    assert found.following == (FEBRUARY.start, FEBRUARY.end, day(3, 4))


def test_a_close_within_a_billing_period_bills_nothing_and_goes_on():
    ended = (day(1, 20),)

    within = close(state(), QUARTERS, ended, FEBRUARY)
    last = close(state(), QUARTERS, ended, MARCH)

    assert (within.billing, within.following) == (None, (MARCH.start, MARCH.end, day(4, 4)))
    assert last.billing is not None
    assert (last.billing.start, last.billing.end) == (JANUARY.start, MARCH.end)
    assert last.following is None


def test_nothing_follows_the_period_in_which_the_last_asset_ended():
    found = close(state(), ends=(day(1, 20),))

    assert (found.billing, found.following) == (JANUARY, None)


def test_the_close_of_each_wallet_and_period_has_an_execution_of_its_own():
    other = WalletId(derive(WALLET, "other"))

    ids = [execution_id(wallet_id, period) for wallet_id in (WALLET, other) for period in PERIODS]

    assert len(set(ids)) == 6


@pytest.mark.parametrize(
    ("ends", "held", "is_alive"),
    [
        ((), (), False),
        ((day(1, 20),), (), False),
        ((JANUARY.end,), (), False),
        ((JANUARY.end + timedelta(days=1),), (), True),
        ((None,), (), True),
        ((), (grant("g", 5, day(1, 1)),), True),
        ((), (grant("g", 5, day(1, 1), day(3, 1)),), True),
        ((), (grant("g", 5, day(1, 1), JANUARY.end),), False),
        ((), (grant("g", 5, day(1, 1)).holding(ZERO),), False),
    ],
)
def test_a_wallet_lives_on_while_an_asset_or_a_grant_does(ends, held, is_alive: bool):
    assert continues_after(ends, held, JANUARY.end) is is_alive


def test_a_close_that_is_repeated_has_the_same_ids():
    used = state([cell("a", 30, day(1, 5), period=JANUARY)], held=(entitlement(),))

    first, same = close(used), close(used)

    assert first == same
    assert {one.cause_revision for one in first.settlement.movements} == {0}


@given(strategies.usage("UTC", PERIODS), strategies.entitlements(), st.integers(0, 5))
@settings(max_examples=60)
def test_closing_periods_in_turn_comes_to_what_the_balance_said(cells, held, price):
    """The live balance at the end of March is that of the closes until then."""
    rates = {
        one.asset_id: (
            RateSegment(
                start=day(1, 1),
                terms=terms(str(price)),
            ),
        )
        for one in cells
    }
    live = state(cells, held=(held,), rates=rates)
    walk = walked(live, cells, through=MARCH.end)
    now, settled, lines = live, (), []
    for period in PERIODS:
        found = close(now, period=period)
        lines += found.lines
        done = tuple(one for one in cells if one.period.start <= period.start)
        settled += tuple(found.settlement.results)
        grown = {one.id: one for one in now.grants}
        grown |= {one.id: one for one in found.settlement.grants}
        now = replace(
            now,
            grants=tuple(grown.values()),
            cells=tuple(one for one in cells if one not in done),
            entitlements=(replace(held, next_index=_next(held, found, now)),),
        )

    assert balance(now, now=MARCH.end).balance == balance(live, now=MARCH.end).balance
    by_cell = {one.increment.cell_id: (one.drawn, one.overage) for one in settled}
    assert by_cell == {one.increment.cell_id: (one.drawn, one.overage) for one in walk.results}
    overage = sum((one.overage for one in walk.results), ZERO)
    assert sum((one.amount for one in lines), ZERO) == price * overage


def _next(held, found: Closing, before: WalletState) -> int | None:
    """The first issue that was not posted by the close."""
    own = [one.index for one in found.settlement.opened if one.kind.name != "ROLLOVER"]
    known = before.entitlements[0].next_index
    return max(own) + 1 if own else known


def test_all_that_is_final_is_drawn_anew_as_it_was_closed():
    cells = [cell(n, 60, day(n, 5), period=PERIODS[n - 1]) for n in (1, 2, 3)]
    held = entitlement(rollover=RolloverPolicy(max_count=1))
    live = state(cells, held=(held,))

    walk = walked(live, cells, through=MARCH.end)
    again = walked_anew(live, cells)
    final = [
        FinalCell(
            cell=next(one for one in cells if one.id == result.increment.cell_id),
            quantity=result.increment.quantity,
            drawn=result.drawn,
            overage=result.overage,
        )
        for result in walk.results
    ]
    kept = as_drawn(live, final)

    def figures(results):
        return [(one.increment, one.drawn, one.overage) for one in results]

    assert figures(again.results) == figures(walk.results) == figures(kept)
    assert again.movements == walk.movements
    assert [one.amount for one in rated(live, kept)] == [
        one.amount for one in rated(live, walk.results)
    ]


def ratable(*named: tuple[str, str | None], unit: str = "USD"):
    """Lines of an asset each: a quantity and what a unit costs, or None without a rate."""
    cells = [
        cell(index, int(quantity), day(1, 2), period=JANUARY, asset=index)
        for index, (quantity, _) in enumerate(named, start=1)
    ]
    segments = {
        one.asset_id: (
            RateSegment(
                start=day(1, 1),
                terms=RateTerms(
                    unit=UnitId(unit), rate=Rate(value=Decimal(price), unit=UnitId(unit))
                ),
            ),
        )
        for one, (_, price) in zip(cells, named, strict=True)
        if price is not None
    }
    wallet = state(cells, rates=segments)
    return rated(wallet, walked(wallet, cells, through=JANUARY.end).results)


def bill(period=JANUARY, calendar=MONTHS) -> Bill:
    return Bill(wallet_id=WALLET, calendar=calendar, period=period, currency_code="USD", places=2)


def invoiced(lines):
    return invoice_ready(bill(), bill().owed(lines), {})


def test_what_failed_is_on_its_line_and_the_line_is_not_whole():
    found = invoiced(ratable(("3", "2"), ("5", None)))

    assert [(one.line.amount, one.line.is_whole) for one in found] == [(6, True), (0, False)]


def test_an_amount_that_is_no_money_is_not_whole():
    [found] = invoiced(ratable(("1000", "99999999999999999999999")))

    assert not found.line.is_whole


def test_what_came_to_tokens_is_owed_elsewhere():
    assert invoiced(ratable(("3", "2"), unit="credit")) == []
    assert len(invoiced(ratable(("3", None), unit="credit"))) == 1


def test_invoice_lines_have_ids_of_their_own_and_keep_them():
    lines = ratable(("3", "2"), ("5", "1"))

    one, other = invoiced(lines), invoiced(lines[::-1])

    assert one == other
    assert len({line.id for line in one}) == 2


def test_lines_that_are_owed_apart_have_ids_of_their_own():
    """A quarter in two segments, a correction of it, a label and another asset, in two quarters."""
    cells = [
        cell("own", 1, day(1, 5), period=JANUARY),
        cell("next", 1, day(2, 5), period=FEBRUARY),
        cell("amended", 1, day(2, 20), period=FEBRUARY),
        replace(cell("label", 1, day(1, 5), period=JANUARY), dimensions='{"region":"eu"}'),
        cell("other", 1, day(1, 5), period=JANUARY, asset=2),
    ]
    segments = (
        RateSegment(start=day(1, 1), end=day(2, 15), terms=terms("2")),
        RateSegment(start=day(2, 15), terms=terms("3")),
    )
    wallet = state(cells, rates={one.asset_id: segments for one in cells})
    own = rated(wallet, walked(wallet, cells, through=MARCH.end).results)
    changed = replace(own[0], corrects=own[0].id)
    lines = [*own, in_next_period(changed, FEBRUARY, CorrectionId(UUID(int=1)))]

    quarter, other = (
        invoice_ready(bill(billing, QUARTERS), lines, {})
        for billing in (Period(JANUARY.start, MARCH.end), Period(day(1, 2), MARCH.end))
    )

    figures = [
        (one.key.asset_number, one.key.segment_start, one.key.is_correction, one.amount)
        for one in (owed.line for owed in quarter)
    ]
    assert figures == [
        (1, day(1, 1), False, 4),  # usage of January and February in the first segment
        (1, day(1, 1), True, 2),
        (1, day(1, 1), False, 2),
        (1, day(2, 15), False, 3),
        (2, day(1, 1), False, 2),
    ]
    assert [one.line.key.dimensions for one in quarter] == ["", "", '{"region":"eu"}', "", ""]
    assert len({one.id for one in (*quarter, *other)}) == 10


def test_a_line_is_not_whole_if_a_part_of_it_failed():
    cells = [cell(n, n, day(n, 5), period=PERIODS[n - 1]) for n in (1, 2)]
    wallet = state(cells)
    january, february = rated(wallet, walked(wallet, cells, through=MARCH.end).results)
    failed = replace(february, amount=None, failure="TIME_LIMIT")

    [found] = invoiced([january, failed])

    assert (found.line.is_whole, found.line.amount, found.line.used) == (False, 2, 3)


def test_a_failed_line_in_tokens_is_shown_with_the_usage():
    [line] = ratable(("3", "2"), unit="credit")

    [found] = invoiced([replace(line, amount=None, failure="TIME_LIMIT")])

    assert (found.line.is_whole, found.line.amount) == (False, 0)


@pytest.mark.parametrize(("february", "is_whole"), [(2**62 - 1, True), (2**62, False)])
def test_a_sum_of_more_than_63_bits_cannot_be_invoiced(february, is_whole):
    cells = [
        cell(1, 2**62, day(1, 5), period=JANUARY),
        cell(2, february, day(2, 5), period=FEBRUARY),
    ]
    wallet = state(cells, rates={ASSET: (RateSegment(start=JANUARY.start, terms=terms("1")),)})

    [found] = invoiced(rated(wallet, walked(wallet, cells, through=MARCH.end).results))

    assert (found.line.amount, found.line.is_whole) == (2**62 + february, is_whole)


def test_an_earlier_period_is_named_with_its_start():
    error = out_of_turn(day(1, 1))

    assert error.reason == "PREVIOUS_PERIOD_OPEN"
    assert error.facts == {"start_time": day(1, 1).isoformat()}


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 90))
def test_issues_that_are_due_come_in_turn_and_the_next_comes_after_them(offsets, days):
    held = [
        entitlement(n, start=date(2024, 1, 1) + timedelta(days=offset))
        for n, offset in enumerate(offsets)
    ]
    now = day(1, 1) + timedelta(days=days)

    due, following = due_issues(held, "UTC", through=now), next_due(held, "UTC", after=now)

    assert list(due) == sorted(due, key=lambda one: (one.start, one.id))
    assert all(one.start <= now for one in due)
    assert following is not None
    assert following > now
    later = [issue for one in held for issue in issues(one, "UTC", through=following)]
    assert len(later) > len(due)
    assert {one.start for one in later if one.start > now} == {following}
