"""Usage details: what was agreed for each resource, beside what the catalog has."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import usage_details_service_pb2 as details

from clients.values import enum_name
from tests.stories.catalog_words import move as put_in_force
from tests.stories.detail_words import detail_list, of_resource
from tests.stories.policy_words import overage, override
from tests.stories.quote_words import activate, grant, order, rate
from tests.stories.rate_words import ACTIVE, priced, put
from tests.stories.sale_words import bind, linked, platform, to
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, day, figure, line, refusal, tier
from tests.stories.world import World

CALLS = Metered(
    resource="calls", grant="10000", refresh="MONTH", max_rollovers=1, rate="0.50", per="10"
)
TEXTS = Metered(
    resource="texts", grant="5", rate="1", negotiable=False, fixed_grant=True, fixed_policies=True
)


async def shop(sandbox: Any, *metered: Metered) -> tuple[World, str]:
    """A plan of calls, which can be negotiated, and texts, which cannot; and an account."""
    world = await sandbox("2024-01-31")
    await world.product("plan", *(metered or (CALLS, TEXTS)))
    return world, await world.account("ann")


async def weekly(world: World) -> str:
    made = await world.client.policies.CreateRefreshPolicy(
        policy_rpc.CreateRefreshPolicyRequest(
            refresh_policy_id="weekly",
            refresh_policy=policies.RefreshPolicy(interval=types.Cadence(unit="WEEK", count=1)),
        )
    )
    await put_in_force(world, ACTIVE, made.name)
    return made.name


async def agreed(world: World) -> quotes.SaleLine:
    """A line with another rate, other tiers, another grant and another overage policy."""
    asked = rate("0.45")
    asked.tiers.CopyFrom(types.RateTiers(tiers=[tier("0", None, "0.40")]))
    free = await overage(world, "gratis", "FREE")
    made = line("plan", "2024-01-01", quantity=2, negotiated=[asked])
    made.negotiated_grants.append(
        grant(
            15_000,
            refresh_policy=await weekly(world),
            validity=types.Cadence(unit="MONTH", count=1),
        )
    )
    made.policies.append(override(overage_policy=free, drawdown_order="GRANTED_LAST"))
    return made


@pytest.mark.capability("M144.sale", "M144.rates")
async def test_the_details_of_a_quote_and_its_order_have_the_rate_and_its_origin(sandbox):
    world, account = await shop(sandbox)
    await put(world, "tiers/calls", priced("calls", None, ("0", None, "PERCENTAGE", "10")))
    quote = await world.quote(account, line("plan", "2024-01-01"), await agreed(world))
    made = await order(world, quote)

    of_quote = await detail_list(world, quote.name)
    of_order = await detail_list(world, made.name)

    assert [(one.line, one.resource.usage_resource) for one in of_quote] == [
        (0, "usageResources/calls"),
        (0, "usageResources/texts"),
        (1, "usageResources/calls"),
        (1, "usageResources/texts"),
    ]
    listed, fixed, calls, _ = of_quote
    assert [one.resource for one in of_order] == [one.resource for one in of_quote]
    assert {(one.sale, one.asset) for one in of_order} == {(made.name, "")}
    assert {one.product for one in of_quote} == {"products/plan"}
    assert (enum_name(calls, "binding"), calls.binding_target) == ("SELF", "")
    assert enum_name(listed, "overage_charge") == "YES"
    assert enum_name(calls, "overage_charge") == "NO"
    assert (figure(listed.granted_quantity), figure(calls.granted_quantity)) == (10_000, 15_000)
    assert calls.unit_of_measure.startswith("unitsOfMeasure/")
    terms = calls.resource.terms
    assert (terms.base_entry, terms.tier_entry) == (
        "rateCards/base/entries/plan-calls-USD",
        "rateCards/tiers/entries/calls",
    )
    assert (figure(terms.rate.value), figure(terms.rate.per)) == (Decimal("0.45"), 10)
    assert (figure(terms.catalog_rate.value), terms.rate.currency_code) == (Decimal("0.50"), "USD")
    assert terms.catalog_tiers.tiers[0].adjustment.value.value == "10"
    assert (terms.non_negotiable, fixed.resource.terms.non_negotiable) == (False, True)


@pytest.mark.capability("M144.grants", "M144.policies")
async def test_the_details_have_grants_and_policies_beside_those_of_the_catalog(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, await agreed(world))

    [calls, texts] = await detail_list(world, quote.name)

    [shown] = calls.resource.grants
    assert (shown.refresh_policy, shown.refresh_policy_version) == ("refreshPolicies/weekly", 1)
    assert shown.catalog_refresh_policy.startswith("refreshPolicies/")
    assert shown.catalog_refresh_policy != shown.refresh_policy
    assert shown.catalog_refresh_policy_version == 1
    assert shown.catalog_rollover_policy == shown.rollover_policy == "rolloverPolicies/up-to-1"
    assert (figure(shown.quantity), figure(shown.catalog_quantity)) == (15_000, 20_000)
    assert (shown.validity.count, shown.HasField("catalog_validity")) == (1, False)
    assert (shown.negotiated, texts.resource.grants[0].negotiated) == (True, False)
    assert (calls.overage.policy, calls.overage.version) == ("overagePolicies/gratis", 1)
    assert enum_name(calls.overage, "level") == "LINE"
    assert calls.overage.catalog_policy.startswith("overagePolicies/")
    assert enum_name(calls.overage, "catalog_level") == "PRODUCT_USAGE_RESOURCE"
    assert calls.overage.catalog_version == 1
    assert enum_name(calls, "drawdown_order_level") == "LINE"
    assert enum_name(calls, "catalog_drawdown_order") == "EXPIRING_FIRST"
    assert enum_name(calls.aggregation, "level") == "PRODUCT_USAGE_RESOURCE"
    assert not calls.aggregation.catalog_policy
    assert not calls.HasField("commitment")
    assert [one.overage.non_negotiable for one in (calls, texts)] == [False, True]
    assert [one.resource.grants[0].non_negotiable for one in (calls, texts)] == [False, True]


@pytest.mark.capability("M144.policies", "M144.sale")
async def test_the_details_of_a_commitment_have_its_anchor_and_its_policy(sandbox):
    world = await sandbox("2024-01-15")
    account, asset = await platform(world, "BOUNDED")
    quote = await world.quote(account, linked("commit", "2024-01-15", asset))

    [shown] = await detail_list(world, quote.name)

    assert (shown.linked_asset, enum_name(shown, "overage_charge")) == (
        asset.name,
        "NOT_APPLICABLE",
    )
    assert shown.commitment.policy.startswith("commitmentPolicies/")
    assert (shown.commitment.version, enum_name(shown.aggregation, "level")) == (1, "TARGET")


@pytest.mark.capability("M144.asset")
async def test_a_commitment_has_details_before_and_after_it_is_linked(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50", grant="10000")))
    await set_up(world, commitment("commit", "credits", "25000", discount="10"))
    account = await world.account("ann")
    alone = quotes.SaleLine(product="products/commit", start_date=day("2024-01-01"))
    [commit, anchor] = await world.sell(account, alone, line("plan", "2024-01-01"))

    [before] = await detail_list(world, commit.name)
    await world.client.assets.LinkCommitment(
        assets.LinkCommitmentRequest(name=commit.name, anchor=anchor.name)
    )
    [after] = await detail_list(world, commit.name)
    everything = await detail_list(world, anchor.name, target=True)

    assert (before.asset, before.wallet, before.linked_asset) == (commit.name, "", "")
    assert figure(before.granted_quantity) == figure(after.granted_quantity) == 25_000
    assert after.linked_asset == anchor.name
    assert after.wallet in {one.wallet for one in everything}
    assert after in everything


@pytest.mark.capability("M144.asset")
async def test_the_details_of_an_asset_are_those_of_a_day(sandbox):
    world, account = await shop(sandbox)
    wanted = await agreed(world)
    wanted.end_date.CopyFrom(day("2024-03-01"))
    [asset] = await activate(world, await world.quote(account, wanted))

    today = await detail_list(world, asset.name)
    later = await detail_list(world, asset.name, effective_date=day("2024-03-01"))
    texts = await detail_list(world, asset.name, usage_resource="usageResources/texts")

    of_order = await detail_list(world, asset.order)
    [calls, _] = today
    assert [one.asset for one in of_order] == [asset.name, asset.name]
    assert [one.granted_quantity for one in of_order] == [one.granted_quantity for one in today]
    assert (calls.asset, calls.sale, calls.wallet) == (
        asset.name,
        asset.order,
        asset.resources[0].wallet,
    )
    assert figure(calls.granted_quantity) == 15_000
    assert calls.entitlements == asset.resources[0].entitlements
    assert figure(calls.resource.terms.catalog_rate.value) == Decimal("0.50")
    assert calls.target_rate_order == 0
    assert (later, texts) == ([], today[1:])


@pytest.mark.capability("M145.rates", "M145.grants", "M145.policies")
async def test_a_target_shows_its_rates_and_the_grants_of_all_its_assets(sandbox):
    """0.45 is agreed in January and 0.40 in February, which then comes first."""
    world, account = await shop(sandbox, CALLS)
    team = await bind(world, account, "team", "CUSTOM")
    [first, second, plain] = await world.sell(
        account,
        to(team, "plan", "2024-01-01", binding="CUSTOM", negotiated_rates=[rate("0.45")]),
        to(team, "plan", "2024-02-01", binding="CUSTOM", negotiated_rates=[rate("0.40")]),
        to(team, "plan", "2024-01-01", binding="CUSTOM", end="2024-02-15"),
    )

    async def shown(on: str) -> list[tuple[str, str, int]]:
        found = await detail_list(world, team, effective_date=day(on))
        return [
            (one.asset, one.resource.terms.rate.value.value, one.target_rate_order) for one in found
        ]

    assert await shown("2024-01-10") == [(first.name, "0.45", 1), (plain.name, "0.5", 0)]
    assert await shown("2024-02-10") == [
        (first.name, "0.45", 2),
        (second.name, "0.4", 1),
        (plain.name, "0.5", 0),
    ]
    assert await shown("2024-02-15") == [(first.name, "0.45", 2), (second.name, "0.4", 1)]
    held = await detail_list(world, team, effective_date=day("2024-02-10"))
    assert {one.product for one in held} == {"products/plan"}
    assert {one.binding_target for one in held} == {team}
    assert len({one.wallet for one in held}) == 1
    assert [figure(one.granted_quantity) for one in held] == [10_000] * 3
    assert [one.entitlements[0].start_date.month for one in held] == [1, 2, 1]
    assert all(one.resource.grants[0].rollover_policy for one in held)
    assert len({(one.aggregation.policy, one.rating_frequency.policy) for one in held}) == 1
    assert held[0].rating_frequency.policy.startswith("ratingFrequencyPolicies/")


@pytest.mark.capability("M145.grants")
async def test_an_account_and_an_asset_can_be_the_target(sandbox):
    world, account = await shop(sandbox, CALLS)
    [own] = await world.sell(account, line("plan", "2024-01-01"))
    [shared] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    [added] = await world.sell(account, to(own.name, "plan", "2024-01-01"))

    of_account = await detail_list(world, account)
    of_asset = await detail_list(world, own.name)
    with_others = await detail_list(world, own.name, target=True)

    assert [one.asset for one in of_account] == [shared.name]
    assert [one.asset for one in of_asset] == [own.name]
    assert [one.asset for one in with_others] == [own.name, added.name]


async def test_details_come_in_pages(sandbox):
    world, account = await shop(sandbox)
    team = await bind(world, account, "team", "CUSTOM")
    line_of_team = to(team, "plan", "2024-01-01", binding="CUSTOM")
    quote = await world.quote(account, *[line_of_team] * 3)
    sold = await activate(world, quote)

    of_quote = await detail_list(world, quote.name, page_size=2)
    of_team = await detail_list(world, team, page_size=4)

    assert [one.line for one in of_quote] == [0, 0, 1, 1, 2, 2]
    assert [(one.asset, of_resource(one)) for one in of_team] == [
        (asset.name, resource) for resource in ("calls", "texts") for asset in sold
    ]


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        ("accounts/ann/quotes/00000000-0000-4000-8000-000000000001", "QUOTE_NOT_FOUND"),
        ("accounts/ann/orders/00000000-0000-4000-8000-000000000001", "ORDER_NOT_FOUND"),
        ("accounts/ann/assets/00000000-0000-4000-8000-000000000001", "ASSET_NOT_FOUND"),
        ("accounts/ann/bindingTargets/none", "BINDING_TARGET_NOT_FOUND"),
        ("accounts/none", "ACCOUNT_NOT_FOUND"),
        ("accounts/ann/wallets/00000000-0000-4000-8000-000000000001", "NAME_FORMAT"),
        ("products/plan", "NAME_FORMAT"),
    ],
)
async def test_a_subject_that_does_not_exist_is_refused(sandbox, parent, reason):
    world, _ = await shop(sandbox)

    refused = await refusal(
        world.client.usage_details.ListUsageDetails(details.ListUsageDetailsRequest(parent=parent))
    )

    assert refused.reason == reason


async def test_a_target_without_sales_has_no_details(sandbox):
    world, account = await shop(sandbox)
    team = await bind(world, account, "team", "CUSTOM")

    assert await detail_list(world, team) == []
