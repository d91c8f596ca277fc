"""The history of an asset: who changed which rate, grant or policy, when, and why."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes

from clients.values import enum_name
from tests.stories.detail_words import fields, history
from tests.stories.quote_words import act, activate, grant, rate
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.sale_words import bind, linked, to
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, day, line, moment, refusal, stamp
from tests.stories.world import World

CALLS = Metered(
    resource="calls", grant="10000", refresh="MONTH", rate="0.50", per="10", max_discount="5"
)


async def shop(sandbox: Any) -> tuple[World, str]:
    """A plan of calls, and an account."""
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    return world, await world.account("ann")


@pytest.mark.capability("M80.history")
async def test_the_sale_of_an_asset_is_the_first_change(sandbox):
    world, account = await shop(sandbox)
    wanted = line("plan", "2024-01-01", negotiated=[rate("0.40")])
    wanted.negotiated_grants.append(grant(15_000))
    quote = await world.quote(account, wanted)
    approved = await act(world, "Approve", quote, reason="A launch customer")

    [asset] = await activate(world, quote)
    [sale] = await history(world, asset.name)

    assert sale.name == f"{asset.name}/changes/1"
    assert (enum_name(sale, "act"), sale.asset) == ("SALE", asset.name)
    assert (sale.order, sale.quote) == (asset.order, quote.name)
    assert (sale.effective_date, sale.reason) == (day("2024-01-01"), "")
    assert sale.approval == approved.decision
    assert sale.approval.reason == "A launch customer"
    assert (sale.created_by, sale.create_time) == (asset.created_by, sale.create_time)
    assert sale.created_by.startswith("credentials/")
    assert sale.act_time == stamp(moment("2024-01-31"))
    assert sale.create_time.ToDatetime().year > 2024
    assert fields(sale) == {
        "rate": ("", "0.4 USD per 10"),
        "grants/calls-grant/quantity": ("", "15000"),
        "grants/calls-grant/refresh_policy": ("", "every-1-month, version 1"),
        "aggregation_policy": ("", "sum-day-combine_unspecified, version 1"),
        "rating_frequency_policy": ("", "month-3-next_period, version 1"),
        "overage_policy": ("", "charge, version 1"),
        "overage": ("", "CHARGE"),
        "drawdown_order": ("", "EXPIRING_FIRST"),
    }


@pytest.mark.capability("M80.history")
async def test_the_sale_of_an_order_without_a_quote_has_none(sandbox):
    world, account = await shop(sandbox)
    draft = await world.client.orders.CreateOrder(
        orders.CreateOrderRequest(
            parent=account,
            order=orders.Order(price_book="priceBooks/book", lines=[line("plan", "2024-01-01")]),
        )
    )
    active = await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=draft.name))

    [sale] = await history(world, active.assets[0])

    assert (sale.order, sale.quote, sale.HasField("approval")) == (draft.name, "", False)
    assert fields(sale)["rate"] == ("", "0.5 USD per 10")


@pytest.mark.capability("M80.others")
async def test_a_rate_agreed_later_for_the_target_is_a_change_of_its_other_assets(sandbox):
    """0.48 from February applies to the plain asset; neither to the negotiated one, nor back."""
    world, account = await shop(sandbox)
    team = await bind(world, account, "team", "CUSTOM")
    [plain, own] = await world.sell(
        account,
        to(team, "plan", "2024-01-01", binding="CUSTOM"),
        to(team, "plan", "2024-01-01", binding="CUSTOM", negotiated_rates=[rate("0.49")]),
    )
    await world.advance("2024-02-10")
    [later] = await world.sell(
        account,
        to(team, "plan", "2024-02-01", binding="CUSTOM", negotiated_rates=[rate("0.48")]),
    )

    changes = await history(world, plain.name)

    assert [(enum_name(one, "act"), one.asset) for one in changes] == [
        ("SALE", plain.name),
        ("OTHER_SALE", own.name),
        ("OTHER_SALE", later.name),
    ]
    assert fields(changes[1]) == {"rate": ("0.5 USD per 10", "0.49 USD per 10")}
    assert fields(changes[2]) == {"rate": ("0.49 USD per 10", "0.48 USD per 10")}
    assert changes[2].effective_date == day("2024-02-01")
    assert changes[2].name == f"{later.name}/changes/1"
    assert changes[2].order == later.order
    assert [enum_name(one, "act") for one in await history(world, own.name)] == ["SALE"]
    assert [enum_name(one, "act") for one in await history(world, later.name)] == ["SALE"]


@pytest.mark.capability("M80.others")
async def test_a_commitment_that_is_linked_later_is_a_change_of_its_anchor(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50", grant="10000")))
    await set_up(world, commitment("commit", "credits", "25000", discount="10"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    [commit] = await world.sell(account, linked("commit", "2024-01-10", asset))

    [_, change] = await history(world, asset.name)

    assert (enum_name(change, "act"), change.asset) == ("OTHER_SALE", commit.name)
    assert change.effective_date == day("2024-01-10")
    commit_id = commit.name.rpartition("/")[2]
    assert fields(change) == {
        f"commitments/{commit_id}/tiers": ("", "VOLUME: 0 PERCENTAGE 10"),
    }


@pytest.mark.capability("M80.others")
async def test_a_commitment_that_was_sold_before_its_anchor_changes_it_when_it_is_linked(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50", grant="10000")))
    await set_up(world, commitment("commit", "credits", "25000", discount="10"))
    account = await world.account("ann")
    alone = quotes.SaleLine(product="products/commit", start_date=day("2024-01-01"))
    [commit] = await world.sell(account, alone)
    [anchor] = await world.sell(account, line("plan", "2024-01-01"))
    before = await history(world, anchor.name)
    await world.client.assets.LinkCommitment(
        assets.LinkCommitmentRequest(
            name=commit.name, anchor=anchor.name, start_date=day("2024-01-10")
        )
    )

    of_anchor, of_commit = await history(world, anchor.name), await history(world, commit.name)

    assert [enum_name(one, "act") for one in before] == ["SALE"]
    assert of_anchor[:1] == before
    assert (enum_name(of_anchor[1], "act"), of_anchor[1].asset) == ("OTHER_SALE", commit.name)
    assert of_anchor[1].effective_date == day("2024-01-10")
    assert of_anchor[1].name == f"{commit.name}/changes/2"
    assert [enum_name(one, "act") for one in of_commit] == ["SALE", "LINK"]
    assert fields(of_commit[1]) == {"linked_asset": ("", anchor.name.rpartition("/")[2])}
    assert of_commit[1].created_by.startswith("credentials/")


@pytest.mark.capability("M80.asof")
async def test_the_history_can_be_read_as_of_any_date(sandbox):
    """0.48 from March is agreed on February 10."""
    world, account = await shop(sandbox)
    team = await bind(world, account, "team", "CUSTOM")
    [plain] = await world.sell(account, to(team, "plan", "2024-01-01", binding="CUSTOM"))
    await world.advance("2024-02-10")
    await world.sell(
        account,
        to(team, "plan", "2024-03-01", binding="CUSTOM", negotiated_rates=[rate("0.48")]),
    )

    async def acts(**only: Any) -> list[str]:
        return [enum_name(one, "act") for one in await history(world, plain.name, **only)]

    assert await acts() == await acts(page_size=1) == ["SALE", "OTHER_SALE"]
    assert await acts(effective_date=day("2023-12-31")) == []
    assert await acts(effective_date=day("2024-02-29")) == ["SALE"]
    assert await acts(effective_date=day("2024-03-01")) == ["SALE", "OTHER_SALE"]
    assert await acts(as_of_time=stamp(moment("2024-02-09"))) == ["SALE"]
    assert await acts(as_of_time=stamp(moment("2024-02-10"))) == ["SALE", "OTHER_SALE"]
    assert await acts(usage_resource="usageResources/none") == []
    assert await acts(usage_resource="usageResources/calls") == ["SALE", "OTHER_SALE"]


@pytest.mark.capability("M80.history")
async def test_changes_of_the_catalog_are_no_changes_of_what_was_sold(sandbox):
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    before = await history(world, asset.name)
    await move(world, INACTIVE, "rateCards/base/entries/plan-calls-USD")
    await put(world, "base/dearer", priced("calls", "0.80"))
    free = policies.OveragePolicy(name="overagePolicies/charge", overage="FREE")
    await world.client.policies.RevisePolicy(
        policy_rpc.RevisePolicyRequest(
            policy=policy_rpc.Policy(overage_policy=free),
            update_mask=FieldMask(paths=["overage"]),
        )
    )

    assert await history(world, asset.name) == before


async def test_the_history_of_an_unknown_asset_is_refused(sandbox):
    world, account = await shop(sandbox)
    unknown = f"{account}/assets/00000000-0000-4000-8000-000000000001"

    refused = await refusal(
        world.client.assets.ListAssetChanges(assets.ListAssetChangesRequest(parent=unknown))
    )

    assert (refused.code.name, refused.reason) == ("NOT_FOUND", "ASSET_NOT_FOUND")
