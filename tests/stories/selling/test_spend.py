"""Commitments to spend: a discount for a promised amount, the shortfall, and the cap."""

from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import preview_service_pb2 as pb
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from tests.stories.bill_words import owed
from tests.stories.bindings.rebind_words import rebind
from tests.stories.quote_words import grant
from tests.stories.sale_words import linked, to
from tests.stories.selling.spend_words import expired, figures, spend_now, spending
from tests.stories.token_words import set_up
from tests.stories.words import (
    Metered,
    day,
    figure,
    line,
    money,
    number,
    refusal,
    usage,
)

CALLS = Metered(resource="calls", rate="1", scale=3)
DATA = Metered(resource="data", rate="10", scale=3)


async def shop(sandbox: Any, *metered: Metered, start: str = "2024-01-31", **more: Any):
    """An anchor with calls at 1, and a commitment to spend 10,000 a month that is linked to it."""
    world = await sandbox(start)
    await world.product("plan", *(metered or (CALLS,)))
    await set_up(world, spending(**more))
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))
    [commit] = await world.sell(account, linked("spend", "2024-01-01", anchor))
    return world, account, anchor, commit


@pytest.mark.capability("M70.spend")
@pytest.mark.parametrize("used", [10_000, 11_875])
async def test_less_spent_than_promised_owes_what_is_promised(sandbox, used):
    """X17: at least 10,000 a month at 20 % off; 8,000 or 9,500 are spent; 10,000 are owed."""
    world, account, anchor, commit = await shop(sandbox)
    await world.use(anchor, "calls", "2024-01-10", used)

    spend = await spend_now(world, account)
    calls = await world.wallet(account, "calls")

    spent = used * 8 // 10
    assert figures(spend) == (spent, 10_000 - spent, 0, 10_000)
    assert (spend.asset, figure(spend.promised_amount)) == (commit.name, 10_000)
    assert figure(calls.estimated_amount) == spent
    await world.advance("2024-02-10")
    billed = await owed(world, account)
    assert billed["calls"][1] == spent
    # The promised amount of January has expired; its remainder is the shortfall.
    wallet = await world.wallet(account, "spend-usd")
    expired = [one for one in await world.entries(wallet) if one.kind == one.EXPIRY]
    assert [figure(one.amount) for one in expired] == [spent - 10_000]
    assert figures(await spend_now(world, account)) == (0, 10_000, 0, 10_000)


@pytest.mark.capability("M70.spend")
async def test_the_cap_is_the_most_that_usage_costs(sandbox):
    """A promise of 10,000 and a cap of 12,000, times two."""
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    await set_up(world, spending(cap="12000"))
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))
    double = linked("spend", "2024-01-01", anchor)
    double.quantity.value = "2"
    quote = await world.quote(account, double)
    await world.sell(account, double)

    await world.use(anchor, "calls", "2024-01-10", 27_500)
    at_promise = await spend_now(world, account)
    await world.use(anchor, "calls", "2024-01-11", 5_000)
    beyond = await spend_now(world, account)

    [promise] = [grant for one in quote.lines[0].resources for grant in one.grants]
    assert (figure(promise.quantity), figure(promise.spend_cap)) == (20_000, 24_000)
    assert figures(at_promise) == (22_000, 0, 0, 22_000)
    assert figures(beyond) == (26_000, 0, 2_000, 24_000)
    assert figure(beyond.spend_cap) == 24_000


@pytest.mark.capability("M70.spend")
async def test_the_spend_of_several_resources_and_weeks_counts_together(sandbox):
    """Calls and data, rated weekly; weeks that are final count too."""
    weekly = {"rating": "WEEK", "waiting_days": 1}
    calls = Metered(resource="calls", rate="1", scale=3, **weekly)
    data = Metered(resource="data", rate="10", scale=3, **weekly)
    world, account, anchor, _ = await shop(
        sandbox, calls, data, start="2024-01-05", discounts={"calls": "20", "data": "50"}
    )
    await world.use(anchor, "calls", "2024-01-03", 1_000)
    await world.use(anchor, "data", "2024-01-03", 100)
    await world.advance("2024-01-20")
    await world.use(anchor, "data", "2024-01-19", 10)

    spend = await spend_now(world, account)

    assert figures(spend) == (800 + 500 + 50, 8_650, 0, 10_000)


@pytest.mark.capability("M70.spend")
async def test_late_and_voided_usage_corrects_what_is_owed_for_the_promise(sandbox):
    world, account, anchor, _ = await shop(sandbox)
    await world.use(anchor, "calls", "2024-01-10", 5_000)
    await world.advance("2024-02-10")

    [record] = await world.record([usage(anchor, "calls", "2024-01-11", 2_500)])
    await world.advance("2024-02-11")
    late = await expired(world, account, "2024-02-01")
    await world.client.consumption.VoidUsage(
        consumption.VoidUsageRequest(usage_records=[record.usage_record])
    )
    await world.advance("2024-02-12")
    voided = await expired(world, account, "2024-02-01")

    assert (late, voided) == (-4_000, -6_000)


@pytest.mark.capability("M70.spend")
async def test_a_commitment_that_is_linked_into_final_periods_counts_their_usage(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    await set_up(world, spending())
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))
    alone = quotes.SaleLine(
        product="products/spend", quantity=number(1), start_date=day("2024-01-01")
    )
    [commit] = await world.sell(account, alone)
    await world.use(anchor, "calls", "2024-01-10", 5_000)
    await world.advance("2024-02-10")
    before = await owed(world, account)

    request = assets.LinkCommitmentRequest(name=commit.name, anchor=anchor.name)
    await world.client.assets.LinkCommitment(request)
    await world.advance("2024-03-10")

    assert before["calls"] == (5_000, 5_000)
    lines = [one for one in await world.liable(account) if one.usage_resource.endswith("/calls")]
    assert sum(money(one.amount) for one in lines) == 4_000
    wallet = await world.wallet(account, "spend-usd")
    expired = [one for one in await world.entries(wallet) if one.kind == one.EXPIRY]
    assert [figure(one.amount) for one in expired] == [-6_000, -10_000]


@pytest.mark.capability("M70.spend")
async def test_previews_show_what_usage_would_owe_under_a_promise(sandbox):
    """A quote sells the anchor and, linked to its line, the promise; then both are there."""
    world = await sandbox("2024-01-01")
    await world.product("plan", CALLS)
    await set_up(world, spending())
    account = await world.account("ann")
    promise = quotes.SaleLine(
        product="products/spend", quantity=number(1), start_date=day("2024-01-01"), binding_line=0
    )
    quote = await world.quote(account, line("plan", "2024-01-01"), promise)
    used = {"usage_resource": "usageResources/calls", "quantity": number(1_000)}

    quoted = await world.client.previews.PreviewQuote(
        pb.PreviewQuoteRequest(quote=quote.name, lines=[pb.PreviewQuoteLine(line=0, **used)])
    )
    anchor, commit = await world.sell(account, line("plan", "2024-01-01"), promise)
    live = await world.client.previews.PreviewUsage(
        pb.PreviewUsageRequest(parent=account, lines=[pb.PreviewLine(asset=anchor.name, **used)])
    )

    assert not quote.lines[1].warnings
    assert commit.linked_asset == anchor.name
    for answer, asset in ((quoted, ""), (live, commit.name)):
        [spend] = answer.committed_spend
        assert figures(spend) == (800, 9_200, 0, 10_000)
        assert spend.asset == asset
    assert figure(quoted.amount) == 800
    assert figures(await spend_now(world, account)) == (0, 10_000, 0, 10_000)


@pytest.mark.capability("M70.spend")
@pytest.mark.parametrize(
    ("described", "reason", "field"),
    [
        ({"kind": "GRANT"}, "GRANT_TYPE", "type"),
        ({"cap": "9999"}, "RANGE", "spend_cap"),
    ],
)
async def test_a_promise_that_makes_no_sense_is_refused(sandbox, described, reason, field):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)

    refused = await refusal(set_up(world, spending(**described)))

    assert refused.reason == reason
    assert [one.field.rpartition(".")[2] for one in refused.violations] == [field]


@pytest.mark.capability("M70.spend")
async def test_a_commitment_to_spend_needs_an_amount_and_usage_with_a_rate(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS, DATA)
    await set_up(world, spending(product="nothing", discounts={}))
    euros = spending(product="euros", unit="EUR")
    await set_up(world, euros)
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))

    for product, reason in (("nothing", "COMMITMENT_KIND"), ("euros", "CURRENCY_MISMATCH")):
        refused = await refusal(world.quote(account, linked(product, "2024-01-01", anchor)))
        assert refused.reason == reason, product


@pytest.mark.capability("M70.spend")
async def test_what_is_spent_counts_for_one_commitment_even_if_they_are_nested(sandbox):
    world, account, anchor, _ = await shop(sandbox)
    await set_up(world, spending("500", product="more"))

    refused = await refusal(world.sell(account, linked("more", "2024-01-15", anchor, nested=True)))

    assert (refused.reason, refused.facts["usage_resource"]) == ("COMMITMENT_OVERLAP", "calls")
    assert "for other days" in refused.message


@pytest.mark.capability("M70.spend")
async def test_resources_that_are_not_rated_together_are_not_promised_together(sandbox):
    daily = Metered(resource="data", rate="10", scale=3, rating="WEEK", waiting_days=1)

    refused = await refusal(shop(sandbox, CALLS, daily, discounts={"calls": "20", "data": "50"}))

    assert refused.reason == "POLICY_CONFLICT"
    assert "calls and data" in refused.message


@pytest.mark.capability("M70.spend")
@pytest.mark.parametrize(
    ("part", "reason"),
    [("validity", "GRANT_TYPE"), ("rollover_policy", "GRANT_TYPE"), ("quantity", "RANGE")],
)
async def test_what_is_negotiated_about_a_promise_keeps_it_one_amount_at_a_time(
    sandbox, part, reason
):
    """Two amounts for the same days would both count the same usage."""
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    policies = "\nrollover_policies: [{name: rolloverPolicies/all}]"
    await set_up(world, spending(cap="12000") + policies)
    account = await world.account("ann")
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))
    asked, promise = linked("spend", "2024-01-01", anchor), "products/spend/grants/promise"
    parts = {
        "validity": grant(of=promise, validity=types.Cadence(unit=types.Cadence.MONTH, count=2)),
        "rollover_policy": grant(of=promise, rollover_policy="rolloverPolicies/all"),
        "quantity": grant(0, of=promise),
    }
    asked.negotiated_grants.append(parts[part])

    refused = await refusal(world.quote(account, asked))
    asked.negotiated_grants[0].CopyFrom(grant(9_000, of=promise))
    await world.sell(account, asked)

    assert refused.reason == reason
    assert [one.field.rpartition(".")[2] for one in refused.violations] == [part]
    assert figures(await spend_now(world, account)) == (0, 9_000, 0, 9_000)


PREPAID = """
product: {name: products/prepaid, usage_model_type: PACK}
product_usage_resources:
- product_usage_resource: {usage_resource: usageResources/spend-usd}
  grants: [{product_usage_grant: {name: products/prepaid/grants/money, quantity: 500, type: GRANT}}]
"""

CASH = """
product: {name: products/cash, usage_model_type: ANCHOR}
product_usage_resources:
- product_usage_resource: {usage_resource: usageResources/spend-usd}
  rate_card_entries:
  - {name: rateCards/base/entries/cash, currency_code: USD, rate: {value: 1, currency_code: USD}}
"""


@pytest.mark.capability("M70.spend")
async def test_nothing_else_adds_to_what_is_promised(sandbox):
    """500 of a pack would pay for usage instead of the promise, and so raise the shortfall."""
    world, account, anchor, _ = await shop(sandbox)
    await set_up(world, PREPAID)
    await set_up(world, CASH)
    [other] = await world.sell(account, line("plan", "2024-01-01"))
    asked = [to(anchor.name, name, "2024-01-01") for name in ("prepaid", "cash")]

    refused = [await refusal(world.sell(account, one)) for one in asked]
    await world.use(anchor, "calls", "2024-01-10", 10_000)
    spend = await spend_now(world, account)
    [own] = await world.sell(account, line("cash", "2024-01-01"))
    refused += [await refusal(rebind(world, own, "2024-01-01", binding_target=anchor.name))]

    assert {(one.reason, one.facts["usage_resource"]) for one in refused} == {
        ("COMMITMENT_KIND", "spend-usd")
    }
    assert figures(spend) == (8_000, 2_000, 0, 10_000)
    # The advice: at another target, both are sold, and then nothing is promised there.
    [cash] = await world.sell(account, to(other.name, "cash", "2024-01-01"))
    await world.sell(account, to(cash.name, "prepaid", "2024-01-01"))
    late = await refusal(world.sell(account, linked("spend", "2024-01-01", other)))
    assert late.reason in {"COMMITMENT_KIND", "POLICY_CONFLICT"}
