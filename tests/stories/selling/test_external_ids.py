"""Assets under the caller's own ids: sold with one, found by it, and named by usage."""

import asyncio
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import preview_service_pb2 as pb
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageError
from clients.values import reason_of
from server.store.consumption import recording
from tests.stories.preview_words import amounts, lines, preview
from tests.stories.words import (
    ACCEPTED,
    REJECTED,
    Metered,
    codes,
    figure,
    line,
    refusal,
    usage,
)
from tests.stories.world import World

DUPLICATE = consumption.RecordOutcome.DUPLICATE
CONFLICT = consumption.RecordOutcome.CONFLICT


def own(external_id: str) -> quotes.SaleLine:
    """A line of the plan whose asset has an external id."""
    made = line("plan", "2024-01-01")
    made.external_id = external_id
    return made


def external(asset: assets.Asset, external_id: str) -> assets.Asset:
    """Return the asset under the name by which usage can name it."""
    return assets.Asset(name=f"{asset.name.rpartition('/')[0]}/external:{external_id}")


async def shop(sandbox: Any) -> tuple[World, str]:
    """10 calls are included; the rest costs 2."""
    world: World = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="10", rate="2"))
    return world, await world.account("ann")


async def draft(world: World, account: str, external_id: str) -> orders.Order:
    quote = await world.quote(account, own(external_id))
    return await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))


async def test_an_asset_carries_the_external_id_of_its_line(sandbox: Any) -> None:
    world, account = await shop(sandbox)
    quote = await world.quote(account, own("crm-1"))
    ordered = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=ordered.name))
    [plain] = await world.sell(account, line("plan", "2024-01-01"))

    async def listed(external_id: str) -> list[str]:
        request = assets.ListAssetsRequest(parent=account, external_id=external_id)
        found = (await world.client.assets.ListAssets(request)).assets
        return [one.external_id for one in found]

    assert [one.external_id for one in (*quote.lines, *ordered.lines)] == ["crm-1", "crm-1"]
    assert plain.external_id == ""
    assert await listed("crm-1") == ["crm-1"]
    assert await listed("crm-2") == []
    assert await listed("") == ["crm-1", ""]
    malformed = await refusal(listed("crm 1"))
    assert (malformed.reason, malformed.facts["field"]) == ("CODE_FORMAT", "external_id")
    malformed = await refusal(world.quote(account, own("-crm")))
    assert malformed.reason == "CODE_FORMAT"
    assert malformed.facts["field"] == "quote.lines[0].external_id"


async def test_usage_names_an_asset_by_its_external_id(sandbox: Any) -> None:
    world, account = await shop(sandbox)
    [asset, other] = await world.sell(account, own("crm-1"), own("crm-2"))
    first, second = external(asset, "crm-1"), external(other, "crm-2")

    outcomes = await world.record(
        [
            usage(first, "calls", "2024-01-02", 12, "a"),
            usage(asset, "calls", "2024-01-02", 3, "b"),
            usage(second, "calls", "2024-01-02", 4, "c"),
        ]
    )
    repeats = await world.record(
        [
            usage(asset, "calls", "2024-01-02", 12, "a"),
            usage(first, "calls", "2024-01-02", 3, "b"),
            usage(first, "calls", "2024-01-02", 4, "c"),
        ]
    )
    name = f"{account}/usageRecords/a"
    kept = await world.client.consumption.GetUsageRecord(
        consumption.GetUsageRecordRequest(name=name)
    )

    assert codes(outcomes) == [ACCEPTED] * 3
    assert outcomes[0].usage_record == name
    assert codes(repeats) == [DUPLICATE, DUPLICATE, CONFLICT]
    assert UsageError.of_status(repeats[2].status).facts["fields"] == "asset"
    assert kept.asset == asset.name
    # 10 of 15 are included, and all of the other asset's 4.
    balances = [figure(one.balance) for one in await world.wallets(account)]
    assert sorted(balances) == [0, 6]
    await world.advance("2024-02-04")
    assert [figure(one.exact_amount) for one in await world.liable(account)] == [10, 0]


async def test_one_look_up_finds_all_assets_of_a_batch(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, own("crm-1"))
    looked_up = []
    find = recording.find_external_assets

    async def counting(tx: Any, keys: Any) -> Any:
        looked_up.append(set(keys))
        return await find(tx, keys)

    monkeypatch.setattr(recording, "find_external_assets", counting)
    named = [external(asset, f"crm-{number}") for number in range(20)]

    await world.record([usage(asset, "calls", "2024-01-02", 1) for _ in range(20)])
    without = len(looked_up)
    await world.record([usage(one, "calls", "2024-01-02", 1) for one in (*named, *named)])

    assert without == 0
    assert looked_up == [{("ann", f"crm-{number}") for number in range(20)}]


@pytest.mark.capability("M87.asset")
async def test_an_unknown_external_id_is_an_unknown_asset(sandbox: Any) -> None:
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, own("crm-1"))
    await world.account("bob")
    stranger = assets.Asset(name="accounts/bob/assets/external:crm-1")
    nobody = external(asset, "00000000-0000-4000-8000-000000000000")

    outcomes = await world.record(
        [
            usage(external(asset, "crm-9"), "calls", "2024-01-02", 1),
            usage(external(asset, "crm-1"), "calls", "2024-01-02", 1),
            usage(stranger, "calls", "2024-01-02", 1),
            usage(nobody, "calls", "2024-01-02", 1),
            usage(external(asset, ""), "calls", "2024-01-02", 1),
        ]
    )

    assert codes(outcomes) == [REJECTED, ACCEPTED, REJECTED, REJECTED, REJECTED]
    reasons = [reason_of(outcome.status) for outcome in outcomes]
    assert reasons == ["ASSET_NOT_FOUND", "", "ASSET_NOT_FOUND", "ASSET_NOT_FOUND", "CODE_FORMAT"]
    missing = UsageError.of_status(outcomes[0].status)
    assert missing.facts == {"name": "accounts/ann/assets/external:crm-9"}
    request = consumption.ListRefusedRecordsRequest(parent="accounts/bob")
    refused = (await world.client.consumption.ListRefusedRecords(request)).refused_records
    assert [one.asset for one in refused] == [stranger.name]


async def test_previews_and_rating_batches_name_assets_in_the_same_way(sandbox: Any) -> None:
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, own("crm-1"))
    known = external(asset, "crm-1")
    asked = [
        *lines(known, "calls", ("2024-01-02", 12), ("2024-01-03", 1)),
        *lines(external(asset, "crm-9"), "calls", ("2024-01-03", 1)),
    ]
    batch = pb.RatingBatch(
        lines=[pb.RatingLine.FromString(one.SerializeToString()) for one in asked]
    )

    previewed = await preview(world, account, *asked)
    made = await world.client.previews.CreateRatingBatch(
        pb.CreateRatingBatchRequest(parent=account, rating_batch=batch)
    )
    async with asyncio.timeout(20):
        while made.state == pb.RatingBatch.PENDING:
            await asyncio.sleep(0.02)
            made = await world.client.previews.GetRatingBatch(
                pb.GetRatingBatchRequest(name=made.name)
            )

    assert amounts(previewed[:2]) == [4, 2]
    assert reason_of(previewed[2].status) == "ASSET_NOT_FOUND"
    assert [figure(one.amount) for one in made.results[:2]] == [4, 2]
    assert reason_of(made.results[2].status) == "ASSET_NOT_FOUND"
    assert [one.asset for one in made.lines] == [one.asset for one in asked]


async def test_an_external_id_that_is_taken_is_refused(sandbox: Any) -> None:
    world, account = await shop(sandbox)
    early = await draft(world, account, "crm-1")
    [asset] = await world.sell(account, own("crm-1"))
    bob = await world.account("bob")

    quoted = await refusal(world.quote(account, line("plan", "2024-01-01"), own("crm-1")))
    twice = await refusal(world.quote(account, own("crm-2"), own("crm-2")))
    activation = orders.ActivateOrderRequest(name=early.name)
    activated = await refusal(world.client.orders.ActivateOrder(activation))
    [bobs] = await world.sell(bob, own("crm-1"))

    assert [one.reason for one in (quoted, twice, activated)] == ["CODE_TAKEN"] * 3
    facts = {"external_id": "crm-1", "name": asset.name}
    assert quoted.facts == {"field": "lines[1].external_id", **facts}
    assert activated.facts == {"field": "lines[0].external_id", **facts}
    assert twice.facts == {"field": "lines[1].external_id", "external_id": "crm-2"}
    assert bobs.external_id == "crm-1"


async def test_of_two_activations_at_once_one_gets_the_external_id(sandbox: Any) -> None:
    world, account = await shop(sandbox)
    drafts = [await draft(world, account, "crm-1") for _ in range(2)]

    async def activate(order: orders.Order) -> str:
        try:
            await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=order.name))
        except UsageError as error:
            return error.reason
        return "ACTIVE"

    reasons = await asyncio.gather(*map(activate, drafts))

    assert sorted(reasons) == ["ACTIVE", "CODE_TAKEN"]
    listed = await world.client.assets.ListAssets(assets.ListAssetsRequest(parent=account))
    assert [one.external_id for one in listed.assets] == ["crm-1"]


@pytest.mark.parametrize("name", ["external:", "external:external:crm-1", "external:a/b"])
async def test_a_malformed_external_id_is_refused(sandbox: Any, name: str) -> None:
    world, account = await shop(sandbox)
    [asset] = await world.sell(account, own("crm-1"))

    malformed = assets.Asset(name=f"{account}/assets/{name}")
    outcomes = await world.record([usage(malformed, "calls", "2024-01-02", 1)])

    assert asset.external_id == "crm-1"
    assert [reason_of(outcome.status) for outcome in outcomes] == ["CODE_FORMAT"]
