"""Loading: usage of any age is accepted, and what it changes is corrected when the loading ends."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import preview_service_pb2 as previews

from clients.pages import pages
from clients.values import enum_name
from tests.stories.consumption.amend_words import AMENDED, VOIDED, amend, void
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import (
    Metered,
    codes,
    figure,
    line,
    moment,
    money,
    number,
    refusal,
    stamp,
    usage,
)
from tests.stories.world import World

LATE, REJECTED = consumption.RecordOutcome.LATE, consumption.RecordOutcome.REJECTED
PLAN = Metered(resource="calls", grant="10", refresh="MONTH", rate="2", late="REJECT")


async def start(world: World, account: str, until: str, **more: str) -> consumption.Loading:
    return await world.client.consumption.StartLoading(
        consumption.StartLoadingRequest(parent=account, until_time=stamp(moment(until)), **more)
    )


async def extend(world: World, loading: consumption.Loading, until: str) -> consumption.Loading:
    return await world.client.consumption.ExtendLoading(
        consumption.ExtendLoadingRequest(name=loading.name, until_time=stamp(moment(until)))
    )


async def end(world: World, loading: consumption.Loading) -> consumption.Loading:
    return await world.client.consumption.EndLoading(
        consumption.EndLoadingRequest(name=loading.name)
    )


async def billed(world: World, account: str) -> list[int]:
    """What is billed for each month, corrections too."""
    return [int(money(one.amount)) for one in await world.liable(account) if money(one.amount)]


async def corrections(world: World, account: str) -> set[str]:
    """The executions that booked lines of earlier periods."""
    return {
        one.execution_id
        for one in await world.ratable(account)
        if one.origin_start_time.seconds < one.start_time.seconds
    }


async def a_sale(
    world: World, account: str, *products: str, start_date: str = "2024-01-01"
) -> orders.Order:
    """Sell products with one order."""
    quote = await world.quote(account, *[line(product, start_date) for product in products])
    made = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    return await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=made.name))


async def sold(
    world: World, plan: Metered = PLAN, bill: Sequence[int] = (4,)
) -> tuple[str, assets.Asset]:
    """A customer from January on whose February is open."""
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 12)
    await world.advance("2024-02-10")
    assert await billed(world, account) == list(bill)
    return account, asset


@pytest.fixture
async def world(sandbox: Callable[..., Any]) -> World:
    made: World = await sandbox("2024-01-31")
    return made


async def test_a_policy_that_rejects_late_usage_accepts_it_while_it_is_loaded(world):
    account, asset = await sold(world)
    [before] = await world.record([usage(asset, "calls", "2024-01-11", 5)])

    loading = await start(world, account, "2024-02-20")
    [during] = await world.record([usage(asset, "calls", "2024-01-11", 5, "r1")])
    await end(world, loading)
    [after] = await world.record([usage(asset, "calls", "2024-01-12", 5)])
    [again] = await world.record([usage(asset, "calls", "2024-01-11", 5, "r1")])

    assert codes([before, during, after]) == [REJECTED, LATE, REJECTED]
    assert again.code == consumption.RecordOutcome.DUPLICATE
    assert enum_name(during.late, "policy") == "NEXT_PERIOD"
    assert during.late.period.start_time == stamp(moment("2024-02-01"))
    await world.advance("2024-03-10")
    assert await billed(world, account) == [4, 10]


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


async def test_usage_older_than_the_window_is_accepted_while_it_is_loaded(world):
    account, asset = await sold(world, Metered(resource="calls", rate="2"), [24])
    await world.advance("2025-06-10")
    old = usage(asset, "calls", "2024-01-11", 5, "r1")
    [before] = await world.record([old])

    loading = await start(world, account, "2025-06-20", asset=asset.name)
    mixed = [usage(asset, "calls", "2025-06-09", 1), old, usage(asset, "calls", "2024-02-01", 3)]
    during = await world.record(mixed)
    await end(world, loading)
    await world.advance("2025-07-10")

    assert before.code == REJECTED
    assert "StartLoading" in before.status.message
    assert codes(during) == [consumption.RecordOutcome.ACCEPTED, LATE, LATE]
    assert sum(await billed(world, account)) == 2 * (12 + 1 + 5 + 3)


async def test_corrections_wait_until_the_loading_is_ended(world):
    account, asset = await sold(world, Metered(resource="calls", grant="100", rate="2"), [])
    await world.use(asset, "calls", "2024-02-05", 80)
    loading = await start(world, account, "2024-03-05")
    await world.use(asset, "calls", "2024-01-11", 3)
    await world.use(asset, "calls", "2024-01-12", 2)
    # February is closed meanwhile, and the balance counts what waits.
    await world.advance("2024-03-04")
    waiting = await world.wallet(account, "calls")
    assert await corrections(world, account) == set()

    ended = await end(world, loading)
    await world.advance("2024-03-04T00:01")

    assert figure(waiting.balance) == figure((await world.wallet(account, "calls")).balance) == 3
    assert ended.end_time == stamp(moment("2024-03-04"))
    assert len(await corrections(world, account)) == 1


async def test_corrections_wait_until_the_time_of_the_loading(world):
    account, asset = await sold(world)
    loading = await start(world, account, "2024-02-20T12:00")
    await world.use(asset, "calls", "2024-01-11", 3)

    await world.advance("2024-02-20T11:59")
    before = await corrections(world, account)
    await world.advance("2024-02-20T12:00")
    after = await corrections(world, account)

    assert (len(before), len(after)) == (0, 1)
    ended = await end(world, loading)
    assert ended.end_time == loading.until_time
    assert codes(await world.record([usage(asset, "calls", "2024-01-12", 1)])) == [REJECTED]


async def test_what_is_amended_and_voided_meanwhile_waits_too(world):
    account, asset = await sold(world)
    moved = usage(asset, "calls", "2024-01-15", 20, "r1")
    await world.record([usage(asset, "calls", "2024-02-05", 20, "r1")])
    await world.record([usage(asset, "calls", "2024-02-05", 1, "r2")])
    [rejected] = await amend(world, moved)
    loading = await start(world, account, "2024-02-20")

    [amended] = await amend(world, moved)
    [late] = await world.record([usage(asset, "calls", "2024-01-16", 3, "r3")])
    [voided] = await void(world, account, "r3")
    await world.advance("2024-02-12")
    before = await corrections(world, account)
    await end(world, loading)
    await world.advance("2024-03-10")

    assert (rejected.code, amended.code) == (consumption.AmendOutcome.REJECTED, AMENDED)
    assert (late.code, voided.code) == (LATE, VOIDED)
    assert (len(before), len(await corrections(world, account))) == (0, 1)
    assert await billed(world, account) == [4, 40]


async def test_old_usage_is_amended_while_it_is_loaded(world):
    account, asset = await sold(world, Metered(resource="calls", rate="2"), [24])
    await world.record([usage(asset, "calls", "2024-01-11", 5, "r1")])
    await world.advance("2025-06-10")
    changed = usage(asset, "calls", "2024-01-11", 6, "r1")

    [before] = await amend(world, changed)
    await start(world, account, "2025-06-20")
    [during] = await amend(world, changed)
    await world.advance("2025-07-10")

    assert (before.code, during.code) == (consumption.AmendOutcome.REJECTED, AMENDED)
    assert sum(await billed(world, account)) == 2 * (12 + 6)


async def test_a_prolonged_loading_moves_what_waits(world):
    account, asset = await sold(world)
    loading = await start(world, account, "2024-02-15")
    await world.use(asset, "calls", "2024-01-11", 3)

    longer = await extend(world, loading, "2024-02-25")
    same = await extend(world, loading, "2024-02-25")
    await world.advance("2024-02-24")
    before = await corrections(world, account)
    await world.advance("2024-02-25")

    assert longer == same
    assert longer.until_time == stamp(moment("2024-02-25"))
    assert (len(before), len(await corrections(world, account))) == (0, 1)
    assert (await refusal(extend(world, loading, "2024-02-28"))).reason == "ITEM_STATE"


async def test_corrections_wait_for_the_last_of_several_loadings(world):
    account, asset = await sold(world)
    whole = await start(world, account, "2024-02-15")
    own = await start(world, account, "2024-02-20", asset=asset.name)
    await world.use(asset, "calls", "2024-01-11", 3)

    await end(world, whole)
    await world.advance("2024-02-12")
    before = await corrections(world, account)
    await end(world, own)
    await world.advance("2024-02-12T00:01")

    assert (len(before), len(await corrections(world, account))) == (0, 1)
    listed = consumption.ListLoadingsRequest(parent=account, page_size=1)
    found = [one async for one in pages(world.client.consumption.ListLoadings, listed)]
    assert [one.name for one in found] == [own.name, whole.name]
    assert [list(one.assets) for one in found] == [[asset.name], []]


async def test_a_loading_that_starts_after_the_usage_makes_its_correction_wait(world):
    """The usage is recorded with a loading; a second one starts before the first one ends."""
    account, asset = await sold(world)
    first = await start(world, account, "2024-02-15")
    await world.use(asset, "calls", "2024-01-11", 3)
    second = await start(world, account, "2024-02-25")
    await end(world, first)

    await world.advance("2024-02-24")
    assert await corrections(world, account) == set()
    await end(world, second)
    await world.advance("2024-02-24T00:01")

    assert len(await corrections(world, account)) == 1


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
