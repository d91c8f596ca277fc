"""Binding targets are changed and deleted while nothing is bound to them, and kept afterwards."""

import asyncio
from typing import Any

import pytest
from usage_management.v1 import account_service_pb2 as accounts

from clients import UsageError
from clients.values import enum_name
from tests.stories.bindings.binding_words import (
    balances,
    create_target,
    delete_target,
    get_target,
    targets,
    unbound,
    update_target,
)
from tests.stories.policy_words import overage, override
from tests.stories.quote_words import act, activate, order, read, update
from tests.stories.sale_words import to
from tests.stories.words import REJECTED, Metered, refusal, usage
from tests.stories.world import World


async def shop(sandbox: Any) -> tuple[World, str]:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    return world, await world.account("ann")


def bound(target: accounts.BindingTarget, kind: str = "CONTRACT", **more: Any) -> Any:
    return to(target.name, "plan", "2024-01-01", binding=kind, **more)


def named(refused: UsageError) -> list[str]:
    """The names of what is in the way."""
    return [one.field for one in refused.violations]


async def test_an_unused_target_is_changed_and_deleted(sandbox):
    world, account = await shop(sandbox)
    block = await overage(world, "block", "BLOCK")
    made = await create_target(world, account, display_name="Deal")

    renamed = await update_target(world, made, display_name="Team", kind="CUSTOM")
    said = await update_target(world, renamed, policies=[override(overage_policy=block)])
    same = await update_target(world, said, display_name="Team", kind="CUSTOM")
    found = await get_target(world, made)
    [asset] = await world.sell(account, bound(made, "CUSTOM"))
    [refused] = await world.record([usage(asset, "calls", "2024-01-02", 11)])

    assert (renamed.display_name, enum_name(renamed, "kind")) == ("Team", "CUSTOM")
    assert len({made.etag, renamed.etag, said.etag}) == 3
    assert same == said == found
    assert refused.code == REJECTED
    other = await create_target(world, account, "other", policies=[override(overage_policy=block)])
    emptied = await update_target(world, other, "policies")
    await delete_target(world, emptied, emptied.etag)
    assert not emptied.policies
    assert await targets(world, account) == ["deal"]
    assert (await refusal(get_target(world, other))).reason == "BINDING_TARGET_NOT_FOUND"


async def test_the_id_of_a_deleted_target_is_free_unless_it_was_quoted(sandbox):
    world, account = await shop(sandbox)
    made = await create_target(world, account)
    await delete_target(world, made)
    made = await create_target(world, account, kind="CUSTOM")
    quote = await world.quote(account, bound(made, "CUSTOM"))

    used = await refusal(delete_target(world, made))
    await update(world, quote, unbound("plan", "2024-01-01"))
    await delete_target(world, made)
    taken = [
        await refusal(create_target(world, account, target, kind="CUSTOM"))
        for target in ("deal", "DEAL")
    ]
    other = await create_target(world, account, "deal-2", kind="CUSTOM")

    assert (used.code.name, used.reason) == ("FAILED_PRECONDITION", "IN_USE")
    assert named(used) == [quote.name]
    assert {(one.code.name, one.reason) for one in taken} == {("ALREADY_EXISTS", "CODE_TAKEN")}
    assert "choose another id" in taken[0].message
    assert await world.sell(account, bound(other, "CUSTOM"))


@pytest.mark.capability("M74.target")
async def test_a_target_that_was_sold_keeps_its_kind_and_its_policies(sandbox):
    world, account = await shop(sandbox)
    block = await overage(world, "block", "BLOCK")
    made = await create_target(world, account)
    quote = await world.quote(account, bound(made))
    withdrawn = await act(world, "Withdraw", await world.quote(account, bound(made)))
    ordered = await order(world, quote)

    refused = [
        await refusal(update_target(world, made, kind="CUSTOM")),
        await refusal(update_target(world, made, policies=[override(overage_policy=block)])),
        await refusal(delete_target(world, made)),
    ]
    renamed = await update_target(world, made, display_name="Deal", kind="CONTRACT")
    other = await create_target(
        world, account, "other", kind="CUSTOM", policies=[override(overage_policy=block)]
    )
    await world.sell(account, bound(other, "CUSTOM"))

    users = sorted([quote.name, withdrawn.name, ordered.name], key=lambda name: "/orders/" in name)
    assert {(one.code.name, one.reason) for one in refused} == {("FAILED_PRECONDITION", "IN_USE")}
    assert [sorted(named(one)) for one in refused] == [sorted(users)] * 3
    assert all("create another target" in one.message for one in refused)
    assert (renamed.display_name, enum_name(renamed, "kind")) == ("Deal", "CONTRACT")
    assert await balances(world, account) == {other.name: 10}


@pytest.mark.capability("M74.quote")
async def test_what_was_ordered_keeps_its_target(sandbox):
    world, account = await shop(sandbox)
    made = await create_target(world, account)
    quote = await world.quote(account, bound(made))
    await activate(world, quote)

    ordered = await read(world, quote)
    refused = await refusal(update(world, ordered, unbound("plan", "2024-01-01")))
    again = await act(world, "Clone", quote)
    await activate(world, await update(world, again, unbound("plan", "2024-01-01")))

    assert (refused.code.name, refused.reason) == ("FAILED_PRECONDITION", "QUOTE_STATE")
    assert "CloneQuote" in refused.message
    found = await balances(world, account)
    assert (found[made.name], len(found)) == (10, 2)


async def test_a_stale_etag_changes_no_target(sandbox):
    world, account = await shop(sandbox)
    made = await create_target(world, account)
    changed = await update_target(world, made, display_name="Deal", etag=made.etag)

    stale = [
        await refusal(update_target(world, made, kind="CUSTOM", etag=made.etag)),
        await refusal(delete_target(world, made, made.etag)),
    ]

    assert {(one.code.name, one.reason) for one in stale} == {("ABORTED", "ETAG_MISMATCH")}
    assert {one.facts["etag"] for one in stale} == {changed.etag}
    assert await get_target(world, made) == changed
    await delete_target(world, made, stale[0].facts["etag"])


@pytest.mark.parametrize(
    ("paths", "content", "reason"),
    [
        (["name"], {}, "FIELD_MASK_INVALID"),
        (["etag"], {}, "FIELD_MASK_INVALID"),
        (["kind"], {}, "ENUM_UNSPECIFIED"),
        (["display_name"], {"display_name": "x" * 201}, "TEXT_TOO_LONG"),
        (
            ["policies"],
            {"policies": [override(overage_policy="overagePolicies/none")]},
            "OVERAGE_POLICY_NOT_FOUND",
        ),
        (
            ["policies"],
            {"policies": [{"usage_resource": "usageResources/none", "policies": {}}]},
            "USAGE_RESOURCE_NOT_FOUND",
        ),
        (
            ["policies"],
            {"policies": [{"usage_resource": "usageResources/calls"}]},
            "FIELD_REQUIRED",
        ),
        (
            ["policies"],
            {"policies": [override(), override()]},
            "RESOURCE_TWICE",
        ),
    ],
)
async def test_a_wrong_change_of_a_target_is_refused_and_changes_nothing(
    sandbox, paths, content, reason
):
    world, account = await shop(sandbox)
    made = await create_target(world, account)

    refused = await refusal(update_target(world, made, *paths, **content))

    assert refused.reason == reason
    if reason.endswith("_NOT_FOUND"):
        again = await refusal(create_target(world, account, "other", **content))
        assert (again.code.name, again.reason) == ("NOT_FOUND", reason)
    assert await get_target(world, made) == made


async def test_a_target_is_of_its_account_and_its_name_is_exact(sandbox):
    world, account = await shop(sandbox)
    await world.account("bob")
    await create_target(world, account)

    for name in ("accounts/bob/bindingTargets/deal", f"{account}/bindingTargets/Deal"):
        wrong = accounts.BindingTarget(name=name)
        for call in (delete_target(world, wrong), update_target(world, wrong, display_name="x")):
            refused = await refusal(call)
            assert (refused.code.name, refused.reason) == ("NOT_FOUND", "BINDING_TARGET_NOT_FOUND")
    assert await targets(world, account) == ["deal"]


async def test_a_target_is_never_deleted_under_a_quote_that_is_made_at_the_same_time(sandbox):
    world, account = await shop(sandbox)

    async def tried(call: Any) -> str:
        try:
            await call
        except UsageError as error:
            return error.reason
        return "done"

    seen = set()
    for turn in range(12):
        made = await create_target(world, account, f"deal-{turn}")
        calls = [delete_target(world, made), world.quote(account, bound(made))]
        calls = calls if turn % 2 else calls[::-1]
        found = await asyncio.gather(*map(tried, calls))
        seen.add(tuple(found if turn % 2 else found[::-1]))

    assert seen <= {("done", "BINDING_TARGET_NOT_FOUND"), ("IN_USE", "done")}
