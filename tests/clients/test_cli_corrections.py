"""`usage corrections` and `usage correction`: what they ask for, and what they print."""

import json
from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import summary_service_pb2 as pb
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import screens
from clients.values import decimal_pb
from tests.clients.command_line import Ended, usage
from tests.clients.small_server import Script, answering, refusal

WALLET = "accounts/acme/wallets/w1"
JOB = "jobs/00000000-0000-4000-8000-000000000001"


def at(text: str) -> Timestamp:
    made = Timestamp()
    made.FromJsonString(f"{text}T12:00:00Z")
    return made


HEAD = pb.Correction(
    name="accounts/acme/corrections/c1",
    causes=[pb.Correction.LATE, pb.Correction.VOID],
    start_time=at("2026-01-01"),
    wallets=[WALLET],
    create_time=at("2026-02-10"),
)


def line(**more: object) -> pb.RatableSummary:
    words = {"usage_resource": "usageResources/calls", "currency_code": "EUR"}
    return pb.RatableSummary(**(words | more))


def whole() -> pb.Correction:
    """A correction of a line by -70, with an entry, and a line that was replaced."""
    difference = pb.CorrectedLine(
        after=line(corrects="accounts/acme/ratableSummaries/r1"),
        used_difference=decimal_pb(1),
        drawn_difference=decimal_pb(0),
        overage_difference=decimal_pb(1),
        amount_difference=decimal_pb(-70),
    )
    replaced = pb.CorrectedLine(
        before=line(amount=decimal_pb(150)),
        after=line(amount=decimal_pb(80)),
        amount_difference=decimal_pb(-70),
    )
    found = pb.Correction(lines=[difference, replaced])
    found.MergeFrom(HEAD)
    found.wallet_entries.add(
        name=f"{WALLET}/entries/7", amount=decimal_pb(-3), kind=wallets.WalletEntry.CORRECTION
    )
    return found


def script() -> Script:
    stuck = pb.PendingCorrection(
        wallet=WALLET,
        causes=[pb.Correction.SALE],
        start_time=at("2026-01-01"),
        create_time=at("2026-02-11"),
        job=JOB,
        job_state=access.Job.QUARANTINED,
        error=refusal(grpc.StatusCode.FAILED_PRECONDITION, "RATED_LINE_FAILED"),
    )
    return Script(
        {
            "GetAccount": [accounts.Account(time_zone="Europe/Berlin")],
            "ListCorrections": [pb.ListCorrectionsResponse(corrections=[HEAD])],
            "ListPendingCorrections": [
                pb.ListPendingCorrectionsResponse(pending_corrections=[stuck])
            ],
            "GetCorrection": [whole()],
        }
    )


async def run(played: Script, home: Path, *arguments: str) -> Ended:
    async with answering(played) as address:
        return await usage(*arguments, "--address", address, "--key", "k", home=home)


async def test_corrections_are_listed_with_why_and_when(tmp_path: Path) -> None:
    played = script()

    more = ("--wallet", "w1", "--cause", "late", "--from", "2026-02-01", "--until", "2026-03-01")
    told = await run(played, tmp_path, "corrections", "acme", *more)
    plain = await run(played, tmp_path, "corrections", "acme", "--json")

    assert (told.code, plain.code) == (0, 0)
    assert "late usage, voided usage" in told.out
    assert f"correction {HEAD.name}" in told.out
    assert json.loads(plain.out)["corrections"][0]["causes"] == ["LATE", "VOID"]
    asked = next(one for one in played.asked if isinstance(one, pb.ListCorrectionsRequest))
    assert (asked.parent, asked.wallet, asked.cause) == ("accounts/acme", WALLET, 1)
    # A day begins in the time zone of the account.
    assert asked.start_create_time.ToJsonString() == "2026-01-31T23:00:00Z"
    assert asked.end_create_time.ToJsonString() == "2026-02-28T23:00:00Z"
    assert (await run(played, tmp_path, "corrections", "acme", "--cause", "rain")).code == 2


async def test_what_waits_is_listed_with_its_job_and_what_stopped_it(tmp_path: Path) -> None:
    played = script()

    told = await run(played, tmp_path, "corrections", "acme", "--pending")
    plain = await run(played, tmp_path, "corrections", "acme", "--pending", "--json")

    assert (told.code, plain.code) == (0, 0)
    for part in ("wallets/w1", "a sale", "quarantined", f"{JOB}: RATED_LINE_FAILED", "RetryJob"):
        assert part in told.out
    [waiting] = json.loads(plain.out)["pending_corrections"]
    assert (waiting["job"], waiting["job_state"]) == (JOB, "QUARANTINED")
    wrong = await run(played, tmp_path, "corrections", "acme", "--pending", "--from", "2026-01-01")
    assert (wrong.code, "--pending" in wrong.err) == (2, True)


async def test_a_correction_is_shown_with_its_lines_and_entries(tmp_path: Path) -> None:
    played = script()

    told = await run(played, tmp_path, "correction", HEAD.name)
    plain = await run(played, tmp_path, "correction", HEAD.name, "--json")

    assert (told.code, plain.code) == (0, 0)
    for part in ("-70 EUR", "ratableSummaries/r1", "150 → 80", "Entries in wallets/w1", "-3"):
        assert part in told.out
    assert len(json.loads(plain.out)["lines"]) == 2
    assert (await run(played, tmp_path, "correction", "acme")).code == 2


async def test_a_trace_leads_through_the_correction_of_a_line(tmp_path: Path) -> None:
    source = pb.RatableTrace(ratable_summary=line(), correction=HEAD)
    traced = pb.TraceLiableSummaryResponse(
        sources=[source, pb.RatableTrace(ratable_summary=line())]
    )
    played = Script(script().answers | {"TraceLiableSummary": [traced]})

    told = await run(played, tmp_path, "trace", "accounts/acme/liableSummaries/l1")

    assert told.out.count("correction because of late usage, voided usage") == 1
    assert screens.causes([99]) == "a cause unknown here"
