"""Terms of quotes: the ones that are shown and frozen, and the ones that can be negotiated."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from clients.values import enum_name
from tests.stories.bill_words import owed
from tests.stories.catalog_words import move as put_in_force
from tests.stories.quote_words import act, activate, grant, order, rate, update
from tests.stories.rate_words import ACTIVE, INACTIVE, move, priced, put
from tests.stories.sale_words import bind, linked, platform
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, figure, line, number, refusal, tier
from tests.stories.world import World

CALLS = Metered(
    resource="calls",
    grant="10000",
    refresh="MONTH",
    max_rollovers=1,
    rate="0.50",
    order="GRANTED_LAST",
)


async def shop(sandbox: Any, *metered: Metered) -> tuple[World, str]:
    """A plan of calls: 10,000 a month, then 0.50; and an account."""
    world = await sandbox("2024-01-31")
    await world.product("plan", *(metered or (CALLS,)))
    return world, await world.account("ann")


def plan_line(start: str = "2024-01-01", **more: Any) -> quotes.SaleLine:
    made = line("plan", start, end=more.pop("end", None), quantity=more.pop("quantity", 1))
    made.MergeFrom(quotes.SaleLine(**more))
    return made


@pytest.mark.capability("M61.order", "M61.partial", "M62")
async def test_a_quote_shows_everything_that_it_freezes(sandbox):
    validity = Metered(
        resource="calls", grant="1000", validity="YEAR", order="GRANTED_LAST", rate="1"
    )
    monthly = Metered(resource="texts", grant="1000", refresh="MONTH", rate="1")
    world, account = await shop(sandbox, validity, monthly)

    quote = await world.quote(account, plan_line(end="2024-01-31"))

    [calls, texts] = quote.lines[0].resources
    assert enum_name(calls, "drawdown_order") == "GRANTED_LAST"
    assert enum_name(texts, "drawdown_order") == "EXPIRING_FIRST"
    [held], [issued] = calls.grants, texts.grants
    assert enum_name(held, "type") == "GRANT"
    assert (held.validity.count, enum_name(held.validity, "unit")) == (1, "YEAR")
    assert not issued.HasField("validity")
    # 30 of January's 31 days are sold.
    assert (figure(issued.first_issue_quantity), figure(issued.last_issue_quantity)) == (967, 967)
    assert not issued.HasField("catalog_quantity")
    assert (calls.commitment_policy, calls.commitment_rate) == ("", 0)


@pytest.mark.capability("M61.order")
async def test_a_quote_of_a_commitment_shows_its_policy(sandbox):
    world = await sandbox("2024-01-15")
    account, asset = await platform(world, "BOUNDED")

    quote = await world.quote(account, linked("commit", "2024-01-15", asset))

    [shown] = quote.lines[0].resources
    assert enum_name(shown, "commitment_rate") == "BOUNDED"
    assert shown.commitment_policy.startswith("commitmentPolicies/")
    assert shown.commitment_policy_version == 1
    assert [enum_name(one, "type") for one in shown.grants] == ["COMMIT"]


@pytest.mark.capability("M63.quote")
async def test_a_later_change_of_the_catalog_moves_nothing_that_was_quoted(sandbox):
    """0.50 is quoted; the catalog asks 0.80 from then on, and the asset pays 0.50."""
    world, account = await shop(sandbox)
    quote = await world.quote(account, plan_line())
    await move(world, INACTIVE, "rateCards/base/entries/plan-calls-USD")
    await put(world, "base/dearer", priced("calls", "0.80"))

    ordered = await order(world, quote)
    [asset] = await activate(world, await world.quote(account, plan_line("2024-01-02")))

    [shown] = ordered.lines[0].resources
    assert figure(shown.terms.rate.value) == Decimal("0.50")
    assert figure(asset.resources[0].terms.rate.value) == Decimal("0.80")
    assert shown == quote.lines[0].resources[0]


@pytest.mark.capability("M63.asset")
async def test_what_was_quoted_reaches_the_asset_and_the_bill(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, plan_line())
    await move(world, INACTIVE, "rateCards/base/entries/plan-calls-USD")
    await put(world, "base/dearer", priced("calls", "0.80"))

    [asset] = await activate(world, quote)
    await world.use(asset, "calls", "2024-01-05", 10_100)
    await world.advance("2024-02-10")

    assert figure(asset.resources[0].terms.rate.value) == Decimal("0.50")
    assert await owed(world, account) == {"calls": (100, 50)}


async def test_a_quote_shows_the_catalog_beside_what_was_negotiated(sandbox):
    """Graduated tiers from 0 and 100 on become one price by volume."""
    world, account = await shop(sandbox, Metered(resource="calls", rate="2"))
    steps = (("0", "100", "OVERRIDE", "2"), ("100", None, "OVERRIDE", "1"))
    await put(world, "tiers/calls", priced("calls", None, *steps, mode="GRADUATED"))
    flat = types.RateTiers(mode="VOLUME", tiers=[tier("0", None, "1.50")])
    asked = rate("1.80")
    asked.tiers.CopyFrom(flat)

    quote = await world.quote(account, plan_line(), plan_line(negotiated_rates=[asked]))

    [listed, agreed] = [one.resources[0].terms for one in quote.lines]
    assert agreed.catalog_rate == listed.rate
    assert agreed.catalog_tiers == listed.tiers
    assert (figure(agreed.rate.value), len(agreed.tiers.tiers)) == (Decimal("1.80"), 1)
    assert not listed.HasField("catalog_rate")
    assert not listed.HasField("catalog_tiers")


@pytest.mark.capability("M64.rate")
async def test_a_negotiated_rate_is_used_in_rating(sandbox):
    world, account = await shop(sandbox)

    [asset] = await world.sell(account, plan_line(negotiated_rates=[rate("0.45")]))
    await world.use(asset, "calls", "2024-01-05", 10_100)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"calls": (100, 45)}


@pytest.mark.capability("M64.tiers")
async def test_negotiated_tiers_are_used_in_rating(sandbox):
    world, account = await shop(sandbox, Metered(resource="calls", rate="1"))
    steps = types.RateTiers(
        tiers=[
            types.RateTier(lower=number(0), adjustment={"kind": "PERCENTAGE", "value": number(40)})
        ]
    )
    asked = quotes.NegotiatedRate(usage_resource="usageResources/calls", tiers=steps)

    [asset] = await world.sell(account, plan_line(negotiated_rates=[asked]))
    await world.use(asset, "calls", "2024-01-05", 100)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"calls": (100, 60)}


@pytest.mark.capability("M64.commitment")
async def test_the_percentage_of_a_commitment_can_be_negotiated(sandbox):
    """30 % off instead of 20 %: 500 tokens of usage take 350 of the 1,000 that are committed."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50")))
    await set_up(world, commitment("commit", "credits", "1000", discount="20"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    less = types.RateTiers(
        tiers=[
            types.RateTier(lower=number(0), adjustment={"kind": "PERCENTAGE", "value": number(30)})
        ]
    )
    asked = quotes.NegotiatedRate(usage_resource="usageResources/credits", tiers=less)

    await world.sell(account, linked("commit", "2024-01-01", asset, negotiated_rates=[asked]))
    await world.use(asset, "minutes", "2024-01-05", 100)

    wallet = await world.wallet(account, "credits")
    assert figure(wallet.balance) == 650


@pytest.mark.capability("M65.quantity")
async def test_a_negotiated_grant_is_credited(sandbox):
    """10,000 become 15,000, each month; the catalog's quantity stays beside it."""
    world, account = await shop(sandbox)
    wanted = plan_line(quantity=1, negotiated_grants=[grant(15_000)])

    quote = await world.quote(account, wanted)
    await activate(world, quote)
    await world.advance("2024-02-10")

    [shown] = quote.lines[0].resources[0].grants
    assert (figure(shown.quantity), figure(shown.catalog_quantity)) == (15_000, 10_000)
    assert quote.lines[0].negotiated_grants == wanted.negotiated_grants
    wallet = await world.wallet(account, "calls")
    assert [figure(one.quantity) for one in await world.grants(wallet)] == [15_000, 15_000, 15_000]
    assert figure(wallet.balance) == 30_000


@pytest.mark.capability("M65.policies")
async def test_the_policies_of_a_grant_can_be_negotiated(sandbox):
    """Weekly and valid for a month instead of monthly; what is left does not roll over."""
    world, account = await shop(
        sandbox, Metered(resource="calls", grant="100", refresh="MONTH", rate="1")
    )
    weekly = await world.client.policies.CreateRefreshPolicy(
        policy_rpc.CreateRefreshPolicyRequest(
            refresh_policy_id="weekly",
            refresh_policy=policies.RefreshPolicy(interval=types.Cadence(unit="WEEK", count=1)),
        )
    )
    inactive = plan_line(negotiated_grants=[grant(refresh_policy=weekly.name)])
    refused = await refusal(world.quote(account, inactive))
    await put_in_force(world, ACTIVE, weekly.name)

    month = types.Cadence(unit="MONTH", count=1)
    quote = await world.quote(
        account,
        plan_line(negotiated_grants=[grant(refresh_policy=weekly.name, validity=month)]),
    )
    await activate(world, quote)

    assert (refused.code.name, refused.reason) == ("FAILED_PRECONDITION", "RESOURCE_INACTIVE")
    [shown] = quote.lines[0].resources[0].grants
    assert (shown.refresh_policy, shown.refresh_policy_version) == ("refreshPolicies/weekly", 1)
    assert (shown.validity.count, figure(shown.quantity)) == (1, 100)
    wallet = await world.wallet(account, "calls")
    # Issued on the 1st, 8th, 15th, 22nd and 29th of January, all of which are still valid.
    assert [one.start_time.ToDatetime().day for one in await world.grants(wallet)] == [
        1, 8, 15, 22, 29,
    ]  # fmt: skip
    assert figure(wallet.balance) == 500


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        ([grant()], "FIELD_REQUIRED", "negotiated_grants[0].quantity"),
        ([grant(-1)], "QUANTITY_NEGATIVE", "negotiated_grants[0].quantity"),
        ([grant("0.5")], "UNIT_SCALE", "negotiated_grants[0].quantity"),
        ([grant(1), grant(2)], "GRANT_TWICE", "negotiated_grants[1].product_usage_grant"),
        (
            [grant(1, of="products/plan/grants/other")],
            "GRANT_NOT_INCLUDED",
            "negotiated_grants[0].product_usage_grant",
        ),
        (
            [grant(1, of="products/other/grants/calls-grant")],
            "GRANT_NOT_INCLUDED",
            "negotiated_grants[0].product_usage_grant",
        ),
        (
            [grant(refresh_policy="refreshPolicies/none")],
            "REFRESH_POLICY_NOT_FOUND",
            None,
        ),
    ],
)
async def test_a_wrong_grant_is_refused_and_nothing_is_saved(sandbox, asked, reason, field):
    world, account = await shop(sandbox)

    refused = await refusal(world.quote(account, plan_line(negotiated_grants=asked)))

    assert refused.reason == reason
    if field is not None:
        assert [one.field for one in refused.violations] == [f"quote.lines[0].{field}"]
    listed = await world.client.quotes.ListQuotes(quotes.ListQuotesRequest(parent=account))
    assert not listed.quotes


async def test_the_catalog_can_forbid_to_negotiate_grants_and_policies(sandbox):
    fixed = Metered(resource="calls", grant="10", rate="1", fixed_grant=True, fixed_policies=True)
    world, account = await shop(sandbox, fixed)
    free = {
        "usage_resource": "usageResources/calls",
        "policies": {"overage_policy": "overagePolicies/charge"},
    }

    refused = [
        await refusal(world.quote(account, plan_line(negotiated_grants=[grant(15)]))),
        await refusal(world.quote(account, plan_line(policies=[free]))),
    ]

    assert [one.reason for one in refused] == ["NOT_NEGOTIABLE", "NOT_NEGOTIABLE"]
    assert [one.facts["field"] for one in refused] == [
        "quote.lines[0].negotiated_grants[0].product_usage_grant",
        "quote.lines[0].policies",
    ]
    assert await world.quote(account, plan_line())


async def test_a_target_does_not_change_policies_that_the_catalog_forbids_to_change(sandbox):
    fixed = Metered(resource="calls", grant="10", rate="1", fixed_policies=True)
    world, account = await shop(sandbox, fixed)
    free = {
        "usage_resource": "usageResources/calls",
        "policies": {"overage_policy": "overagePolicies/charge"},
    }
    made = await world.client.accounts.CreateBindingTarget(
        accounts.CreateBindingTargetRequest(
            parent=account,
            binding_target_id="team",
            binding_target={"kind": "CUSTOM", "policies": [free]},
        )
    )
    plain = await bind(world, account, "plain", "CUSTOM")

    refused = await refusal(
        world.quote(account, plan_line(binding="CUSTOM", binding_target=made.name))
    )

    assert (refused.reason, refused.facts["field"]) == (
        "NOT_NEGOTIABLE",
        "quote.lines[0].binding_target",
    )
    assert await world.quote(account, plan_line(binding="CUSTOM", binding_target=plain))


@pytest.mark.capability("M150.quote")
async def test_a_quote_with_negotiated_rows_is_placed_whole_or_not_at_all(sandbox):
    """Two lines with rates, tiers and grants; with one bad row in the second, nothing is saved."""
    world, account = await shop(sandbox)
    good = plan_line(negotiated_rates=[rate("0.45")], negotiated_grants=[grant(15_000)])
    bad = plan_line("2024-01-02", negotiated_rates=[rate("-1")])

    refused = await refusal(world.quote(account, good, bad))
    before = await world.client.quotes.ListQuotes(quotes.ListQuotesRequest(parent=account))
    quote = await world.quote(account, good, plan_line("2024-01-02"))

    assert refused.violations[0].field == "quote.lines[1].negotiated_rates[0].rate.value"
    assert not before.quotes
    assert len(quote.lines) == 2
    assert quote.lines[0].negotiated_rates[0].rate.value == number("0.45")


async def test_what_was_omitted_stays_omitted_and_is_shown(sandbox):
    """A commitment to tokens without its optional terabytes, which the quote names."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"storage": "10"}, Credits(price="0.50")))
    await set_up(world, commitment("commit", "credits", "100", optional={"storage": "5"}))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    made = linked("commit", "2024-01-01", asset, omitted_resources=["usageResources/storage"])

    quote = await world.quote(account, made)
    repriced = await act(world, "Reprice", quote)
    cloned = await act(world, "Clone", quote)
    updated = await update(world, repriced, repriced.lines[0])

    for one in (quote, repriced, cloned, updated):
        assert list(one.lines[0].omitted_resources) == ["usageResources/storage"]
        assert len(one.lines[0].resources) == 1
