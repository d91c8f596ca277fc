"""Bindings: what a line is bound to, what is the default, and what a wallet then holds."""

from typing import Any

import pytest
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from clients.values import enum_name
from tests.stories.bill_words import owed
from tests.stories.bindings.binding_words import balances, create_target, days, of_target, unbound
from tests.stories.detail_words import detail_list
from tests.stories.policy_words import overage, override
from tests.stories.quote_words import act, activate, read
from tests.stories.sale_words import bind, plan, to
from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.words import REJECTED, figure, line, money, refusal, usage
from tests.stories.world import World

SHARED = {"binding": "ACCOUNT"}


async def shop(sandbox: Any, *, is_blocking: bool = False) -> tuple[World, str]:
    """A plan of 500 credits, and a booster of 100; the account is ann's."""
    world = await sandbox("2024-01-31")
    if is_blocking:
        rating = "{period: MONTH}\n  overage: {overage: BLOCK}"
        blocking = Credits(price="10", grant="500", rating=rating)
        await set_up(world, described("plan", {}, blocking, category="USAGE"))
    else:
        await plan(world, grant="500")
    await set_up(world, pack("booster", "credits", grant="100"))
    return world, await world.account("ann")


@pytest.mark.capability("M67.self")
async def test_an_anchor_that_names_nothing_has_wallets_of_its_own(sandbox):
    world, account = await shop(sandbox)

    first, second = await world.sell(
        account, unbound("plan", "2024-01-01"), line("plan", "2024-01-01", binding="SELF")
    )

    assert await balances(world, account) == {first.name: 500, second.name: 500}


@pytest.mark.capability("M67.account", "M67.contract", "M67.custom", "M67.asset")
@pytest.mark.parametrize("kind", ["ACCOUNT", "CONTRACT", "CUSTOM", "ASSET"])
async def test_what_is_bound_to_one_target_has_one_wallet_of_the_target(sandbox, kind):
    world, account = await shop(sandbox)
    if kind == "ASSET":
        [owner] = await world.sell(account, unbound("plan", "2024-01-01"))
        bound, target = [to(owner.name, "plan", "2024-01-01")], owner.name
    elif kind == "ACCOUNT":
        bound, target = [unbound("plan", "2024-01-01", binding="ACCOUNT")] * 2, account
    else:
        target = await bind(world, account, "deal", kind)
        bound = [to(target, "plan", "2024-01-01", binding=kind)] * 2

    sold = await world.sell(account, *bound)

    assert await balances(world, account) == {target: 1_000}
    assert len({asset.resources[0].wallet for asset in sold}) == 1


@pytest.mark.capability("M67.line")
async def test_a_line_is_bound_to_an_earlier_line_of_its_sale(sandbox):
    """A pack and a second plan go to the wallet of the plan that is sold with them."""
    world, account = await shop(sandbox)

    quote = await world.quote(
        account,
        unbound("plan", "2024-01-01"),
        unbound("booster", "2024-01-01", binding_line=0),
        unbound("plan", "2024-01-01", binding_line=0),
    )
    again = await act(world, "Clone", quote)
    first, added, second = await activate(world, again)
    details = await detail_list(world, again.name) + await detail_list(world, added.name)
    await world.use(second, "credits", "2024-01-10", 1_150)
    await world.advance("2024-02-10")

    shown = [(one.HasField("binding_line"), one.binding_line) for one in again.lines]
    assert shown == [(False, 0), (True, 0), (True, 0)]
    assert [enum_name(one, "binding") for one in again.lines] == ["SELF", "ASSET", "ASSET"]
    assert [one.binding_line for one in details] == [0, 0, 0, 0]
    assert [one.HasField("binding_line") for one in details] == [False, True, True, True]
    assert list(again.lines) == list((await read(world, again)).lines)
    assert await balances(world, account) == {first.name: 0}
    assert {one.resources[0].wallet for one in (first, added, second)} == {
        (await of_target(world, account, first.name)).name
    }
    assert await owed(world, account) == {"credits": (50, 500)}


@pytest.mark.capability("M67.line")
async def test_a_line_that_is_bound_to_a_line_follows_it_to_its_target(sandbox):
    """The second line is bound to the first, which is bound to the account, which has more."""
    world, account = await shop(sandbox)
    await set_up(world, described("other", {}, Credits(price="1", grant="7"), category="USAGE"))
    await set_up(world, pack("extra", "credits", grant="5"))
    await world.sell(account, unbound("plan", "2024-01-01", binding="ACCOUNT"))

    request = orders.CreateOrderRequest(
        parent=account,
        order=orders.Order(
            price_book="priceBooks/book",
            lines=[
                unbound("plan", "2024-01-01", binding="ACCOUNT"),
                unbound("plan", "2024-01-01", binding_line=0),
                unbound("booster", "2024-01-01", binding_line=1),
            ],
        ),
    )
    draft = await world.client.orders.CreateOrder(request)
    await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=draft.name))

    assert await balances(world, account) == {account: 1_600}


@pytest.mark.capability("M67.line", "M67.asset")
async def test_what_is_bound_to_an_anchor_has_the_policies_of_the_anchors_target(sandbox):
    """The contract blocks overage; its anchors agree on that, however they are bound to it."""
    world, account = await shop(sandbox)
    blocking = override(overage_policy=await overage(world, "block", "BLOCK"))
    blocking.usage_resource = "usageResources/credits"
    deal = await create_target(world, account, policies=[blocking])

    first, second = await world.sell(
        account,
        to(deal.name, "plan", "2024-01-01", binding="CONTRACT"),
        unbound("plan", "2024-01-01", binding_line=0),
    )
    [third] = await world.sell(account, to(second.name, "plan", "2024-01-01"))
    await world.use(first, "credits", "2024-01-10", 1_500)
    outcomes = await world.record(
        usage(asset, "credits", "2024-01-11", 1) for asset in (first, second, third)
    )

    assert await balances(world, account) == {deal.name: 0}
    assert [one.code for one in outcomes] == [REJECTED] * 3


async def beside(world: World, account: str, **more: Any) -> quotes.Quote:
    """Quote a plan, a booster that is bound to it, and a line that is bound somehow."""
    return await world.quote(
        account,
        unbound("plan", "2024-01-01"),
        unbound("booster", "2024-01-01", binding_line=0),
        unbound("booster", "2024-01-01", **more),
    )


@pytest.mark.capability("M67.refusals")
@pytest.mark.parametrize(
    ("asked", "advice", "better"),
    [
        ({"binding_line": 2}, "put the line of the anchor before it", {"binding_line": 0}),
        ({"binding_line": -1}, "put the line of the anchor before it", {"binding_line": 0}),
        ({"binding_line": 1}, "name the line of an anchor", {"binding_line": 0}),
        (
            {"binding_line": 0, "binding": "ACCOUNT"},
            "omit one of both",
            {"binding_line": 0, "binding": "GRANT_BINDING_UNSPECIFIED"},
        ),
        ({"binding": "SELF"}, "name one", {"binding_line": 0}),
    ],
)
async def test_a_wrong_line_is_refused_with_advice_that_works(sandbox, asked, advice, better):
    world, account = await shop(sandbox)

    refused = await refusal(beside(world, account, **asked))
    made = await beside(world, account, **better)

    field = "binding_line" if "binding_line" in asked else "binding_target"
    assert (refused.code.name, refused.reason) == ("INVALID_ARGUMENT", "BINDING_TARGET")
    assert [one.field for one in refused.violations] == [f"quote.lines[2].{field}"]
    assert advice in refused.message
    assert made.lines[2].binding_line == 0


@pytest.mark.capability("M68.default", "M69.default")
async def test_a_pack_that_names_nothing_adds_to_the_account_if_nothing_else_is_possible(sandbox):
    world, account = await shop(sandbox)
    await world.sell(account, unbound("plan", "2024-01-01", binding="ACCOUNT"))
    # An asset that has ended is nothing that a pack could add to.
    await world.sell(account, unbound("plan", "2024-01-01", "2024-01-20"))

    quote = await world.quote(account, unbound("booster", "2024-01-20"))
    again = await act(world, "Reprice", quote)
    await activate(world, again)

    assert [enum_name(one, "binding") for one in quote.lines] == ["ACCOUNT"]
    assert list(again.lines) == list(quote.lines)
    assert (await balances(world, account))[account] == 600


@pytest.mark.capability("M69.refusal")
async def test_a_pack_that_could_add_to_several_targets_is_refused_with_their_names(sandbox):
    world, account = await shop(sandbox)
    nothing = await refusal(world.quote(account, unbound("booster", "2024-01-01")))
    [alone] = await world.sell(account, unbound("plan", "2024-01-01"))
    only_asset = await refusal(world.quote(account, unbound("booster", "2024-01-01")))
    deal = await bind(world, account, "deal", "CONTRACT")
    await world.sell(
        account,
        unbound("plan", "2024-01-01", binding="ACCOUNT"),
        to(deal, "plan", "2024-01-01", binding="CONTRACT"),
    )

    several = await refusal(
        world.quote(account, unbound("plan", "2024-01-01"), unbound("booster", "2024-01-01"))
    )
    await world.sell(
        account,
        unbound("plan", "2024-02-01"),
        unbound("booster", "2024-01-01", binding="ACCOUNT"),
        to(alone.name, "booster", "2024-01-01"),
        to(deal, "booster", "2024-01-01", binding="CONTRACT"),
        unbound("booster", "2024-01-01", binding_line=0),
    )

    reasons = {one.reason for one in (nothing, only_asset, several)}
    assert reasons == {"BINDING_TARGET"}
    assert "nothing was sold to the account" in nothing.message
    assert "sell an anchor first" in nothing.message
    assert f"name one: binding_target {alone.name}" in only_asset.message
    named = several.message.partition("name one: ")[2].split(", ")
    assert named == [
        "binding ACCOUNT",
        f"binding_target {alone.name}",
        f"binding CONTRACT with binding_target {deal}",
        "binding_line 0",
    ]
    found = await balances(world, account)
    assert (found[account], found[alone.name], found[deal]) == (600, 600, 600)


@pytest.mark.capability("M69.default")
async def test_a_pack_of_a_product_that_is_bound_to_itself_has_the_same_default(sandbox):
    world, account = await shop(sandbox)
    text = pack("own", "credits", grant="50")
    text = text.replace("usage_model_type: PACK", "usage_model_type: PACK, grant_binding: SELF")
    await set_up(world, text)
    await world.sell(account, unbound("plan", "2024-01-01", binding="ACCOUNT"))

    await world.sell(account, unbound("own", "2024-01-01"))

    assert await balances(world, account) == {account: 550}


@pytest.mark.capability("M69.top_up")
async def test_a_top_up_lets_an_account_go_on_that_is_blocked(sandbox):
    world, account = await shop(sandbox, is_blocking=True)
    [asset] = await world.sell(account, unbound("plan", "2024-01-01", binding="ACCOUNT"))
    await world.use(asset, "credits", "2024-01-10", 500)

    [blocked] = await world.record([usage(asset, "credits", "2024-01-30", 30, "more")])
    await world.sell(account, unbound("booster", "2024-01-30"))
    await world.use(asset, "credits", "2024-01-30", 30)
    [too_much] = await world.record([usage(asset, "credits", "2024-01-30", 71)])
    await world.advance("2024-02-10")

    assert (blocked.code, too_much.code) == (REJECTED, REJECTED)
    assert await balances(world, account) == {account: 70}
    assert sum(figure(one.exact_amount) for one in await world.liable(account)) == 0


@pytest.mark.capability("M68.refusal")
async def test_the_account_of_a_sale_is_one_that_exists_and_targets_are_its_own(sandbox):
    world, ann = await shop(sandbox)
    bob = await world.account("bob")
    [own] = await world.sell(bob, unbound("plan", "2024-01-01"))
    deal = await bind(world, bob, "deal", "CONTRACT")

    nobody = await refusal(world.quote("accounts/nobody", unbound("plan", "2024-01-01")))
    foreign = await refusal(world.quote(ann, to(own.name, "booster", "2024-01-01")))
    contract = await refusal(world.quote(ann, to(deal, "plan", "2024-01-01", binding="CONTRACT")))

    assert (nobody.code.name, nobody.reason) == ("NOT_FOUND", "ACCOUNT_NOT_FOUND")
    assert (foreign.code.name, foreign.reason) == ("NOT_FOUND", "ASSET_NOT_FOUND")
    assert (contract.code.name, contract.reason) == ("NOT_FOUND", "BINDING_TARGET_NOT_FOUND")


@pytest.mark.capability("M73.window", "M73.balance")
async def test_what_shares_a_target_has_a_window_from_the_earliest_start_to_the_latest_end(sandbox):
    world, account = await shop(sandbox)
    spans = [
        ("2024-01-10", "2024-04-01"),
        ("2024-01-05", "2024-02-01"),
        ("2024-02-01", "2024-06-01"),
    ]
    seen = []
    for start, end in spans:
        await world.sell(account, unbound("plan", start, end, binding="ACCOUNT"))
        seen.append(days(await of_target(world, account, account)))
    await world.sell(account, unbound("plan", "2024-03-01", binding="ACCOUNT"))

    found = await of_target(world, account, account)

    assert seen == [
        ("2024-01-10", "2024-04-01"),
        ("2024-01-05", "2024-04-01"),
        ("2024-01-05", "2024-06-01"),
    ]
    assert days(found) == ("2024-01-05", "")
    assert figure(found.balance) == 1_000


@pytest.mark.capability("M73.usage", "M78.wallet", "M78.periods")
async def test_another_order_for_a_target_widens_what_is_there_and_creates_nothing_twice(sandbox):
    """January is final when an order adds December, and one more until July."""
    world, account = await shop(sandbox)
    [first] = await world.sell(account, unbound("plan", "2024-01-15", "2024-04-01", **SHARED))
    before = await of_target(world, account, account)
    await world.use(first, "credits", "2024-01-20", 700)
    await world.advance("2024-02-10")
    billed = await world.liable(account)

    [second] = await world.sell(account, unbound("plan", "2023-12-01", "2024-02-01", **SHARED))
    [third] = await world.sell(account, unbound("plan", "2024-03-01", "2024-07-01", **SHARED))
    await world.use(second, "credits", "2023-12-05", 300)
    await world.advance("2024-03-10")
    await world.use(third, "credits", "2024-03-05", 600)
    await world.advance("2024-08-10")
    after = await of_target(world, account, account)

    assert {asset.resources[0].wallet for asset in (first, second, third)} == {before.name}
    assert len(await world.wallets(account)) == 1
    assert days(before) == ("2024-01-15", "2024-04-01")
    assert days(after) == ("2023-12-01", "2024-07-01")
    # 500 of the second pay for December and for what was billed of January.
    lines = await world.ratable(account)
    spans = [(one.asset, one.origin_start_time.seconds) for one in lines if not one.corrects]
    assert len(spans) == len(set(spans))
    assert sum(money(one.amount) for one in billed) == 2_000
    assert sum(money(one.amount) for one in await world.liable(account)) == 1_000
    assert sum(figure(one.used_quantity) for one in lines) == 1_600
