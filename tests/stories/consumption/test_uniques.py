"""Counting different values: users, devices, whatever a label says."""

import asyncio

import pytest
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as rpc

from clients import UsageError
from tests.stories.words import ACCEPTED, REJECTED, Metered, codes, figure, line, usage


def seen(asset, user, at, record_id=None):
    """A record of something a user did."""
    made = usage(asset, "users", at, 7, record_id)
    made.labels["user"] = user
    return made


@pytest.mark.parametrize(("window", "used"), [("DAY", 5), ("WEEK", 3)])
async def test_different_values_count_once_in_their_window(sandbox, window, used):
    world = await sandbox("2024-01-31")
    method = {"method": "UNIQUE_COUNT", "window": window, "unique_label": "user"}
    await world.product("plan", Metered(resource="users", grant="2", rate="10", **method))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    # The first of January and the third are in one week, and so is the fifth.
    await world.record(
        [
            seen(asset, "eve", "2024-01-03"),
            seen(asset, "ann", "2024-01-01"),
            seen(asset, "bob", "2024-01-01"),
            seen(asset, "ann", "2024-01-01T18:00"),
        ]
    )
    await world.record([seen(asset, "ann", "2024-01-05"), seen(asset, "ann", "2024-01-05T09:00")])
    await world.record([seen(asset, "bob", "2024-01-03")])
    live = await world.wallet(account, "users")
    await world.advance("2024-02-10")

    assert figure(live.used_quantity) == used
    [liable] = await world.liable(account)
    assert (figure(liable.used_quantity), liable.amount.units) == (used, 10 * (used - 2))


async def test_many_who_bring_the_same_value_at_once_count_it_once(sandbox):
    world = await sandbox("2024-01-31")
    await world.product(
        "plan", Metered(resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user")
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    async def one(number: int) -> list[int]:
        users = [f"user-{(number + step) % 12}" for step in range(12)]
        return codes(await world.record([seen(asset, user, "2024-01-10") for user in users]))

    found = await asyncio.gather(*(one(number) for number in range(8)))

    assert {code for outcomes in found for code in outcomes} == {ACCEPTED}
    assert figure((await world.wallet(account, "users")).used_quantity) == 12


async def test_a_value_that_is_refused_can_still_come(sandbox):
    """Two seats, sold no further: the third user is refused, and comes when somebody is let in."""
    world = await sandbox("2024-01-31")
    seats = Metered(
        resource="users",
        grant="2",
        overage="BLOCK",
        method="UNIQUE_COUNT",
        window="WEEK",
        unique_label="user",
    )
    await world.product("plan", seats)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    first = await world.record([seen(asset, user, "2024-01-10") for user in ("a", "b", "c", "a")])
    again = await world.record([seen(asset, "c", "2024-01-11"), seen(asset, "b", "2024-01-11")])

    assert codes(first) == [ACCEPTED, ACCEPTED, REJECTED, ACCEPTED]
    assert codes(again) == [REJECTED, ACCEPTED]


async def test_a_record_without_the_label_is_refused(sandbox):
    world = await sandbox("2024-01-31")
    await world.product(
        "plan", Metered(resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user")
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    [outcome] = await world.record([usage(asset, "users", "2024-01-10", 1)])

    assert outcome.code == REJECTED
    assert "FIELD_REQUIRED" in str(outcome.status)
    for wrong in (
        policies.AggregationPolicy(method="UNIQUE_COUNT", period="DAY"),
        policies.AggregationPolicy(method="SUM", period="DAY", unique_label="user"),
    ):
        request = rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="wrong", aggregation_policy=wrong
        )
        with pytest.raises(UsageError) as refused:
            await world.client.policies.CreateAggregationPolicy(request)
        assert refused.value.violations[0].field == "aggregation_policy.unique_label"
