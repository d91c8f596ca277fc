"""Readings: zero is one, and an empty label is none."""

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption

from tests.stories.words import ACCEPTED, REJECTED, Metered, codes, figure, line, usage


@pytest.mark.capability("M87.zero")
@pytest.mark.parametrize(
    ("method", "used"), [("COUNT", 3), ("SUM", 6), ("PEAK", 4), ("LATEST", 0), ("AVERAGE", 2)]
)
async def test_zero_is_kept_and_counted(sandbox, method, used):
    """R29: 4, 2 and 0 on one day: three readings, 6 in all, 4 at most, 0 at last, 2 on average."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1", method=method, late="REJECT"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    outcomes = await world.record(
        [
            usage(asset, "calls", f"2024-01-10T0{hour}:00", quantity)
            for hour, quantity in enumerate((4, 2, 0), 1)
        ]
    )
    await world.advance("2024-02-10")

    assert codes(outcomes) == [ACCEPTED] * 3
    [liable] = await world.liable(account)
    assert (figure(liable.used_quantity), liable.amount.units) == (used, used)


async def test_the_value_of_a_zero_reading_counts_as_a_distinct_one(sandbox):
    world = await sandbox("2024-01-31")
    users = Metered(resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user")
    await world.product("plan", users)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.record([usage(asset, "users", "2024-01-10", 0, user=user) for user in ("a", "b")])

    assert figure((await world.wallet(account, "users")).used_quantity) == 2


async def test_a_negative_quantity_is_refused_with_the_advice_to_void(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    [outcome] = await world.record([usage(asset, "calls", "2024-01-10", -1)])

    assert outcome.code == REJECTED
    assert "QUANTITY_NEGATIVE" in str(outcome.status)
    assert "void" in outcome.status.message


async def test_an_empty_label_and_a_missing_label_are_the_same(sandbox):
    """R33: a repeat without the empty label is a duplicate, and both are of one dimension."""
    world = await sandbox("2024-01-31")
    calls = Metered(resource="calls", rate="1", dimensions=("region",))
    await world.product("plan", calls)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    first = await world.record([usage(asset, "calls", "2024-01-10", 1, "a", region="")])
    again = await world.record(
        [usage(asset, "calls", "2024-01-10", 1, "a"), usage(asset, "calls", "2024-01-10", 2, "b")]
    )
    await world.advance("2024-02-10")

    assert codes(first) == [ACCEPTED]
    assert codes(again) == [consumption.RecordOutcome.DUPLICATE, ACCEPTED]
    [liable] = await world.liable(account)
    assert (figure(liable.used_quantity), dict(liable.dimensions)) == (3, {})
