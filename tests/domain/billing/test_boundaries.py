"""Boundaries of a close: the issues at its end, and the usage that it draws and rates."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from server.domain.billing.closing import WalletCalendar, closing
from server.domain.calendar import Delay, PolicyPeriod
from server.domain.ids import ProcedureId
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    RatingFrequency,
    RolloverPolicy,
)
from server.domain.rating.compiled_rating import (
    SHIPPED_VERSION,
    CompiledRating,
    InForce,
    RatingVersions,
)
from server.domain.rating.procedures.elements import BaseRate, FormulaElement, RatingSetting
from server.domain.rating.rates import RateSegment
from server.domain.settlement.walk import WalletTerms
from server.domain.settlement.wallet_states import WalletState
from tests import strategies
from tests.strategies import ASSET, MONTHLY, WALLET, cell, entitlement, terms

JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)
CALENDAR = WalletCalendar(
    zone="UTC",
    anchor=date(2024, 1, 1),
    service_start=datetime(2024, 1, 1, tzinfo=UTC),
    billing=MONTHLY,
    frequency=RatingFrequency(period=PolicyPeriod.MONTH, delay=Delay(3)),
)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


TWICE = CompiledRating.of(
    replace(
        SHIPPED_VERSION,
        procedure_id=ProcedureId("own"),
        elements=(RatingSetting(), BaseRate(), FormulaElement(expression="net_unit_rate * 2")),
    )
)


def wallet(method, cells, **more):
    terms = WalletTerms(id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(method))
    return WalletState(
        terms=terms, grants=(), cells=tuple(cells), period=JANUARY, **({"entitlements": ()} | more)
    )


def close(state, period):
    return closing(state, CALENDAR, (None,), period)


def test_a_close_posts_the_boundary_at_its_end_with_the_next_issue():
    held = entitlement(rollover=RolloverPolicy(max_count=1))
    used = cell("jan", 60, day(1, 10), period=JANUARY)

    found = close(wallet(AggregationMethod.SUM, [used], entitlements=(held,)), JANUARY)

    moves = [
        (move.kind.value, move.effective_time, int(move.amount))
        for move in found.settlement.movements
    ]
    assert moves == [
        ("GRANT", day(1, 1), 100),
        ("DRAWDOWN", day(1, 10), -60),
        ("ROLLOVER", day(2, 1), -40),
        ("ROLLOVER", day(2, 1), 40),
        ("REFRESH", day(2, 1), 100),
    ]


@pytest.mark.parametrize(("more", "added"), [(90, [70, 20]), (50, [70, 0])])
def test_a_peak_adds_only_what_it_is_above_the_one_before(more, added):
    """The peak of January was 70: a later 90 adds 20, a later 50 adds nothing."""
    cells = [
        cell("first", 70, day(1, 10), period=JANUARY),
        cell("more", more, day(1, 12), period=JANUARY),
    ]

    results = close(wallet(AggregationMethod.PEAK, cells), JANUARY).settlement.results

    assert [(one.increment.quantity, one.overage) for one in results] == [(n, n) for n in added]


def test_a_close_rates_by_the_procedure_of_the_tenant():
    rates = {ASSET: (RateSegment(start=JANUARY.start, terms=terms("3")),)}
    used = cell("jan", 10, day(1, 10), period=JANUARY)
    state = wallet(AggregationMethod.SUM, [used], rates=rates)

    [shipped] = close(state, JANUARY).lines
    [own] = close(replace(state, rating_versions=InForce(RatingVersions((TWICE,)))), JANUARY).lines

    assert (shipped.amount, shipped.version) == (30, None)
    assert (own.amount, own.version) == (60, TWICE.key)
