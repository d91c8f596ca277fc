"""`usage invoice mark`: the lines that it marks, and what it prints."""

import json
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from google.type.money_pb2 import Money
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import summary_service_pb2 as summaries

from tests.clients.command_line import Ended, usage
from tests.clients.small_server import Script, answering, refusal

MARKED = "MarkInvoiced"
READY = summaries.LiableSummary.READY_FOR_INVOICING
MANY = [f"accounts/acme/liableSummaries/l{number}" for number in range(1_001)]


def line(name: str) -> summaries.LiableSummary:
    resource, etag = "usageResources/calls", f'"{name[-1]}"'
    return summaries.LiableSummary(
        name=name, usage_resource=resource, state=READY, amount=Money(units=4), etag=etag
    )


def marked(request: Message) -> Message:
    """Answer with the lines as invoiced."""
    assert isinstance(request, summaries.MarkInvoicedRequest)
    done = [line(name) for name in request.liable_summaries]
    for one in done:
        one.state, one.invoice = summaries.LiableSummary.INVOICED, request.invoice
    return summaries.MarkInvoicedResponse(liable_summaries=done)


def script(*names: str) -> Script:
    """Return a service in which these lines of the account are ready."""
    listed = summaries.ListLiableSummariesResponse(liable_summaries=[line(one) for one in names])
    return Script(
        {
            "ListLiableSummaries": [listed],
            MARKED: [marked],
            "GetAccount": [accounts.Account(time_zone="Europe/Berlin")],
        }
    )


def marks(played: Script) -> list[tuple[list[str], str]]:
    return [
        (list(one.liable_summaries), one.invoice)
        for one in played.asked
        if isinstance(one, summaries.MarkInvoicedRequest)
    ]


async def run(played: Script, home: Path, *arguments: str) -> Ended:
    async with answering(played) as address:
        where = ("--address", address, "--key", "k")
        return await usage("invoice", "mark", *arguments, *where, home=home)


async def test_named_lines_are_marked_and_shown(tmp_path: Path) -> None:
    played = script()

    told = await run(played, tmp_path, *MANY[:2], "--invoice", "INV-7")
    plain = await run(played, tmp_path, MANY[0], "--invoice", "INV-8", "--json")

    assert (told.code, plain.code) == (0, 0)
    assert "Lines of the invoice INV-7" in told.out
    assert told.out.count("INV-7") == 3
    assert "failed" not in told.out
    [shown] = json.loads(plain.out)["liable_summaries"]
    assert (shown["name"], shown["invoice"], shown["state"]) == (MANY[0], "INV-8", "INVOICED")
    assert marks(played) == [(MANY[:2], "INV-7"), (MANY[:1], "INV-8")]
    assert not any(isinstance(one, summaries.ListLiableSummariesRequest) for one in played.asked)


async def test_the_ready_lines_of_an_account_and_a_period_are_marked(tmp_path: Path) -> None:
    played = script(*MANY)

    when = ("--from", "2026-01-01", "--until", "2026-02-01")
    ended = await run(played, tmp_path, "acme", "--invoice", "INV-7", *when, "--json")

    [asked] = [one for one in played.asked if isinstance(one, summaries.ListLiableSummariesRequest)]
    assert (asked.parent, asked.state) == ("accounts/acme", READY)
    # A day begins in the time zone of the account.
    assert asked.start_time.ToJsonString() == "2025-12-31T23:00:00Z"
    assert asked.end_time.ToJsonString() == "2026-01-31T23:00:00Z"
    assert marks(played) == [(MANY[:1_000], "INV-7"), (MANY[1_000:], "INV-7")]
    # Only what was listed is marked, as it was listed.
    marking = [one for one in played.asked if isinstance(one, summaries.MarkInvoicedRequest)]
    assert dict(marking[1].etags) == {MANY[1_000]: '"0"'}
    assert len(marking[0].etags) == 1_000
    assert len(json.loads(ended.out)["liable_summaries"]) == len(MANY)


async def test_a_line_that_changed_since_it_was_listed_is_not_marked(tmp_path: Path) -> None:
    played = script(MANY[0])
    played.answers[MARKED] = [refusal(grpc.StatusCode.ABORTED, "ETAG_MISMATCH")]

    ended = await run(played, tmp_path, "acme", "--invoice", "INV-7")

    assert (ended.code, len(marks(played))) == (1, 1)
    assert "because ETAG_MISMATCH" in ended.err
    assert "Look at it as it is now" in ended.err


async def test_an_account_without_ready_lines_is_told_so(tmp_path: Path) -> None:
    played = script()

    ended = await run(played, tmp_path, "acme", "--invoice", "INV-7")

    assert (ended.code, marks(played)) == (1, [])
    assert "there are no lines of accounts/acme to invoice" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((MANY[0], "acme", "--invoice", "I"), "name lines, or one account"),
        (("acme", "other", "--invoice", "I"), "name lines, or one account"),
        ((MANY[0], "--invoice", "I", "--from", "2026-01-01"), "choose lines of an account"),
        (("acme", "--invoice", "I", "--from", "soon"), "is not a time"),
        ((MANY[0],), "--invoice"),
    ],
)
async def test_what_is_unclear_marks_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    where = ("--address", "127.0.0.1:1", "--key", "k")
    ended = await usage("invoice", "mark", *arguments, *where, home=tmp_path)

    assert ended.code == 2
    assert said in ended.err
