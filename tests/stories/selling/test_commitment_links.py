"""Commitments that are sold alone and linked later, and commitments that overlap."""

from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from clients.values import enum_name
from tests.stories.bill_words import owed
from tests.stories.quote_words import act
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import day, figure, line, number, refusal
from tests.stories.world import World


async def shop(sandbox: Any, *, start: str = "2024-01-31", **more: Any) -> tuple[World, str, Any]:
    """Minutes at 5 tokens of 0.50; 100 tokens granted; 1,000 committed at 20 % off; an anchor."""
    world = await sandbox(start)
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50", grant="100")))
    await set_up(world, commitment("commit", "credits", "1000", discount="20", **more))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, account, asset


def alone(start: str = "2024-01-01", end: str | None = None, **more: Any) -> quotes.SaleLine:
    """A line of a commitment without an anchor."""
    made = quotes.SaleLine(
        product="products/commit", quantity=number(1), start_date=day(start), **more
    )
    if end is not None:
        made.end_date.CopyFrom(day(end))
    return made


async def link(world: World, commit: Any, anchor: Any, **more: Any) -> assets.Asset:
    return await world.client.assets.LinkCommitment(
        assets.LinkCommitmentRequest(name=commit.name, anchor=anchor.name, **more)
    )


async def unlinked(world: World, account: str) -> list[str]:
    request = assets.ListAssetsRequest(parent=account, unlinked=True)
    return [one.name for one in (await world.client.assets.ListAssets(request)).assets]


@pytest.mark.capability("M70.alone")
async def test_a_commitment_that_is_sold_alone_does_nothing_and_says_so_until_it_is_linked(sandbox):
    """100 minutes are 500 tokens: 100 are granted, 400 owed; linked, the commitment pays 400."""
    world, account, anchor = await shop(sandbox)
    quote = await world.quote(account, alone())
    [commit] = await world.sell(account, alone())
    await world.use(anchor, "minutes", "2024-01-05", 100)
    before = await world.wallet(account, "credits")
    listed = await unlinked(world, account)

    after = await link(world, commit, anchor)
    again = await link(world, commit, anchor)
    wallet = await world.wallet(account, "credits")

    for warned in (quote.lines[0], commit):
        assert [enum_name(one, "code") for one in warned.warnings] == ["UNLINKED_COMMITMENT"]
        assert "LinkCommitment" in warned.warnings[0].text
    assert (enum_name(commit, "usage_model_type"), commit.linked_asset) == ("TOKEN_COMMITMENT", "")
    assert not commit.resources
    assert listed == [commit.name]
    assert figure(before.overage_quantity) == 400
    assert (after.linked_asset, list(after.warnings)) == (anchor.name, [])
    assert again == after
    assert await unlinked(world, account) == []
    # 500 of usage take 400 of the commitment, which comes first; the 100 that are granted are left.
    assert (figure(wallet.overage_quantity), figure(wallet.balance)) == (0, 700)
    await world.advance("2024-02-10")
    assert {key: amount for key, (_, amount) in (await owed(world, account)).items()} == {
        "minutes": 0,
        "credits": 0,
    } or await owed(world, account) == {"credits": (0, 0)}


@pytest.mark.capability("M70.final")
async def test_linking_into_final_periods_corrects_them(sandbox):
    """January is final and owes 200; linked from its start on, it owes nothing: a credit of 200."""
    world, account, anchor = await shop(sandbox)
    [commit] = await world.sell(account, alone())
    await world.use(anchor, "minutes", "2024-01-05", 100)
    await world.advance("2024-02-10")
    before = sum(figure(one.exact_amount) for one in await world.liable(account))

    await link(world, commit, anchor)
    await world.advance("2024-03-10")

    after = sum(figure(one.exact_amount) for one in await world.liable(account))
    assert (before, after) == (200, 0)


async def test_a_commitment_is_linked_from_a_day_on(sandbox):
    world, account, anchor = await shop(sandbox)
    [commit] = await world.sell(account, alone(end="2024-12-31"))
    await world.use(anchor, "minutes", "2024-01-05", 100)

    early = await refusal(link(world, commit, anchor, start_date=day("2023-12-31")))
    late = await refusal(link(world, commit, anchor, start_date=day("2024-12-31")))
    tried = await link(world, commit, anchor, start_date=day("2024-01-20"), validate_only=True)
    still = await unlinked(world, account)
    await link(world, commit, anchor, start_date=day("2024-01-20"))
    await world.use(anchor, "minutes", "2024-01-25", 10)
    wallet = await world.wallet(account, "credits")

    assert [one.violations[0].field for one in (early, late)] == ["start_date", "start_date"]
    assert (tried.linked_asset, still) == (anchor.name, [commit.name])
    again = await link(world, commit, anchor, start_date=day("2024-01-20"))
    elsewhen = await refusal(link(world, commit, anchor, start_date=day("2024-01-21")))
    assert (again.linked_asset, elsewhen.reason) == (anchor.name, "COMMITMENT_LINKED")
    # What was used before the 20th stays overage; 50 tokens later take 40.
    assert (figure(wallet.overage_quantity), figure(wallet.balance)) == (400, 960)


@pytest.mark.capability("M70.refusals")
async def test_what_cannot_be_linked_is_refused_with_its_reason(sandbox):
    world, account, anchor = await shop(sandbox)
    [other] = await world.sell(account, line("plan", "2024-01-01"))
    [commit, bound] = await world.sell(account, alone(), linked("commit", "2024-01-15", anchor))
    bob = await world.account("bob")
    [foreign] = await world.sell(bob, line("plan", "2024-01-01"))

    plain = await refusal(link(world, other, anchor))
    elsewhere = await refusal(link(world, bound, other))
    stranger = await refusal(link(world, commit, foreign))
    itself = await refusal(link(world, commit, bound))
    target = alone()
    target.binding_target = anchor.name
    never = await refusal(world.quote(account, target))

    assert (plain.reason, elsewhere.reason) == ("BINDING_TARGET", "COMMITMENT_LINKED")
    assert elsewhere.facts["anchor"] == anchor.name
    assert (stranger.reason, itself.reason) == ("ASSET_NOT_FOUND", "BINDING_TARGET")
    assert (never.reason, never.violations[0].field) == (
        "BINDING_TARGET",
        "quote.lines[0].binding_target",
    )
    assert await unlinked(world, account) == [commit.name]


@pytest.mark.capability("M71")
async def test_two_commitments_for_the_same_days_are_refused_also_when_linked_later(sandbox):
    world, account, anchor = await shop(sandbox)
    await world.sell(account, linked("commit", "2024-01-01", anchor))
    [second] = await world.sell(account, alone(nested=True))

    refused = await refusal(link(world, second, anchor))
    quoted = await world.quote(account, linked("commit", "2024-01-01", anchor, nested=True))
    order = await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quoted.name))
    sold = await refusal(
        world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=order.name))
    )

    assert [one.reason for one in (refused, sold)] == ["COMMITMENT_DUPLICATE"] * 2
    assert await unlinked(world, account) == [second.name]


@pytest.mark.capability("M159.allowed")
async def test_a_nested_commitment_may_overlap_one_of_the_same_order(sandbox):
    world, account, anchor = await shop(sandbox)
    first = linked("commit", "2024-01-01", anchor)
    nested = linked("commit", "2024-01-20", anchor, nested=True)

    sold = await world.sell(account, first, nested)

    assert [asset.linked_asset for asset in sold] == [anchor.name, anchor.name]


@pytest.mark.capability("M159.allowed")
async def test_commitments_overlap_only_where_the_sale_allows_it(sandbox):
    world, account, anchor = await shop(sandbox)
    [first] = await world.sell(account, linked("commit", "2024-01-01", anchor))
    [plain] = await world.sell(account, alone("2024-01-15"))

    async def sell(*lines: quotes.SaleLine) -> Any:
        return await refusal(world.sell(account, *lines))

    later = await sell(linked("commit", "2024-01-15", anchor))
    both = await sell(
        line("plan", "2024-01-01"),
        linked("commit", "2024-02-01", anchor),
    )
    linking = await refusal(link(world, plain, anchor))
    [nested] = await world.sell(account, linked("commit", "2024-01-20", anchor, nested=True))

    assert [one.reason for one in (later, both, linking)] == ["COMMITMENT_OVERLAP"] * 3
    assert (later.facts["asset"], later.facts["line"]) == (first.name, "0")
    assert both.facts["line"] == "1"
    assert "nested" in later.message
    assert nested.linked_asset == anchor.name


@pytest.mark.capability("M159.order")
@pytest.mark.parametrize("turned", [False, True])
async def test_the_order_of_nested_commitments_does_not_depend_on_their_sale(sandbox, turned):
    """The one that ends first pays first: 1,000 tokens of usage take 800 of it."""
    world, account, anchor = await shop(sandbox)
    short = linked("commit", "2024-01-01", anchor, nested=True)
    short.end_date.CopyFrom(day("2024-07-01"))
    lines = [short, linked("commit", "2024-01-02", anchor, nested=True)]
    for one in reversed(lines) if turned else lines:
        await world.sell(account, one)

    await world.use(anchor, "minutes", "2024-01-05", 200)
    wallet = await world.wallet(account, "credits")
    await world.advance("2024-02-10")
    left = {
        one.expire_time.ToDatetime().year if one.HasField("expire_time") else 0: figure(one.balance)
        for one in await world.grants(wallet)
        if figure(one.quantity) == 1000
    }

    assert left == {2024: 200, 0: 1000}


async def test_an_unlinked_commitment_is_quoted_again_and_cloned(sandbox):
    world, account, _ = await shop(sandbox)
    quote = await world.quote(account, alone(nested=True))

    repriced = await act(world, "Reprice", quote)
    cloned = await act(world, "Clone", quote)

    assert list(repriced.lines) == list(quote.lines) == list(cloned.lines)
    assert quote.lines[0].nested
