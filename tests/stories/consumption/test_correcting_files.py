"""`usage void` and `usage amend`: what was recorded wrongly is corrected by the command line."""

import json
from pathlib import Path
from uuid import uuid4

from clients import UsageClient
from tests.clients.command_line import Ended, usage
from tests.service import Service, add_tenant
from tests.stories.consumption.amend_words import CALLS, days
from tests.stories.words import line, moment
from tests.stories.world import World

COLUMNS = ("--account", "ann", "--time", "at", "--measure", "n=calls", "--id", "id")
RECORDED = "id,at,n\na,2024-01-10T08:00:00Z,5\nb,2024-01-11T08:00:00Z,7\nc,2024-01-12T08:00:00Z,9\n"
CORRECT = "id,at,n\na,2024-01-10T08:00:00Z,6\nx,2024-01-11T08:00:00Z,7\n"


async def test_a_file_is_amended_and_records_are_voided(service: Service, tmp_path: Path):
    _, key = await add_tenant(service, moment("2024-01-31"))
    where = {"USAGE_ADDRESS": service.address, "USAGE_KEY": key}

    async def run(*words: str) -> Ended:
        return await usage(*words, home=tmp_path, **where)

    async with UsageClient(service.address, key) as client:
        world = World(client)
        await world.product("plan", CALLS)
        account = await world.account("ann")
        await world.sell(account, line("plan", "2024-01-01"))
        file = tmp_path / f"{uuid4().hex}.csv"
        file.write_text(RECORDED)
        recorded = await run("record", str(file), *COLUMNS)
        file.write_text(CORRECT)

        amended = await run("amend", str(file), *COLUMNS, "--json")
        voided = await run("void", "a", "accounts/ann/usageRecords/nothing", "--account", "ann")
        window = ("--account", "ann", "--from", "2024-01-11", "--until", "2024-01-12")
        dry = await run("void", *window, "--dry-run")
        before = await days(world, account)
        real = await run("void", *window, "--reason", "a test", "--json")
        after = await days(world, account)
        both = await run("void", "a", *window)
        whose = await run("void", "a")

    assert recorded.code == 0, recorded.err
    counts = json.loads(amended.out)
    assert (amended.code, counts["amended"], counts["not_found"]) == (4, 1, 1), amended.err
    assert (voided.code, "1 voided, 1 not found" in voided.out) == (4, True), voided.out
    assert (dry.code, "1 record would be voided" in dry.out) == (0, True), dry.out
    assert before == {"2024-01-11": (7, 1), "2024-01-12": (9, 1)}
    assert json.loads(real.out)["record_count"] == "1", real.err
    assert after == {"2024-01-12": (9, 1)}
    assert (both.code, whose.code) == (2, 2)
