"""Sales that are refused (S of the matrix): the code, the reason, and advice that works."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories.bindings.binding_words import create_target, unbound
from tests.stories.catalog_words import move as put_in_state
from tests.stories.quote_words import order
from tests.stories.rate_words import ACTIVE, INACTIVE
from tests.stories.sale_words import bind, plan, to
from tests.stories.token_words import commitment, pack, set_up
from tests.stories.words import number, refusal
from tests.stories.world import World

START = "2024-01-10"
ENORMOUS = "9" * 26


@dataclass(frozen=True)
class Shop:
    """Ann has a plan of her own and one of a contract; a booster and a commitment are sold too."""

    world: World
    account: str
    anchor: str
    booster: str
    contract: str
    foreign: str

    def quote(self, *lines: quotes.SaleLine) -> Awaitable[quotes.Quote]:
        return self.world.quote(self.account, *lines)

    def plan(self, quantity: object) -> quotes.SaleLine:
        return unbound("plan", START, quantity=number(quantity))


@pytest.fixture
async def shop(sandbox: Any) -> Shop:
    world = await sandbox("2024-01-31")
    await plan(world, grant="1000")
    await set_up(world, pack("booster", "credits", grant="100"))
    await set_up(world, commitment("commit", "credits", "50", kind="QUANTITY_COMMITMENT"))
    account, other = await world.account("ann"), await world.account("bob")
    contract = await bind(world, account, "deal", "CONTRACT")
    foreign = await bind(world, other, "deal", "CONTRACT")
    bound = to(contract, "plan", START, binding="CONTRACT")
    anchor, _ = await world.sell(account, unbound("plan", START), bound)
    [booster] = await world.sell(account, to(anchor.name, "booster", START))
    return Shop(world, account, anchor.name, booster.name, contract, foreign)


def commit(shop: Shop, **more: Any) -> quotes.SaleLine:
    return unbound("commit", START, **more)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A sale that is refused, for what and with which advice, and the sale by that advice."""

    wrong: Callable[[Shop], list[quotes.SaleLine]]
    code: str = "INVALID_ARGUMENT"
    reason: str
    field: str = ""
    advice: str
    right: Callable[[Shop], list[quotes.SaleLine]]


CASES = {
    "S01 201 lines": Case(
        wrong=lambda shop: [shop.plan(1)] * 201,
        reason="TOO_MANY_ITEMS",
        field="quote.lines",
        advice="at most 200, so make several",
        right=lambda shop: [shop.plan(1)] * 200,
    ),
    "S02 pack without target": Case(
        wrong=lambda shop: [unbound("booster", START)],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="binding CONTRACT with binding_target accounts/ann/bindingTargets/deal",
        right=lambda shop: [to(shop.contract, "booster", START, binding="CONTRACT")],
    ),
    "S02 pack bound to itself": Case(
        wrong=lambda shop: [unbound("booster", START, binding="SELF")],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="name one",
        right=lambda shop: [to(shop.anchor, "booster", START)],
    ),
    "S02 pack of an account without wallets": Case(
        wrong=lambda shop: [unbound("booster", START, binding="ACCOUNT")],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="sell an anchor to it first",
        right=lambda shop: [
            unbound("plan", START, binding="ACCOUNT"),
            unbound("booster", START, binding_line=0),
        ],
    ),
    "S02 commitment with target": Case(
        wrong=lambda shop: [to(shop.anchor, "commit", START)],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="linked_asset",
        right=lambda shop: [commit(shop, linked_asset=shop.anchor)],
    ),
    "S02 commitment of a line and of an asset": Case(
        wrong=lambda shop: [
            shop.plan(1),
            commit(shop, linked_asset=shop.anchor, binding_line=0),
        ],
        reason="BINDING_TARGET",
        field="quote.lines[1].binding_line",
        advice="is not allowed with a linked_asset; omit one",
        right=lambda shop: [shop.plan(1), commit(shop, binding_line=0)],
    ),
    "S02 target of an account that is not there": Case(
        wrong=lambda shop: [
            to("accounts/nobody/bindingTargets/deal", "plan", START, binding="CONTRACT")
        ],
        code="NOT_FOUND",
        reason="BINDING_TARGET_NOT_FOUND",
        advice="no BindingTarget named accounts/nobody/bindingTargets/deal",
        right=lambda shop: [to(shop.contract, "plan", START, binding="CONTRACT")],
    ),
    "S02 target of another account": Case(
        wrong=lambda shop: [to(shop.foreign, "plan", START, binding="CONTRACT")],
        code="NOT_FOUND",
        reason="BINDING_TARGET_NOT_FOUND",
        advice="no BindingTarget named accounts/bob/bindingTargets/deal",
        right=lambda shop: [to(shop.contract, "plan", START, binding="CONTRACT")],
    ),
    "S02 target of another kind": Case(
        wrong=lambda shop: [to(shop.contract, "plan", START, binding="CUSTOM")],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="is a CONTRACT, not a CUSTOM; name that binding",
        right=lambda shop: [to(shop.contract, "plan", START, binding="CONTRACT")],
    ),
    "S02 binding without its target": Case(
        wrong=lambda shop: [unbound("plan", START, binding="CONTRACT")],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="is required with the binding CONTRACT; name the binding target",
        right=lambda shop: [to(shop.contract, "plan", START, binding="CONTRACT")],
    ),
    "S02 target with the binding of another kind": Case(
        wrong=lambda shop: [to(shop.contract, "plan", START, binding="CUSTOM")],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="is a CONTRACT, not a CUSTOM; name that binding, or another target",
        right=lambda shop: [to(shop.contract, "plan", START)],
    ),
    "S02 asset with another binding": Case(
        wrong=lambda shop: [to(shop.anchor, "plan", START, binding="CONTRACT")],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="with the binding CONTRACT; the binding of this target is ASSET",
        right=lambda shop: [to(shop.anchor, "plan", START, binding="ASSET")],
    ),
    "S02 target that is no anchor": Case(
        wrong=lambda shop: [to(shop.booster, "plan", START)],
        reason="BINDING_TARGET",
        field="quote.lines[0].binding_target",
        advice="is no anchor; name the asset whose usage it is for",
        right=lambda shop: [to(shop.anchor, "plan", START)],
    ),
    "S07 nothing": Case(
        wrong=lambda shop: [shop.plan(0)],
        reason="QUANTITY_ZERO",
        field="quote.lines[0].quantity",
        advice="must be greater than zero",
        right=lambda shop: [shop.plan(1)],
    ),
    "S07 less than nothing": Case(
        wrong=lambda shop: [shop.plan(-1)],
        reason="QUANTITY_NEGATIVE",
        field="quote.lines[0].quantity",
        advice="must be greater than zero",
        right=lambda shop: [shop.plan(1)],
    ),
    "S07 a part": Case(
        wrong=lambda shop: [shop.plan("1.5")],
        reason="RANGE",
        field="quote.lines[0].quantity",
        advice="must be a whole number",
        right=lambda shop: [shop.plan(2)],
    ),
    "S07 too much": Case(
        wrong=lambda shop: [shop.plan(ENORMOUS)],
        reason="DECIMAL_RANGE",
        field="quote.lines[0].quantity",
        advice="sell fewer",
        right=lambda shop: [shop.plan(10**9)],
    ),
    "S07 more digits than a number has": Case(
        wrong=lambda shop: [shop.plan(ENORMOUS + "9")],
        reason="DECIMAL_RANGE",
        field="quote.lines[0].quantity",
        advice="26 digits",
        right=lambda shop: [shop.plan(10**9)],
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_wrong_sale_is_refused_with_advice_that_works(shop: Shop, name: str):
    case = CASES[name]
    before = await shop.world.wallets(shop.account)

    refused = await refusal(shop.quote(*case.wrong(shop)))
    direct = orders.CreateOrderRequest(
        parent=shop.account,
        order=orders.Order(price_book="priceBooks/book", lines=case.wrong(shop)),
    )
    refused_order = await refusal(shop.world.client.orders.CreateOrder(direct))
    unchanged = await shop.world.wallets(shop.account)
    sold = await shop.world.sell(shop.account, *case.right(shop))

    assert (refused.code.name, refused.reason) == (case.code, case.reason)
    assert (refused_order.code.name, refused_order.reason) == (case.code, case.reason)
    assert case.advice in refused.message
    if case.field:
        assert [one.field for one in refused.violations] == [case.field]
        fields = [one.field for one in refused_order.violations]
        assert fields == [case.field.replace("quote.", "order.")]
    assert [one.name for one in unchanged] == [one.name for one in before]
    assert len(sold) == len(case.right(shop))


async def test_s04_of_two_activations_at_once_one_succeeds(shop: Shop):
    draft = await order(shop.world, await shop.quote(shop.plan(1)))
    before = len(await shop.world.wallets(shop.account))

    async def activate(request_id: str) -> Any:
        request = orders.ActivateOrderRequest(name=draft.name, request_id=request_id)
        return await shop.world.client.orders.ActivateOrder(request)

    calls = [activate(f"activation-{turn}") for turn in range(4)]
    found = await asyncio.gather(*calls, return_exceptions=True)

    done = [one for one in found if isinstance(one, orders.Order)]
    refused = [one for one in found if not isinstance(one, orders.Order)]
    assert len(done) == 1
    assert {(one.code.name, one.reason) for one in refused} == {
        ("FAILED_PRECONDITION", "ORDER_ALREADY_ACTIVE")
    }
    assert {one.facts["state"] for one in refused} == {"ACTIVE"}
    assert len(await shop.world.wallets(shop.account)) == before + 1
    # A repeat of the one that succeeded gets its answer.
    repeats = [await activate(f"activation-{turn}") for turn in range(4) if found[turn] in done]
    assert repeats == done


async def test_s05_what_was_withdrawn_is_not_activated_until_it_is_in_force_again(shop: Shop):
    draft = await order(shop.world, await shop.quote(shop.plan(1)))
    request = orders.ActivateOrderRequest(name=draft.name)
    held = ("products/plan/usageResources/credits", "products/plan/grants/credits")
    await put_in_state(shop.world, INACTIVE, *held)

    refused = await refusal(shop.world.client.orders.ActivateOrder(request))
    unquoted = await refusal(shop.quote(shop.plan(1)))
    await put_in_state(shop.world, ACTIVE, *held)
    active = await shop.world.client.orders.ActivateOrder(request)

    assert (refused.code.name, refused.reason) == ("FAILED_PRECONDITION", "RESOURCE_INACTIVE")
    assert "ChangeStates puts it in force again" in refused.message
    assert refused.facts["line"] == "0"
    # The plan has no other resource.
    assert (unquoted.reason, unquoted.facts) == ("RESOURCE_INACTIVE", {"product": "plan"})
    assert len(active.assets) == 1


async def test_s02_a_pack_and_its_anchor_can_be_bound_to_a_new_target_in_one_sale(shop: Shop):
    target = await create_target(shop.world, shop.account, "new")
    added = to(target.name, "booster", START, binding="CONTRACT")
    anchor = to(target.name, "plan", START, binding="CONTRACT")

    refused = await refusal(shop.quote(anchor, added))
    sold = await shop.world.sell(shop.account, anchor, unbound("booster", START, binding_line=0))

    assert (refused.code.name, refused.reason) == ("INVALID_ARGUMENT", "BINDING_TARGET")
    assert "nothing was sold to it yet" in refused.message
    assert "binding_line" in refused.message
    assert len({asset.resources[0].wallet for asset in sold}) == 1
