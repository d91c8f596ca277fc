"""Files of every shape through `usage record` and the real service: each with what it records."""

import asyncio
import os
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient
from clients.pages import pages
from clients.values import time
from tests.clients.command_line import Ended, usage
from tests.service import Service, add_tenant
from tests.stories.words import Metered, line, moment, number
from tests.stories.world import World

FILES = Path(__file__).parents[2] / "data" / "files"
ACCOUNTS = ("acme", "globex", "initech")
ACME = ("--account", "acme")
TOKENS = ("--time", "at", "--measure", "tokens=tokens")
DAY = "2026-10-24T"


@dataclass
class Shop:
    """A tenant with three accounts, the second asset of initech, and the way to it."""

    world: World
    where: dict[str, str]
    home: Path
    assets: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    async def record(self, file: str | Path, *options: str) -> Ended:
        return await usage("record", str(FILES / file), *options, home=self.home, **self.where)

    async def new(self) -> list[str]:
        """Return what was recorded since the last call, by time: account, time, quantity, labels
        and a unit that is not the resource's own.
        """
        rpc = self.world.client.consumption
        found = []
        for account in ACCOUNTS:
            request = consumption.ListUsageRecordsRequest(
                parent=f"accounts/{account}", page_size=1000
            )
            found += [record async for record in pages(rpc.ListUsageRecords, request)]
        fresh = [record for record in found if record.name not in self.seen]
        self.seen |= {record.name for record in fresh}
        return sorted(_told(record) for record in fresh)


def _told(record: consumption.UsageRecord) -> str:
    at = time(record.usage_time).isoformat().replace("+00:00", "Z")
    words = [at, record.quantity.value, record.asset.split("/")[1]]
    words += [f"{key}={value}" for key, value in sorted(record.labels.items())]
    unit = record.unit_of_measure.rpartition("/")[2]
    return " ".join(words if unit == "tokens-unit" else [*words, unit])


@pytest.fixture(scope="module")
async def open_shop(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    _, key = await add_tenant(service, moment("2026-10-28"))
    async with UsageClient(service.address, key) as client:
        world = World(client)
        await world.product("plan", Metered(resource="tokens", rate="1", scale=12))
        await add_kilotoken(world)
        where = {"USAGE_ADDRESS": service.address, "USAGE_KEY": key}
        shop = Shop(world, where, tmp_path_factory.mktemp("home"))
        for account in ACCOUNTS:
            name = await world.account(account)
            lines = [line("plan", "2026-10-01")] * (2 if account == "initech" else 1)
            sold = [asset for each in lines for asset in await world.sell(name, each)]
            shop.assets[account] = [asset.name for asset in sold]
        yield shop


@pytest.fixture
async def shop(open_shop: Shop) -> Shop:
    await open_shop.new()
    return open_shop


async def add_kilotoken(world: World) -> None:
    name = "unitsOfMeasure/kilotoken"
    rpc = world.client.catalog
    await rpc.CreateUnitOfMeasure(
        catalog_rpc.CreateUnitOfMeasureRequest(
            unit_of_measure_id="kilotoken",
            unit_of_measure={
                "unit_class": "unitClasses/tokens-class",
                "factor": number(1000),
                "scale": 12,
            },
        )
    )
    await rpc.ChangeStates(
        catalog_rpc.ChangeStatesRequest(names=[name], state="CATALOG_STATE_ACTIVE")
    )


CASES = {
    "quoted_cell.csv": (
        (*ACME, *TOKENS, "--id", "request_id"),
        [f"{DAY}10:00:00Z 10 acme", f"{DAY}10:05:00Z 20 acme", f"{DAY}10:10:00Z 30 acme"],
    ),
    "semicolons.csv": (
        (*ACME, *TOKENS, "--delimiter", "semicolon", "--decimal-comma"),
        [f"{DAY}10:00:00Z 1.5 acme", f"{DAY}11:00:00Z 2 acme"],
    ),
    "tabs.csv": ((*ACME, *TOKENS, "--delimiter", "tab"), [f"{DAY}10:00:00Z 3 acme"]),
    "pipes.txt": ((*ACME, *TOKENS, "--delimiter", "pipe"), [f"{DAY}10:00:00Z 4 acme"]),
    "exponents.csv": (
        (*ACME, *TOKENS, "--id", "id"),
        [f"{DAY}10:00:00Z 0.0000105 acme", f"{DAY}11:00:00Z 1500 acme"],
    ),
    "array.json": (
        (*ACME, *TOKENS),
        [
            f"{DAY}10:00:00Z 3 acme",
            f"{DAY}10:01:00Z 4 acme",
            f"{DAY}10:02:00Z 0.000000000001 acme",
        ],
    ),
    "cloudevents.jsonl": (
        (
            *("--account-column", "subject", "--time", "time", "--measure", "data.tokens=tokens"),
            *("--label", "data.model=model", "--label", "data.region", "--id", "id"),
        ),
        [
            f"{DAY}10:00:00Z 12 acme model=m-small",
            f"{DAY}10:01:00Z 7 globex data.region=eu model=m-large",
        ],
    ),
    "epoch_and_other_columns.csv": (
        (*ACME, *TOKENS, "--id", "id"),
        [
            f"{DAY}10:00:00Z 3 acme",
            f"{DAY}10:01:00.123000Z 4 acme",
            f"{DAY}10:02:00.500000Z 5 acme",
        ],
    ),
    "units_and_labels.csv": (
        (
            *(*ACME, "--time", "at", "--measure", "amount=tokens", "--unit-column", "unit"),
            *("--label", "region", "--label", "team=group"),
        ),
        [
            f"{DAY}10:00:00Z 2 acme group=blue region=eu kilotoken",
            f"{DAY}10:01:00Z 3 acme region=us",
            f"{DAY}10:02:00Z 4 acme",
        ],
    ),
    "clock_change.csv": (
        (*ACME, *TOKENS, "--time-zone", "Europe/Berlin"),
        [
            "2026-10-24T23:30:00Z 1 acme",
            "2026-10-25T00:30:00Z 2 acme",
            "2026-10-25T00:45:00Z 3 acme",
            "2026-10-25T01:30:00Z 4 acme",
            "2026-10-25T02:30:00Z 5 acme",
        ],
    ),
    "zeros.csv": (
        (*ACME, *TOKENS),
        [f"{DAY}10:00:00Z 0 acme", f"{DAY}10:01:00Z 0 acme", f"{DAY}10:02:00Z 6 acme"],
    ),
    "packed.csv.gz": ((*ACME, *TOKENS), [f"{DAY}10:00:00Z 17 acme"]),
}


@pytest.mark.parametrize("file", CASES)
async def test_a_file_records_what_it_says_once(shop: Shop, file: str) -> None:
    options, expected = CASES[file]

    ended = await shop.record(file, *options)
    again = await shop.record(file, *options, "--on-error", "skip")

    assert (ended.code, again.code) == (0, 0), ended.err + again.err
    assert await shop.new() == expected
    assert f"{len(expected)} duplicates" in again.out


def test_every_file_is_described_and_tried() -> None:
    files = {path.name for path in FILES.iterdir()} - {"README.md"}
    described = re.findall(r"^\| `([a-z_.]+)` \|", (FILES / "README.md").read_text(), re.MULTILINE)
    elsewhere = {"accounts.csv", "assets.csv", "dates_and_total.csv", *BROKEN}

    assert sorted(files) == described
    assert files == elsewhere | set(CASES)


BROKEN = {
    "open_quote.csv": "line 3 has a quoted field that does not end",
    "quote_inside.csv": "line 3 has a quote inside of a quoted field",
}


@pytest.mark.parametrize("file", BROKEN)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
async def test_nothing_is_read_where_a_quote_does_not_end(
    shop: Shop, file: str, on_error: str
) -> None:
    ended = await shop.record(file, *ACME, *TOKENS, "--on-error", on_error)

    assert ended.code == 2
    assert BROKEN[file] in ended.err
    assert await shop.new() == []


async def test_accounts_by_column_and_the_only_asset_that_meters(shop: Shop) -> None:
    options = ("--account-column", "customer", *TOKENS, "--on-error", "skip")
    ended = await shop.record(copy(shop, "accounts.csv"), *options)

    assert ended.code == 4
    assert await shop.new() == [f"{DAY}10:00:00Z 8 acme", f"{DAY}10:00:00Z 9 globex"]
    assert "line 4: accounts/initech has 2 assets that meter usageResources/tokens" in ended.err
    assert "line 5" in ended.err
    assert "ACCOUNT_NOT_FOUND" in ended.err


async def test_a_credential_that_only_records_is_told_to_name_the_asset(shop: Shop) -> None:
    rpc = shop.world.client.access
    made = await rpc.CreateCredential(
        access.CreateCredentialRequest(credential={"roles": ["COLLECTOR"]})
    )
    collector = replace(shop, where={**shop.where, "USAGE_KEY": made.key})
    options = (*ACME, *TOKENS, "--delimiter", "tab", "--id", "id")
    refused = await collector.record("tabs.csv", *options)
    ended = await collector.record("tabs.csv", *options, "--asset", shop.assets["acme"][0])

    assert (refused.code, ended.code) == (1, 0), refused.err + ended.err
    assert "name one with --asset, or a column with --asset-column" in refused.err


async def test_assets_by_column(shop: Shop) -> None:
    first, second = shop.assets["initech"]
    file = copy(
        shop, "assets.csv", FIRST=first.rpartition("/")[2], SECOND=second.rpartition("/")[2]
    )
    options = ("--account-column", "customer", "--asset-column", "contract", *TOKENS)
    ended = await shop.record(file, *options, "--on-error", "skip")

    assert ended.code == 4
    assert await shop.new() == [f"{DAY}10:00:00Z 21 initech", f"{DAY}10:00:00Z 22 initech"]
    assert "line 4: contract:" in ended.err
    assert "is not of 'accounts/acme'" in ended.err


def copy(shop: Shop, name: str, **replaced: str) -> Path:
    """Copy a file, so that the lines that are left are not written beside it."""
    text = (FILES / name).read_text()
    for word, value in replaced.items():
        text = text.replace(word, value)
    file = shop.home / name
    file.write_text(text)
    return file


async def test_the_total_row_is_refused_and_its_correction_is_recorded_as_advised(
    shop: Shop,
) -> None:
    file = copy(shop, "dates_and_total.csv")
    options = (*ACME, "--time", "Window", "--measure", "GPU Hours=tokens")
    unclear = await shop.record(file, *options)
    zone = ("--time-zone", "Europe/Berlin")
    stopped = await shop.record(file, *options, *zone)
    skipped = await shop.record(file, *options, *zone, "--on-error", "skip")

    assert (unclear.code, stopped.code, skipped.code) == (2, 4, 4)
    assert "--time-zone Europe/Berlin" in unclear.err
    assert "line 4: Window: 'Total' is not a time" in stopped.err
    assert await shop.new() == ["2026-10-22T22:00:00Z 4.5 acme", "2026-10-23T22:00:00Z 6 acme"]

    left = file.with_name("dates_and_total.left.csv")
    left.write_text(left.read_text().replace("Total", "2026-10-25"))
    [command] = re.findall(r"^ +(\S+ record .*)$", skipped.err, re.MULTILINE)
    assert await run(command, shop) == 0
    assert await shop.new() == ["2026-10-24T22:00:00Z 10.5 acme"]


async def run(command: str, shop: Shop) -> int:
    """Run a command as somebody who copies it into a shell."""
    process = await asyncio.create_subprocess_shell(
        command, env={**os.environ, **shop.where}, stdout=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("semicolons.csv", "is separated by semicolons, decimals with commas"),
        ("tabs.csv", "is separated by tabs"),
        ("pipes.txt", "is separated by vertical bars"),
    ],
)
async def test_advice_about_separators_works_as_it_is_written(
    shop: Shop, file: str, said: str
) -> None:
    refused = await shop.record(file, *ACME, *TOKENS)
    [advice] = re.findall(r"; add (--.*)$", refused.err, re.MULTILINE)
    ended = await shop.record(file, *ACME, *TOKENS, *shlex.split(advice))

    assert (refused.code, ended.code) == (2, 0), ended.err
    assert said in refused.err


async def test_the_format_is_that_of_the_name_unless_it_is_given(shop: Shop) -> None:
    tabs, text = shop.home / "tabs.tsv", shop.home / "events.txt"
    tabs.write_text(f"at\ttokens\n{DAY}10:00:00Z\t31\n")
    text.write_text(f'{{"at": "{DAY}10:00:00Z", "tokens": 32}}\n')
    first = await shop.record(tabs, *ACME, *TOKENS)
    refused = await shop.record(text, *ACME, *TOKENS)
    [advice] = re.findall(r"; add (--.*)$", refused.err, re.MULTILINE)
    second = await shop.record(text, *ACME, *TOKENS, *shlex.split(advice), "--unit", "kilotoken")

    assert (first.code, refused.code, second.code) == (0, 2, 0), first.err + second.err
    assert "the file holds JSON" in refused.err
    assert await shop.new() == [f"{DAY}10:00:00Z 31 acme", f"{DAY}10:00:00Z 32 acme kilotoken"]


async def test_times_that_occur_twice_are_counted_and_said(shop: Shop) -> None:
    options = (*ACME, *TOKENS, "--time-zone", "Europe/Berlin")
    ended = await shop.record("clock_change.csv", *options)
    plain = await shop.record("clock_change.csv", *options, "--json")

    assert "2 times are in an hour that occurs twice in Europe/Berlin" in ended.err
    assert "the first on line 3" in ended.err
    assert '"ambiguous_times": 2' in plain.out
