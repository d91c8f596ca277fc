"""`usage amend-all` and `usage void` of all that matches: dry runs with money, and what is told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from clients import UsageClient
from tests.clients.command_line import Ended, usage
from tests.service import Service, add_tenant
from tests.stories.consumption.amend_words import days, stored
from tests.stories.words import Metered, line, moment
from tests.stories.words import usage as record
from tests.stories.world import World

Command = Callable[..., Awaitable[Ended]]

WINDOW = ("--account", "ann", "--from", "2024-01-05", "--until", "2024-02-10", "--label", "site=x")


@pytest.fixture
async def sold(service: Service, tmp_path: Path) -> AsyncIterator[tuple[World, Command]]:
    """12 calls of January, which is final, and 4 of February: 3 included, then 2 USD each."""
    _, key = await add_tenant(service, moment("2024-01-31"))
    where = {"USAGE_ADDRESS": service.address, "USAGE_KEY": key}

    async def run(*words: str) -> Ended:
        return await usage(*words, home=tmp_path, **where)

    async with UsageClient(service.address, key) as client:
        world = World(client)
        calls = Metered(resource="calls", grant="3", refresh="MONTH", validity="MONTH", rate="2")
        await world.product("plan", calls)
        [asset] = await world.sell(await world.account("ann"), line("plan", "2024-01-01"))
        await world.record([record(asset, "calls", "2024-01-10", 12, "jan", site="x", by="a")])
        await world.advance("2024-02-20")
        await world.record([record(asset, "calls", "2024-02-05", 4, "feb", site="x")])
        yield world, run


async def test_a_dry_run_says_what_a_void_would_change_in_money(sold):
    world, run = sold

    told = await run("void", *WINDOW, "--dry-run")
    plain = await run("void", *WINDOW, "--dry-run", "--json")

    assert (told.code, plain.code) == (0, 0), told.err
    assert "-18 USD in 1 line of final periods" in told.out
    assert "-2 USD in 1 line of open periods, as an estimate" in told.out
    assert "2 records would be voided; nothing was changed" in told.out
    money = json.loads(plain.out)["money"]
    sums = {
        one.get("was_final", False): one["amount_difference"]["value"] for one in money["totals"]
    }
    assert sums == {True: "-18", False: "-2"}
    assert len(await days(world, "accounts/ann")) == 2


async def test_all_that_matches_is_amended(sold):
    world, run = sold

    dry = await run("amend-all", *WINDOW, "--times", "1/4", "--dry-run")
    real = await run("amend-all", *WINDOW, "--times", "1/4", "--json")
    labels = ("--set-label", "by=b", "--remove-label", "site", "--reason", "moved")
    labeled = await run("amend-all", *WINDOW, *labels)

    assert (dry.code, real.code, labeled.code) == (0, 0, 0), dry.err + real.err + labeled.err
    assert "-18 USD in 1 line of final periods" in dry.out
    assert "2 records would be amended; nothing was changed" in dry.out
    assert json.loads(real.out)["record_count"] == "2"
    assert "2 records amended" in labeled.out
    found = await stored(world, "accounts/ann", "jan")
    assert (found.quantity.value, dict(found.labels), found.revision) == ("3", {"by": "b"}, 3)


async def test_what_is_not_amended_is_told(sold):
    _, run = sold

    inexact = await run("amend-all", *WINDOW, "--times", "1/7", "--dry-run")
    same = await run("amend-all", *WINDOW, "--times", "1", "--dry-run")

    assert (inexact.code, same.code) == (0, 0), inexact.err
    assert "2 records refused" in inexact.out
    assert "jan: " in inexact.out
    assert "which is not exact with 12 decimals" in inexact.out
    assert "2 records unchanged" in same.out
    assert "nothing would change in money" in same.out
    assert "0 records would be amended" in same.out


@pytest.mark.parametrize(
    "words", [(), ("--quantity", "1", "--times", "2"), ("--set-label", "by"), ("--times", "1/x")]
)
async def test_a_change_that_is_not_understood_changes_nothing(sold, words):
    world, run = sold

    ended = await run("amend-all", *WINDOW, *words)

    assert ended.code in {1, 2}, ended.out
    assert (await stored(world, "accounts/ann", "jan")).revision == 1
