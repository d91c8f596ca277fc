"""Commitments in the walk: all usage of a period picks the discount of what it takes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from server.domain.consumption.aggregation import increments
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.rating.rates import TierBounds
from server.domain.settlement.walk import WalletTerms, settle
from server.domain.settlement.wallet_states import WalletState, walked, walked_anew
from tests import strategies
from tests.domain.procedure_words import tier
from tests.strategies import ASSET, WALLET, cell, entitlement, terms

TERMS = WalletTerms(
    id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(AggregationMethod.SUM)
)
JANUARY, FEBRUARY, MARCH = strategies.months("UTC", 3)
COMMITMENT = entitlement(quantity=1000, refresh=None)

# 20 % off below 600 units in a period, and 50 % off from 600 on.
TIERS = (tier(0, 600, "PERCENTAGE", 20), tier(600, None, "PERCENTAGE", 50))
DISCOUNT = replace(terms(tiers=TIERS), rate=None)


def day(month, number):
    return datetime(2024, month, number, tzinfo=UTC)


def taken(cells, discount, *, through=MARCH.end):
    """Return the amount and the usage of each drawdown from the commitment."""
    found = increments(cells, TERMS.aggregation, zone="UTC")
    commitments = {ASSET: discount}
    settlement = settle(TERMS, (), [COMMITMENT], found, through=through, commitments=commitments)
    return [
        (-int(move.amount), move.covered) for move in settlement.movements if move.amount < 0
    ], settlement


def test_all_usage_of_a_period_picks_the_discount_whenever_it_is_known():
    """300 and 300 are 600 in January, so half is taken of both; February has 100 alone."""
    own = cell("own", 300, day(1, 5), period=JANUARY)
    more = cell("more", 300, day(1, 6), period=JANUARY)
    february = cell("feb", 100, day(2, 5), period=FEBRUARY)

    amounts, settlement = taken([february, more, own], DISCOUNT)

    assert amounts == [(150, 300), (150, 300), (80, 100)]
    assert [grant.balance for grant in settlement.grants] == [1000 - 150 - 150 - 80]
    assert [(result.drawn, result.overage) for result in settlement.results] == [
        (300, 0),
        (300, 0),
        (100, 0),
    ]


@pytest.mark.parametrize(
    ("discount", "amount", "covered"),
    [
        (DISCOUNT, 80, 100),
        (replace(DISCOUNT, tiers=(tier(0, 100, "PERCENTAGE", 20),)), 100, None),
        (
            replace(
                DISCOUNT,
                tiers=(tier(0, 100, "PERCENTAGE", 20),),
                bounds=TierBounds.UPPER_INCLUSIVE,
            ),
            80,
            100,
        ),
        (replace(DISCOUNT, tiers=(tier(0, None, "OVERRIDE", 20),)), 100, None),
        (replace(DISCOUNT, negotiated_tiers=(tier(0, None, "PERCENTAGE", 40),)), 60, 100),
        (None, 100, None),
    ],
)
def test_only_a_percentage_of_the_tier_reduces_what_100_units_take(discount, amount, covered):
    amounts, _ = taken([cell("a", 100, day(1, 5), period=JANUARY)], discount)

    assert amounts == [(amount, covered)]


def test_an_asset_that_is_no_commitment_gives_no_discount():
    cells = [cell("a", 100, day(1, 5), period=JANUARY)]
    wallet = WalletState(
        terms=TERMS, grants=(), entitlements=(COMMITMENT,), cells=tuple(cells), period=JANUARY
    )

    plain = walked(wallet, cells, through=JANUARY.end)
    discounted = walked(replace(wallet, commitments={ASSET: DISCOUNT}), cells, through=JANUARY.end)

    assert [grant.balance for grant in plain.grants] == [900]
    assert [grant.balance for grant in discounted.grants] == [920]


def test_usage_drawn_anew_takes_the_discount_and_what_it_takes_is_gone_in_the_next_period():
    """700 takes 350 and leaves 650; of 1,400, which take half too, 1,300 are paid for."""
    cells = [
        cell("jan", 700, day(1, 5), period=JANUARY),
        cell("feb", 1400, day(2, 5), period=FEBRUARY),
    ]
    posted = replace(COMMITMENT, next_index=1)
    wallet = WalletState(
        terms=TERMS, grants=(), entitlements=(posted,), cells=tuple(cells), period=FEBRUARY
    )

    discounted = replace(wallet, commitments={ASSET: DISCOUNT})
    results = walked_anew(discounted, cells[::-1]).results

    assert [(result.drawn, result.overage) for result in results] == [(700, 0), (1300, 100)]


def drawn_anew(cells):
    """The payment of usage on 100 a month, of which February was posted."""
    posted = replace(entitlement(quantity=100), next_index=2)
    wallet = WalletState(
        terms=TERMS, grants=(), entitlements=(posted,), cells=tuple(cells), period=MARCH
    )
    return [
        (int(one.increment.quantity), one.drawn, one.overage)
        for one in walked_anew(wallet, cells).results
    ]


def test_usage_drawn_anew_draws_each_period_on_what_it_had():
    """January has 100 and 130 used, February has 100 and 90 used."""
    cells = [
        cell("feb", 90, day(2, 5), period=FEBRUARY),
        cell("more", 30, day(1, 6), period=JANUARY),
        cell("jan", 100, day(1, 5), period=JANUARY),
    ]

    assert drawn_anew(cells) == [(100, 100, 0), (30, 0, 30), (90, 90, 0)]


def test_usage_drawn_anew_finds_what_expired_at_the_end_of_each_period():
    cells = [
        cell("jan", 30, day(1, 5), period=JANUARY),
        cell("feb", 130, day(2, 5), period=FEBRUARY),
    ]

    assert drawn_anew(cells) == [(30, 30, 0), (130, 100, 30)]
