"""Usage that is rated in tokens: what a cell comes to, and that nothing of it is lost."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.aggregation import increments
from server.domain.exact import PLACES, Rounding, round_to
from server.domain.ids import UnitId, WalletId, derive
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy
from server.domain.rating.rates import Rate, RateSegment, RateTerms, TierMode
from server.domain.settlement.ratable_lines import ratable_lines
from server.domain.settlement.tokens import TokenWallet, token_cells
from server.domain.settlement.walk import WalletTerms, settle
from server.domain.wallets.balances import WalletState, balance
from tests import strategies
from tests.domain.procedure_words import tier
from tests.strategies import ASSET, BASE, WALLET, cell, grant, months, tier_sets

CREDIT = UnitId("credit")
CREDITS = WalletId(derive(BASE, "credits"))
SUM = AggregationPolicy.usual(AggregationMethod.SUM)
JANUARY, FEBRUARY = months("UTC", 2)
PURSE = TokenWallet(
    id=CREDITS, unit=CREDIT, zone="UTC", anchor=date(2024, 1, 1), length=PolicyPeriod.MONTH
)


def in_credits(value="1", **more):
    return RateTerms(unit=CREDIT, rate=Rate(value=Decimal(value), unit=CREDIT), **more)


def settled(cells, rate_terms, *grants):
    terms = WalletTerms(id=WALLET, zone="UTC", aggregation=SUM)
    found = increments(cells, SUM, zone="UTC")
    results = settle(terms, grants, (), found, through=FEBRUARY.end).results
    assets = {one.asset_id for one in cells}
    rates = {asset: (RateSegment(start=JANUARY.start, terms=rate_terms),) for asset in assets}
    return results, ratable_lines(WALLET, results, rates)


def tokens_of(cells, rate_terms, *grants, token_wallet=PURSE):
    return token_cells(token_wallet, cells, *settled(cells, rate_terms, *grants))


def test_50_gigabytes_at_2_credits_are_100_credits():
    used = cell("a", 50, JANUARY.start, period=JANUARY)

    [(source, made)] = tokens_of([used], in_credits("2"))

    assert (source, made.wallet_id, made.measure.sum) == (used.id, CREDITS, 100)
    assert (made.asset_id, made.start, made.end, made.period) == (
        ASSET,
        used.start,
        used.end,
        JANUARY,
    )


def test_what_a_grant_paid_for_comes_to_nothing():
    included = grant("g", 50, JANUARY.start, FEBRUARY.end)

    assert tokens_of([cell("a", 50, JANUARY.start, period=JANUARY)], in_credits(), included) == ()


def test_money_is_no_token():
    assert tokens_of([cell("a", 50, JANUARY.start, period=JANUARY)], strategies.terms()) == ()


def test_what_cannot_be_rated_comes_to_nothing_and_its_line_says_so():
    used = [cell("a", 50, JANUARY.start, period=JANUARY)]

    _, [line] = settled(used, None)

    assert tokens_of(used, None) == ()
    assert line.failure == "RATE_NOT_FOUND"


def test_tokens_of_a_period_that_is_closed_are_corrections_of_the_next():
    late = replace(PURSE, closed=JANUARY.end)

    [(_, made)] = tokens_of(
        [cell("a", 5, JANUARY.start, period=JANUARY)], in_credits(), token_wallet=late
    )

    assert (made.origin_start, made.period, made.is_correction) == (JANUARY.start, FEBRUARY, True)


usage = strategies.usage("UTC", (JANUARY, FEBRUARY))
tiered = st.builds(
    in_credits,
    st.sampled_from(["0", "0.3333", "7", "0.000000000001"]),
    tiers=st.one_of(st.just(()), tier_sets(is_whole=True)),
    mode=st.sampled_from(TierMode),
)


@given(usage, tiered)
def test_the_tokens_of_a_line_are_what_it_costs(cells, rate_terms):
    results, lines = settled(cells, rate_terms)
    made = token_cells(PURSE, cells, results, lines)

    source_of = {source: one.measure.sum for source, one in made}
    for line in lines:
        if line.failure is None:
            due = round_to(line.amount, PLACES, Rounding.HALF_EVEN)
            assert sum(source_of.get(id_, Decimal(0)) for id_ in line.cell_ids) == max(due, 0)
    assert len({one.id for _, one in made}) == len(made)
    assert all(one.measure.sum > 0 for _, one in made)


@given(usage, st.integers(0, 2000))
def test_the_live_balance_is_that_of_the_cells_once_they_are_final(cells, included):
    rate_terms = in_credits("3")
    assets = {one.asset_id for one in cells}
    rates = {asset: (RateSegment(start=JANUARY.start, terms=rate_terms),) for asset in assets}
    source = WalletState(
        terms=WalletTerms(id=WALLET, zone="UTC", aggregation=SUM),
        grants=(),
        entitlements=(),
        cells=tuple(cells),
        period=FEBRUARY,
        rates=rates,
    )
    granted = (grant("g", included, JANUARY.start, FEBRUARY.end),) if included else ()
    before = WalletState(
        terms=WalletTerms(id=CREDITS, zone="UTC", aggregation=SUM),
        grants=granted,
        entitlements=(),
        cells=(),
        period=FEBRUARY,
        token_wallet=PURSE,
        sources=(source,),
    )
    made = tuple(one for _, one in tokens_of(cells, rate_terms))
    after = replace(before, cells=made, sources=(), token_wallet=None)
    now = FEBRUARY.start

    live, final = balance(before, now=now), balance(after, now=now)

    assert (live.balance, live.used, live.overage) == (final.balance, final.used, final.overage)
    assert live.holds_until <= final.holds_until


def test_the_cell_that_enters_a_tier_costs_its_flat_amount():
    """20 and 1 each up to 100, 30 and 0.50 each beyond: 90, then 20 into the next tier, then 1."""
    tiers = (
        replace(tier(0, 100, "OVERRIDE", 1), flat=Decimal(20)),
        replace(tier(100, None, "OVERRIDE", "0.5"), flat=Decimal(30)),
    )
    priced = RateTerms(unit=CREDIT, rate=None, tiers=tiers, mode=TierMode.GRADUATED)
    cells = [
        cell(hours, quantity, JANUARY.start + timedelta(hours=hours), period=JANUARY)
        for hours, quantity in ((1, 90), (2, 20), (3, 1))
    ]

    made = dict(tokens_of(cells, priced))

    assert [made[used.id].measure.sum for used in cells] == [110, 10 + 5 + 30, Decimal("0.5")]
