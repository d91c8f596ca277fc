"""Unique counts do not depend on the order in which usage arrives."""

import asyncio
import itertools
import random

import pytest
from usage_management.v1 import summary_service_pb2 as summaries

from server.api.services.consumption import consumption
from tests.stories.words import ACCEPTED, REJECTED, Metered, codes, figure, line, usage
from tests.stories.world import World

UNIQUE = {"method": "UNIQUE_COUNT", "unique_label": "user"}


def seen(asset, user, at, region, record_id):
    """A record of something a user did in a region."""
    return usage(asset, "users", at, 7, record_id, user=user, region=region)


async def shop(sandbox, **more) -> tuple[World, str]:
    world = await sandbox("2024-01-31")
    terms = {"rate": "1", "dimensions": ("region",), **UNIQUE, **more}
    users = Metered(resource="users", **terms)
    await world.product("plan", users)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, asset


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
async def test_a_value_counts_once_in_each_dimension_whatever_comes_first(sandbox, order):
    """R31: a user of two regions counts in both."""
    world, asset = await shop(sandbox)
    records = [
        seen(asset, "u1", "2024-01-10T10:00", "eu", "a"),
        seen(asset, "u1", "2024-01-10T11:00", "us", "b"),
    ]

    for place in order:
        await world.record([records[place]])

    account = asset.name.rpartition("/assets/")[0]
    assert figure((await world.wallet(account, "users")).used_quantity) == 2


async def cells(world: World, account: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the counted quantity and the records of each day and region."""
    request = summaries.ListUsageSummariesRequest(parent=account, page_size=1000)
    answer = await world.client.summaries.ListUsageSummaries(request)
    return {
        (str(cell.start_time.ToDatetime()), cell.dimensions.get("region", "")): (
            figure(cell.sum_quantity),
            cell.record_count,
        )
        for cell in answer.usage_summaries
    }


@pytest.mark.parametrize("seed", range(4))
async def test_the_earliest_record_of_a_value_counts_it_in_any_order(sandbox, seed):
    """Also in the verification, which counts the stored records again."""
    world, asset = await shop(sandbox, window="WEEK")
    account = asset.name.rpartition("/assets/")[0]
    chance = random.Random(seed)
    records = [
        seen(
            asset,
            f"u{chance.randrange(4)}",
            f"2024-01-{chance.randrange(1, 15):02}T{chance.randrange(24):02}:00",
            chance.choice(("eu", "us")),
            f"r{number}",
        )
        for number in range(40)
    ]
    first = {}
    for record in sorted(records, key=lambda r: (r.usage_time.ToDatetime(), r.record_id)):
        day = record.usage_time.ToDatetime()
        # 2024 began on a Monday; weeks are those of the calendar.
        key = (day.isocalendar()[1], record.labels["region"], record.labels["user"])
        first.setdefault(key, (str(day.date()), record.labels["region"]))
    wanted = {}
    for place in first.values():
        wanted[place] = wanted.get(place, 0) + 1

    chance.shuffle(records)
    while records:
        size = chance.randrange(1, 8)
        batch, records = records[:size], records[size:]
        await world.record(batch)

    found = await cells(world, account)
    counted = {(day[:10], region): used for (day, region), (used, _) in found.items() if used}
    assert counted == wanted
    assert sum(records for _, records in found.values()) == 40


async def test_what_others_add_while_a_value_is_taken_over_is_kept(sandbox, monkeypatch):
    """One call has added to a cell and not committed; another takes over a value of the cell."""
    world, asset = await shop(sandbox, window="RATING_PERIOD")
    account = asset.name.rpartition("/assets/")[0]
    await world.record(
        [
            seen(asset, "u1", "2024-01-10T10:00", "eu", "a"),
            seen(asset, "u2", "2024-01-10T11:00", "eu", "b"),
        ]
    )
    added, going_on = asyncio.Event(), asyncio.Event()
    keep = consumption.keep_refusals

    async def hold(tx, refusals):
        if not added.is_set():
            added.set()
            await going_on.wait()
        await keep(tx, refusals)

    monkeypatch.setattr(consumption, "keep_refusals", hold)
    adding = asyncio.create_task(world.record([seen(asset, "u3", "2024-01-10T12:00", "eu", "c")]))
    await added.wait()
    taking = asyncio.create_task(world.record([seen(asset, "u1", "2024-01-03T10:00", "eu", "d")]))
    # The second call waits for the cell of the first one.
    done, _ = await asyncio.wait([taking], timeout=1)
    going_on.set()
    await asyncio.gather(adding, taking)

    assert not done
    assert figure((await world.wallet(account, "users")).used_quantity) == 3
    found = await cells(world, account)
    assert {day[:10]: used for (day, _), (used, _) in found.items()} == {
        "2024-01-03": 1,
        "2024-01-10": 2,
    }


async def test_records_of_a_value_that_a_cap_refuses_are_refused_together(sandbox):
    """However they are split into calls: the cap is full, and a new value comes twice."""
    world, asset = await shop(sandbox, grant="1", overage="BLOCK")
    await world.record([seen(asset, "u1", "2024-01-10T10:00", "eu", "a")])

    both = await world.record(
        [
            seen(asset, "u2", "2024-01-10T11:00", "eu", "b"),
            seen(asset, "u2", "2024-01-10T12:00", "eu", "c"),
        ]
    )
    alone = await world.record([seen(asset, "u2", "2024-01-10T12:00", "eu", "c")])

    assert codes(both) == [REJECTED, REJECTED]
    assert codes(alone) == [REJECTED]


@pytest.mark.parametrize(("overage", "counted"), [("CHARGE", (1, 0)), ("BLOCK", (0, 1))])
async def test_a_wallet_that_blocks_takes_no_count_over(sandbox, overage, counted):
    """The grants of an earlier day may not cover what those of a later day did."""
    world, asset = await shop(sandbox, window="WEEK", grant="5", overage=overage)
    account = asset.name.rpartition("/assets/")[0]

    outcomes = [
        *await world.record([seen(asset, "u1", "2024-01-10T10:00", "eu", "a")]),
        *await world.record([seen(asset, "u1", "2024-01-09T10:00", "eu", "b")]),
    ]

    assert codes(outcomes) == [ACCEPTED, ACCEPTED]
    assert await cells(world, account) == {
        ("2024-01-09 00:00:00", "eu"): (counted[0], 1),
        ("2024-01-10 00:00:00", "eu"): (counted[1], 1),
    }
    wallet = await world.wallet(account, "users")
    assert (figure(wallet.used_quantity), figure(wallet.balance)) == (1, 4)
