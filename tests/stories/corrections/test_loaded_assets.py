"""Loading: what it is of, when it may end, and what one correction takes in."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import preview_service_pb2 as previews

from tests.stories.consumption.loading_words import (
    LATE,
    REJECTED,
    a_sale,
    billed,
    corrections,
    end,
    extend,
    sold,
    start,
)
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import (
    Metered,
    codes,
    line,
    moment,
    number,
    refusal,
    stamp,
    usage,
)
from tests.stories.world import World


@pytest.fixture
async def world(sandbox: Callable[..., Any]) -> World:
    made: World = await sandbox("2024-01-31")
    return made


async def test_a_preview_is_told_as_the_record_would_be(world):
    account, asset = await sold(world)
    asked = previews.PreviewLine(
        asset=asset.name,
        usage_resource="usageResources/calls",
        quantity=number(5),
        usage_time=stamp(moment("2024-01-11")),
    )
    request = previews.PreviewUsageRequest(parent=account, lines=[asked])
    preview = world.client.previews.PreviewUsage

    refused = (await preview(request)).previews[0]
    await start(world, account, "2024-02-20")
    taken = (await preview(request)).previews[0]

    assert (refused.status.code, taken.status.code) == (9, 0)


async def test_three_months_become_one_correction_of_the_group(world):
    await set_up(world, described("plan", {"calls": "2", "minutes": "1"}, Credits(price="1")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-04-10")
    loading = await start(world, account, "2024-04-20")

    for month in (1, 2, 3):
        days = [f"2024-{month:02}-{day:02}" for day in range(1, 29)]
        for resource in ("calls", "minutes"):
            outcomes = await world.record([usage(asset, resource, day, 1) for day in days])
            assert set(codes(outcomes)) == {LATE}
    await world.advance("2024-04-12")
    assert await world.ratable(account) == []
    await end(world, loading)
    await world.advance("2024-05-10")

    assert len(await corrections(world, account)) == 1
    assert await billed(world, account) == [84, 84, 84]


async def test_the_loading_of_an_order_is_of_its_assets_only(world):
    await world.product("a", Metered(resource="calls", rate="2", late="REJECT"))
    await world.product("b", Metered(resource="texts", rate="1", late="REJECT"))
    await world.product("c", Metered(resource="posts", rate="1"))
    account = await world.account("ann")
    order = await a_sale(world, account, "a", "b")
    get = world.client.assets.GetAsset
    a, b = [await get(assets.GetAssetRequest(name=name)) for name in order.assets]
    [c] = await world.sell(account, line("c", "2024-01-01"))
    await world.advance("2024-02-10")

    loading = await start(world, account, "2024-02-20", order=order.name)
    [other] = await world.sell(account, line("a", "2024-01-01"))
    outcomes = await world.record(
        [
            usage(a, "calls", "2024-01-10", 1),
            usage(b, "texts", "2024-01-10", 1),
            usage(c, "posts", "2024-01-10", 1),
            usage(other, "calls", "2023-12-10", 1),
        ]
    )
    await world.advance("2024-02-11")
    at_once = {one.asset for one in await world.ratable(account)}
    await end(world, loading)
    await world.advance("2024-02-11T00:01")

    assert sorted(loading.assets) == sorted(order.assets)
    assert loading.order == order.name
    assert codes(outcomes) == [LATE, LATE, LATE, REJECTED]
    assert at_once == {c.name}
    assert {one.asset for one in await world.ratable(account)} == {a.name, b.name, c.name}


async def test_the_loading_of_an_asset_holds_the_tokens_that_others_share_with_it(world):
    await set_up(world, described("a", {"minutes": "1"}, Credits(price="12")))
    await set_up(world, described("b", {"calls": "1"}, Credits(price="10")))
    await set_up(world, commitment("commit", "credits", "1000", discount="20", policy="BOUNDED"))
    account = await world.account("ann")
    lines = [line(one, "2024-01-01", binding="ACCOUNT") for one in ("a", "b")]
    first, second = await world.sell(account, *lines)
    await world.sell(account, linked("commit", "2024-01-01", first))
    await world.advance("2024-02-10")
    loading = await start(world, account, "2024-02-20", asset=first.name)

    await world.use(second, "calls", "2024-01-10", 5)
    await world.advance("2024-02-11")
    assert await world.ratable(account) == []
    await end(world, loading)
    await world.advance("2024-02-11T00:01")

    assert len(await corrections(world, account)) == 1


async def test_a_loading_is_started_once_and_ended_any_number_of_times(world):
    account, _ = await sold(world)

    first = await start(world, account, "2024-02-15", request_id="load-0001")
    again = await start(world, account, "2024-02-15", request_id="load-0001")
    ended = await end(world, first)
    await world.advance("2024-02-12")

    assert first == again
    assert not first.HasField("end_time")
    assert await end(world, first) == ended


BAD = [
    ("2024-02-10", {}, "LOADING_TIME"),
    ("2024-02-09", {}, "LOADING_TIME"),
    ("2024-03-12T00:01", {}, "LOADING_TIME"),
    ("2024-02-11", {"asset": "{account}/assets/" + "1" * 8 + "-1111-4111-8111-" + "1" * 12}, None),
    ("2024-02-11", {"order": "{account}/orders/" + "1" * 8 + "-1111-4111-8111-" + "1" * 12}, None),
    ("2024-02-11", {"asset": "accounts/bob/assets/" + "1" * 8 + "-1111-4111-8111-" + "1" * 12}, ""),
]


@pytest.mark.parametrize(("until", "more", "reason"), BAD)
async def test_what_cannot_be_loaded_is_refused(world, until, more, reason):
    account, _ = await sold(world)
    named = {key: text.format(account=account) for key, text in more.items()}

    refused = await refusal(start(world, account, until, **named))

    [kind] = [key.upper() for key in named] or [""]
    wanted = {None: f"{kind}_NOT_FOUND", "": "NAME_FORMAT"}.get(reason, reason)
    assert refused.reason == wanted
    if wanted == "LOADING_TIME":
        assert refused.facts["field"] == "until_time"
    listed = await world.client.consumption.ListLoadings(
        consumption.ListLoadingsRequest(parent=account)
    )
    assert list(listed.loadings) == []


async def test_what_does_not_exist_cannot_be_loaded_prolonged_or_ended(world):
    account, _ = await sold(world)
    quote = await world.quote(account, line("plan", "2024-03-01"))
    draft = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    unknown = consumption.Loading(name=f"{account}/loadings/11111111-1111-4111-8111-111111111111")

    of_draft = await refusal(start(world, account, "2024-02-11", order=draft.name))
    of_nobody = await refusal(start(world, "accounts/nobody", "2024-02-11"))
    prolonged = await refusal(extend(world, unknown, "2024-02-11"))
    ended = await refusal(end(world, unknown))

    assert (of_draft.reason, of_draft.code) == ("ITEM_STATE", grpc.StatusCode.FAILED_PRECONDITION)
    assert of_nobody.reason == "ACCOUNT_NOT_FOUND"
    assert prolonged.reason == ended.reason == "LOADING_NOT_FOUND"


async def test_a_loading_is_never_shortened_but_by_its_end(world):
    account, _ = await sold(world)
    loading = await start(world, account, "2024-02-15")

    refused = await refusal(extend(world, loading, "2024-02-14"))

    assert (refused.reason, "EndLoading" in refused.message) == ("LOADING_TIME", True)
