"""`usage record --loading`: declared before anything is sent, and ended whatever happens."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from tests.clients.command_line import Ended, usage
from tests.clients.small_server import Answer, Script, answering, refusal

COLUMNS = ("--asset", "x", "--time", "at", "--measure", "n=calls", "--account-column", "who")
ROWS = "at,n,who\n2020-01-31T12:00:00Z,5,bob\n2020-01-31T12:01:00Z,6,ann\n"
CLOCK = Timestamp(seconds=1_700_000_000)
KEPT = consumption.RecordOutcome(code="LATE")
DENIED = refusal(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
GONE = refusal(grpc.StatusCode.FAILED_PRECONDITION, "ITEM_STATE")


def started(request: Message) -> Message:
    assert isinstance(request, consumption.StartLoadingRequest)
    return consumption.Loading(name=f"{request.parent}/loadings/l", until_time=request.until_time)


def ended(request: Message) -> Message:
    assert isinstance(request, consumption.EndLoadingRequest)
    return consumption.Loading(name=request.name, end_time=CLOCK)


def script(**more: Answer) -> Script:
    answers: dict[str, Answer] = {
        "GetTenant": access.Tenant(name="tenants/t", clock_time=CLOCK),
        "StartLoading": started,
        "RecordUsage": consumption.RecordUsageResponse(outcomes=[KEPT, KEPT]),
        "EndLoading": ended,
    }
    return Script({name: [answer] for name, answer in (answers | more).items()})


def called(played: Script) -> list[str]:
    """Return what was asked, in order: the kind of request, and the account."""
    found = []
    for one in played.asked:
        name = getattr(one, "parent", "") or getattr(one, "name", "")
        kind = type(one).__name__.removesuffix("Request")
        found.append(" ".join(filter(None, [kind, name.removeprefix("accounts/")])))
    return found


ALL = [
    "GetTenant tenants/-",
    "StartLoading ann",
    "StartLoading bob",
    "RecordUsage",
    "EndLoading ann/loadings/l",
    "EndLoading bob/loadings/l",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "u.csv"
    made.write_text(ROWS)
    return made


async def run(played: Script, file: Path, *options: str) -> Ended:
    async with answering(played) as address:
        where = ("--address", address, "--key", "k", *options)
        return await usage("record", str(file), *COLUMNS, *where, home=file.parent)


async def test_the_accounts_of_the_file_are_loading_while_it_is_recorded(file: Path) -> None:
    played = script()

    told = await run(played, file, "--loading")

    assert told.code == 0
    assert called(played) == ALL
    untils = [one.until_time.seconds for one in played.asked if "StartL" in type(one).__name__]
    assert untils == [CLOCK.seconds + 86_400] * 2
    assert "loading 2 accounts: usage of any age is accepted" in told.out
    assert told.out.rstrip().endswith("loading ended: corrections are due now")


async def test_programs_are_told_how_many_accounts_were_loading(file: Path) -> None:
    loaded = await run(script(), file, "--loading", "--json")
    usual = script()
    plain = await run(usual, file, "--json")

    assert json.loads(loaded.out)["loaded_accounts"] == 2
    assert "loaded_accounts" not in json.loads(plain.out)
    assert called(usual) == ["RecordUsage"]


@pytest.mark.parametrize("method", ["GetTenant", "StartLoading"])
async def test_whoever_may_not_load_records_as_usual(file: Path, method: str) -> None:
    played = script(**{method: DENIED})

    told = await run(played, file, "--loading")

    assert told.code == 0
    assert "no account is loading: because PERMISSION_MISSING" in told.err
    assert called(played)[-1] == "RecordUsage"
    assert "2 late" in told.out


async def test_an_account_that_does_not_exist_is_left_to_its_records(file: Path) -> None:
    unknown = refusal(grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    played = script()
    played.answers["StartLoading"] = [unknown, started]

    told = await run(played, file, "--loading")

    assert "loading 1 account:" in told.out
    assert called(played)[-2:] == ["RecordUsage", "EndLoading bob/loadings/l"]


async def test_it_ends_when_recording_fails(file: Path) -> None:
    played = script(RecordUsage=refusal(grpc.StatusCode.INTERNAL, "INTERNAL"))

    told = await run(played, file, "--loading")

    assert told.code == 1
    assert "because INTERNAL" in told.err
    assert called(played) == ALL
    assert "loading ended" in told.out


async def test_it_ends_when_it_cannot_be_begun_for_all(file: Path) -> None:
    played = script()
    played.answers["StartLoading"] = [started, refusal(grpc.StatusCode.INTERNAL, "INTERNAL")]

    told = await run(played, file, "--loading")

    assert told.code == 1
    assert called(played) == [*ALL[:3], ALL[4]]


async def test_a_loading_that_cannot_be_ended_is_named_with_its_time(file: Path) -> None:
    told = await run(script(EndLoading=GONE), file, "--loading")

    assert told.code == 0
    assert "the loading of 2 accounts could not be ended: because ITEM_STATE" in told.err
    assert "accounts/ann/loadings/l lasts until 2023-11-15 22:13 UTC" in told.err


async def test_it_ends_when_it_is_interrupted(file: Path) -> None:
    asked = asyncio.Event()

    async def never(_: Message) -> Message:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    played = script(RecordUsage=never)
    async with answering(played) as address:
        words = ("record", str(file), *COLUMNS, "--loading", "--address", address, "--key", "k")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "clients", *words),
            env={**os.environ, "USAGE_HOME": str(file.parent)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A shell lets what it runs in the background ignore interrupts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        await asyncio.wait_for(asked.wait(), 30)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()

    assert process.returncode == 130
    assert called(played) == ALL
    assert b"loading ended" in out
