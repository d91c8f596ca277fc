"""`usage loading` and `usage records show`: usage of the past, and what became of a record."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients import UsageClient
from tests.clients.command_line import Ended, usage
from tests.service import Service, add_tenant
from tests.stories.bill_words import mark
from tests.stories.consumption.amend_words import amend, void
from tests.stories.words import Metered, line, moment
from tests.stories.words import usage as used
from tests.stories.world import World

PLAN = Metered(resource="calls", grant="10", refresh="MONTH", rate="2", late="REJECT")


@dataclass
class Told:
    """A world, an account with an asset in it, and the command line."""

    world: World
    account: str
    asset: object
    run: Callable[..., Awaitable[Ended]]


@pytest.fixture
async def told(service: Service, tmp_path: Path) -> AsyncIterator[Told]:
    _, key = await add_tenant(service, moment("2024-01-31"))
    where = {"USAGE_ADDRESS": service.address, "USAGE_KEY": key, "COLUMNS": "80"}

    async def run(*words: str) -> Ended:
        return await usage(*words, home=tmp_path, **where)

    async with UsageClient(service.address, key) as client:
        world = World(client)
        await world.product("plan", PLAN)
        account = await world.account("ann")
        [asset] = await world.sell(account, line("plan", "2024-01-01"))
        await world.use(asset, "calls", "2024-01-10", 12)
        await world.advance("2024-02-10")
        yield Told(world, account, asset, run)


async def test_a_loading_is_started_prolonged_listed_and_ended(told: Told):
    none = await told.run("loading", "end", "ann")
    started = await told.run("loading", "start", "ann", "--until", "2024-02-20", "--json")
    name = json.loads(started.out)["name"]
    [late] = await told.world.record([used(told.asset, "calls", "2024-01-11", 5)])
    extended = await told.run("loading", "extend", name, "--until", "2024-02-25")
    listed = await told.run("loading", "list", "ann")
    ended = await told.run("loading", "end", "ann")
    again = await told.run("loading", "end", name, "--json")
    after = await told.run("loading", "list", "ann", "--json")
    await told.world.advance("2024-02-11")
    corrected = await told.run("corrections", "ann")

    assert (none.code, "usage loading start ann" in none.err) == (1, True), none.err
    assert late.code == late.LATE
    assert (extended.code, "2024-02-25" in extended.out) == (0, True), extended.err
    for part in ("Loadings of accounts/ann", "all assets", "2024-02-25", "open", name):
        assert part in listed.out
    assert (ended.code, "2024-02-10" in ended.out) == (0, True), ended.err
    assert (again.code, json.loads(again.out)["name"]) == (0, name)
    [one] = json.loads(after.out)["loadings"]
    assert (one["until_time"], one["end_time"]) == ("2024-02-25T00:00:00Z", "2024-02-10T00:00:00Z")
    assert "late" in corrected.out
    refused = await told.run("loading", "extend", name, "--until", "2024-02-26")
    assert (refused.code, "ITEM_STATE" in refused.err) == (1, True)


async def test_a_loading_may_be_that_of_an_asset(told: Told):
    asset = told.asset.name
    of_one = await told.run("loading", "start", "ann", "--until", "2024-02-20", "--asset", asset)
    of_all = await told.run("loading", "start", "ann", "--until", "2024-02-20")
    which = await told.run("loading", "end", "ann")
    both = await told.run(
        *("loading", "start", "ann", "--until", "2024-02-20", "--asset", asset, "--order", "o")
    )
    soon = await told.run("loading", "start", "ann", "--until", "soon")

    assert (of_one.code, of_all.code) == (0, 0), of_one.err + of_all.err
    assert f"assets/{asset.rpartition('/')[2][:8]}" in of_one.out
    # The open ones are named, and none is ended.
    assert (which.code, "2 open loadings of accounts/ann fit" in which.err) == (1, True)
    assert (both.code, soon.code) == (2, 2)


async def test_a_record_tells_its_revisions_lines_and_corrections(told: Told):
    world, account, asset = told.world, told.account, told.asset
    start = await told.run("loading", "start", "ann", "--until", "2024-02-20")
    await world.record([used(asset, "calls", "2024-01-10", 1_234_567, "big")])
    pending = await told.run("records", "show", "big", "--account", "ann")
    await amend(world, used(asset, "calls", "2024-01-10", 1_234_560, "big"))
    await told.run("loading", "end", "ann")
    await world.advance("2024-03-10")
    lines = await world.liable(account)
    await mark(world, *[one.name for one in lines], invoice="INV-7")
    shown = await told.run("records", "show", "big", "--account", "ann")
    plain = await told.run("records", "show", f"{account}/usageRecords/big", "--json")
    await void(world, account, "big", reason="never happened")
    voided = await told.run("records", "show", "big", "--account", "ann")
    whose = await told.run("records", "show", "big")
    unknown = await told.run("records", "show", "other", "--account", "ann")

    assert start.code == 0, start.err
    assert "a correction of its period is pending" in " ".join(pending.out.split())
    for part in (
        *("big", "came after its period was final", "rating period Jan 2024"),
        *("1,234,567", "1,234,560", "Revisions", "2024-01-10"),
        *("Grants that paid for its day", "Lines that include it", "INV-7"),
        *("late usage", "trace accounts/ann/liableSummaries/", "correction acc"),
    ):
        assert part in shown.out, part
    record = json.loads(plain.out)
    assert (record["revision"], len(record["earlier_revisions"])) == (2, 1)
    assert {one["invoice"] for one in record["story"]["lines"]} == {"INV-7"}
    assert ": never happened" in voided.out
    assert (whose.code, unknown.code) == (2, 1)
    print(shown.out, voided.out)
    [booked] = record["story"]["corrections"]
    corrected = await told.run("correction", booked["correction"])
    for part in ("1,234,560", "2,469,120 USD", "2024-02-01"):
        assert part in corrected.out


async def test_amending_takes_the_options_of_recording(told: Told, tmp_path: Path):
    file = tmp_path / "usage.csv"
    file.write_text("id;at;n\nr;2024-02-05 08:00;1,5\n")
    options = ("--account", "ann", "--time", "at", "--measure", "n=calls", "--time-zone", "UTC")
    dialect = ("--delimiter", "semicolon", "--decimal-comma", "--id", "id")
    recorded = await told.run("record", str(file), *options, *dialect)
    file.write_text("id;at;n\nr;2024-01-05 08:00;2,5\n")
    amended = await told.run("amend", str(file), *options, *dialect, "--loading", "--json")
    no_id = await told.run("amend", str(file), *options)

    assert recorded.code == 0, recorded.err
    counts = json.loads(amended.out)
    assert (counts["amended"], counts["loaded_accounts"]) == (1, 1), amended.out
    assert (no_id.code, "--id COLUMN" in no_id.err) == (2, True)
