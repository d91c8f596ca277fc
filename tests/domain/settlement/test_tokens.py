"""Usage that is rated in tokens: what a cell comes to, and that nothing of it is lost."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.aggregation import increments
from server.domain.consumption.dimensions import dimensions_text
from server.domain.exact import PLACES, Rounding, round_to
from server.domain.ids import ProcedureId, ProcedureVersionId, UnitId, WalletId, derive
from server.domain.modeling.policies import AggregationMethod, AggregationPolicy, OveragePolicy
from server.domain.rating.rates import AttributeRow, Rate, RateSegment, RateTerms, TierMode
from server.domain.settlement.ratable_lines import ratable_lines
from server.domain.settlement.tokens import TokenWallet, token_cell_id
from server.domain.settlement.tokens import tokens_of as tokens_of_payers
from server.domain.settlement.walk import WalletTerms, settle
from server.domain.wallets.balances import WalletState, balance
from tests import strategies
from tests.domain.procedure_words import by, tier
from tests.strategies import ASSET, BASE, WALLET, cell, grant, months, tier_sets

CREDIT = UnitId("credit")
CREDITS = WalletId(derive(BASE, "credits"))
SUM = AggregationPolicy.usual(AggregationMethod.SUM)
JANUARY, FEBRUARY = months("UTC", 2)
PURSE = TokenWallet(
    id=CREDITS, unit=CREDIT, zone="UTC", anchor=date(2024, 1, 1), length=PolicyPeriod.MONTH
)


def day(number):
    return datetime(2024, 1, number, tzinfo=UTC)


def in_credits(value="1", **more):
    return RateTerms(unit=CREDIT, rate=Rate(value=Decimal(value), unit=CREDIT), **more)


def settled(cells, rate_terms, *grants):
    terms = WalletTerms(id=WALLET, zone="UTC", aggregation=SUM)
    found = increments(cells, SUM, zone="UTC")
    results = settle(terms, grants, (), found, through=FEBRUARY.end).results
    assets = {one.asset_id for one in cells}
    rates = {asset: (RateSegment(start=JANUARY.start, terms=rate_terms),) for asset in assets}
    return results, ratable_lines(WALLET, results, rates)


def tokens_in(token_wallet, cells, results, lines):
    """The tokens that the usage of all assets costs."""
    payers = {one.asset_id: one.asset_number for one in cells}
    return tokens_of_payers(token_wallet, payers, cells, results, lines)


def tokens_of(cells, rate_terms, *grants, token_wallet=PURSE):
    return tokens_in(token_wallet, cells, *settled(cells, rate_terms, *grants))


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


def test_tokens_are_used_when_the_usage_was_and_keep_their_cell():
    """More usage makes the same cells, whose tokens are of the tier that all usage is in."""
    tiers = (tier(0, 16, "OVERRIDE", 10), tier(16, None, "OVERRIDE", 5))
    first, more = cell("a", 15, day(5), period=JANUARY), cell("b", 1, day(6), period=JANUARY)

    [(_, before)] = tokens_of([first], in_credits(tiers=tiers))
    [(_, after), (_, added)] = tokens_of([first, more], in_credits(tiers=tiers))

    assert before.id == after.id == token_cell_id(first.id, CREDITS) != added.id
    assert [one.measure.sum for one in (before, after, added)] == [150, 75, 5]
    assert [(one.start, one.period) for one in (after, added)] == [
        (day(5), JANUARY),
        (day(6), JANUARY),
    ]


def test_tokens_are_in_the_period_of_their_own_wallet():
    weekly = replace(PURSE, length=PolicyPeriod.WEEK)
    used = cell("a", 5, day(10), period=JANUARY)

    [(_, made)] = tokens_of([used], in_credits(), token_wallet=weekly)

    assert (made.period.start, made.period.end) == (day(8), day(15))


def test_each_cell_costs_the_tokens_of_the_tier_that_it_is_in():
    """The first 10 cost 5 each, the next 10 cost 1 each: not half of 60 each."""
    tiers = (tier(0, 10, "OVERRIDE", 5), tier(10, None, "OVERRIDE", 1))
    cells = [cell(n, 10, day(n), period=JANUARY) for n in (1, 2)]

    made = tokens_of(cells, in_credits(tiers=tiers, mode=TierMode.GRADUATED))

    assert [one.measure.sum for _, one in made] == [50, 10]


def test_usage_of_other_periods_is_in_tiers_of_its_own():
    """The first 10 of a period cost 5 each: of 14 in January 4 cost 1, in February all cost 5."""
    tiers = (tier(0, 10, "OVERRIDE", 5), tier(10, None, "OVERRIDE", 1))
    cells = [
        cell("first", 4, day(4), period=JANUARY),
        cell("more", 10, day(5), period=JANUARY),
        cell("feb", 4, FEBRUARY.start, period=FEBRUARY),
    ]

    made = dict(tokens_of(cells, in_credits(tiers=tiers, mode=TierMode.GRADUATED)))

    assert [made[one.id].measure.sum for one in cells] == [20, 6 * 5 + 4 * 1, 20]


def test_usage_in_a_begun_package_costs_no_tokens():
    """90 begin a package of 100: 5 more go on in it, and 10 more begin another one."""
    package = Rate(value=Decimal(300), per=Decimal(100), unit=CREDIT, is_package=True)
    cells = [cell(n, n, day(on), period=JANUARY) for on, n in enumerate((90, 5, 10), 1)]

    made = tokens_of(cells, RateTerms(unit=CREDIT, rate=package))

    assert [(source, one.measure.sum) for source, one in made] == [
        (cells[0].id, 300),
        (cells[2].id, 300),
    ]


def test_tokens_under_a_commitment_are_those_of_the_tier_that_all_usage_is_in():
    """100 are included and 20 are beyond: 120 used are 50 % off, so 20 at 10 cost 100."""
    discounts = (tier(0, 111, "PERCENTAGE", 10), tier(111, None, "PERCENTAGE", 50))
    committed = RateTerms(unit=CREDIT, rate=None, tiers=discounts)
    sold = in_credits("10", committed=(committed,))
    included = grant("g", 100, JANUARY.start, FEBRUARY.end)

    [(_, made)] = tokens_of([cell("a", 120, day(5), period=JANUARY)], sold, included)

    assert made.measure.sum == 100


def test_usage_of_the_last_hour_of_a_period_costs_tokens_of_that_period():
    used = cell("a", 5, FEBRUARY.start - timedelta(hours=1), period=JANUARY)

    [(_, made)] = tokens_of([used], in_credits())

    assert (used.end, made.period) == (FEBRUARY.start, JANUARY)


def test_usage_with_a_label_costs_the_tokens_of_its_label():
    row = AttributeRow(attributes=(("region", "eu"),), adjustment=by("OVERRIDE", 5))
    plain, eu = (cell(n, 10, day(n), period=JANUARY) for n in (1, 2))
    eu = replace(eu, dimensions=dimensions_text(("region",), {"region": "eu"}))

    made = tokens_of([plain, eu], in_credits(adjustments=(row,)))

    assert {source: one.measure.sum for source, one in made} == {plain.id: 10, eu.id: 50}


def test_free_overage_costs_no_tokens():
    used = [cell("a", 50, JANUARY.start, period=JANUARY)]
    results, _ = settled(used, in_credits())
    free = RateSegment(start=JANUARY.start, terms=in_credits(), overage=OveragePolicy.FREE)

    lines = ratable_lines(WALLET, results, {ASSET: (free,)})

    assert (lines[0].overage, lines[0].amount) == (50, 0)
    assert tokens_in(PURSE, used, results, lines) == ()


OWN_VERSION = (ProcedureId("own"), ProcedureVersionId("v1"))


def test_a_procedure_of_the_tenant_costs_each_cell_its_share_of_the_line():
    """20 of 60 units are included: the line of 40 costs 10, so 10 cost 2.50 and 30 cost 7.50."""
    cells = [
        cell("a", 30, JANUARY.start, period=JANUARY),
        cell("b", 30, day(2), period=JANUARY),
    ]
    results, [line] = settled(cells, in_credits("1"), grant("g", 20, JANUARY.start, FEBRUARY.end))
    own = replace(line, amount=Decimal(10), version=OWN_VERSION)

    made = tokens_in(PURSE, cells, results, [own])

    assert [(source, one.measure.sum) for source, one in made] == [
        (cells[0].id, Decimal("2.5")),
        (cells[1].id, Decimal("7.5")),
    ]


def test_the_shares_of_a_line_that_does_not_divide_add_up_to_it():
    cells = [cell(n, 1, day(n), period=JANUARY) for n in (1, 2, 3)]
    results, [line] = settled(cells, in_credits("1"))
    own = replace(line, amount=Decimal("0.0000000000016"), version=OWN_VERSION)

    made = tokens_in(PURSE, cells, results, [own])

    assert sum(one.measure.sum for _, one in made) == Decimal("0.000000000002")


def test_a_procedure_of_the_tenant_makes_no_tokens_of_a_line_without_overage():
    cells = [cell("a", 30, JANUARY.start, period=JANUARY)]
    included = grant("g", 30, JANUARY.start, FEBRUARY.end)
    results, [line] = settled(cells, in_credits("1"), included)

    assert tokens_in(PURSE, cells, results, [replace(line, version=OWN_VERSION)]) == ()


def test_only_the_assets_asked_for_cost_tokens():
    cells = [cell(n, n, day(n), period=JANUARY, asset=n) for n in (1, 2)]
    results, lines = settled(cells, in_credits("2"))

    payers = {cells[1].asset_id: cells[1].asset_number}
    made = tokens_of_payers(PURSE, payers, cells, results, lines)

    assert [(source, one.measure.sum) for source, one in made] == [(cells[1].id, 4)]


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
    made = tokens_in(PURSE, cells, results, lines)

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
        payers={one.asset_id: one.asset_number for one in cells},
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
