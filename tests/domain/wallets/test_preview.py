"""Previews as values: differences add up, and refused or repriced lines are told apart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.billing.rating_batches import LineResult, RequestState, verdict
from server.domain.billing.replay import Pair, at_other_rates, totals
from server.domain.errors import FailedPrecondition, NotFound
from server.domain.ids import AssetId, UnitId, derive
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.rating.additions import Addition
from server.domain.rating.rates import RateSegment, Tier
from server.domain.rating.sold_terms import WalletRateSources
from server.domain.settlement.walk import WalletTerms
from server.domain.wallets.balances import WalletState
from server.domain.wallets.preview import added, effect, projection_of
from tests import strategies
from tests.strategies import ASSET, BASE, WALLET, terms

PERIODS = strategies.months("UTC", 3)
START = datetime(2024, 1, 1, tzinfo=UTC)
USD, EUR = UnitId("USD"), UnitId("EUR")
SECOND = AssetId(derive(BASE, "asset", 2))
GROWING = [one for one in AggregationMethod if one.only_grows]


def wallet(method: AggregationMethod, held, tiers: tuple[Tier, ...]) -> WalletState:
    """A wallet without usage, two assets of which pay by the same terms."""
    segment = RateSegment(start=START, terms=terms("2", tiers=tiers))
    return WalletState(
        terms=WalletTerms(id=WALLET, zone="UTC", aggregation=AggregationPolicy.usual(method)),
        grants=(),
        entitlements=(held,),
        cells=(),
        period=PERIODS[0],
        rates={ASSET: (segment,), SECOND: (segment,)},
    )


@given(
    strategies.usage("UTC", PERIODS),
    strategies.entitlements(),
    strategies.tier_sets(),
    st.sampled_from(GROWING),
    st.integers(0, 90),
)
@settings(max_examples=60)
def test_what_lines_do_in_turn_is_what_they_do_together(cells, held, tiers, method, days):
    now = START + timedelta(days=days)
    empty = projection_of(wallet(method, held, tiers), now=now)
    together = effect(
        empty, projection_of(replace(empty.state, cells=cells), now=now), [one.id for one in cells]
    )

    projections, turns = {WALLET: empty}, []
    for one in cells:
        after = added(projections, one, now=now)
        turns.append(effect(projections[WALLET], after[WALLET], [one.id]))
        projections = {**projections, **after}

    assert sum((one.used for one in turns), Decimal(0)) == together.used
    assert sum((one.overage for one in turns), Decimal(0)) == together.overage
    if not any(one.failure for one in [*turns, together]):
        assert sum((one.amount for one in turns), Decimal(0)) == together.amount
    for one in turns:
        drawn = sum((debit.quantity for debit in one.debits), Decimal(0))
        assert drawn + one.overage == one.used


def test_a_wallet_that_is_not_touched_is_left_out():
    state = wallet(AggregationMethod.SUM, strategies.entitlement(), ())
    other = replace(state, terms=replace(state.terms, id=derive(BASE, "another")))
    projections = {one.terms.id: projection_of(one, now=START) for one in (state, other)}

    found = added(projections, strategies.cell("a", 5, START, period=PERIODS[0]), now=START)

    assert list(found) == [WALLET]
    assert effect(projections[WALLET], projections[WALLET], []).is_nothing


def test_other_rates_keep_what_was_negotiated_and_what_has_none_has_none():
    agreed = replace(terms("2"), negotiated_rate=terms("1").rate)
    later = START + timedelta(days=31)
    rates = {
        ASSET: (
            RateSegment(start=START, end=later, terms=agreed),
            RateSegment(start=later, terms=terms("2")),
        )
    }
    found = {(ASSET, START): terms("3"), (ASSET, later): NotFound.of("RateCard", "rateCards/x")}

    first, second = at_other_rates(WalletRateSources(own=rates), found).own[ASSET]

    assert (first.terms.rate.value, first.terms.effective_rate.value) == (3, 1)
    assert (second.start, second.terms) == (later, None)


def test_what_was_added_keeps_what_was_negotiated_even_without_a_rate():
    pack, listed = AssetId(derive(ASSET, "pack")), AssetId(derive(ASSET, "listed"))
    agreed = replace(terms("2"), negotiated_rate=terms("1").rate)
    additions = [
        Addition(asset_id=pack, start=START, end=None, terms=agreed),
        Addition(asset_id=listed, start=START, end=None, terms=terms("2")),
    ]
    sold = WalletRateSources(own={}, additions=tuple(additions))

    first, second = at_other_rates(sold, {(pack, START): None, (listed, START): None}).additions
    found = {(pack, START): terms("3"), (listed, START): terms("3")}
    priced, other = at_other_rates(sold, found).additions

    assert (first.terms.rate, first.terms.effective_rate.value, second.terms) == (None, 1, None)
    assert (priced.terms.rate.value, priced.terms.effective_rate.value) == (3, 1)
    assert other.terms == terms("3")


@pytest.mark.parametrize("missing", ["rated", "replayed"])
def test_totals_are_of_pairs_that_are_whole(missing):
    whole = Pair(unit=USD, rated=Decimal(2), replayed=Decimal(5))
    broken = replace(whole, **{missing: None})
    other = Pair(unit=EUR, rated=Decimal(1), replayed=Decimal(0))

    found = totals([whole, broken, whole, other])

    assert [(one.unit, one.rated, one.replayed, one.count) for one in found] == [
        (EUR, 1, 0, 1),
        (USD, 4, 10, 2),
    ]
    assert (whole.difference, broken.difference, other.difference) == (3, None, -1)


def test_a_request_fails_for_the_first_line_that_does():
    fine = LineResult(amount=Decimal(1))
    no_rate = LineResult(error=FailedPrecondition("RATE_NOT_FOUND", "no rate"))

    assert verdict([fine]).state is RequestState.RATING_COMPLETE
    found = verdict([fine, no_rate, no_rate])
    assert (found.state, found.code) == (RequestState.FAILED, "RATE_NOT_FOUND")
    assert found.text == "lines[1]: no rate (and 1 more)"
