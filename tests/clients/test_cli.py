"""The command line as a program: its help, its exit codes, what it prints for programs."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import preview_service_pb2 as previews
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.cli.arguments import hoisted
from tests.clients.command_line import usage
from tests.clients.small_server import Script, answering, refusal

RECORD = ("--account", "acme", "--asset", "x", "--time", "at", "--measure", "n=calls")


@pytest.mark.parametrize(
    ("arguments", "options", "rest"),
    [
        (["status", "--json"], ["--json"], ["status"]),
        (["--key", "k", "trace", "x"], ["--key", "k"], ["trace", "x"]),
        (["trace", "x", "--address=a:1"], ["--address=a:1"], ["trace", "x"]),
        (["trace", "--", "--json"], [], ["trace", "--", "--json"]),
        (["trace", "--key"], ["--key"], ["trace"]),
    ],
)
def test_global_options_stand_anywhere(
    arguments: Sequence[str], options: list[str], rest: list[str]
) -> None:
    assert hoisted(arguments) == (options, rest)


async def test_help_lists_everything_without_loading_grpc(tmp_path: Path) -> None:
    ended = await usage("--help", home=tmp_path)
    commands = ["up", "serve", "work", "migrate", "demo", "verify", "bench", "status", "reset"]

    assert ended.code == 0
    assert [
        name for name in [*commands, "trace", "wallet", "record"] if name not in ended.out
    ] == []
    probe = "import sys, clients.cli.app as app; app.build(None); print('grpc' in sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", probe, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "False"


async def test_what_is_not_understood_is_2(tmp_path: Path) -> None:
    assert (await usage("fly", home=tmp_path)).code == 2
    no_key = await usage("wallet", "show", "acme", home=tmp_path)
    assert (no_key.code, "usage up" in no_key.err) == (2, True)


async def test_nobody_there_is_3(tmp_path: Path) -> None:
    ended = await usage(
        "wallet", "show", "acme", "--key", "k", "--address", "127.0.0.1:1", home=tmp_path
    )

    assert ended.code == 3
    assert "does not answer" in ended.err


async def test_the_kept_key_is_sent_nowhere_else(tmp_path: Path) -> None:
    kept = {"address": "127.0.0.1:1", "demo_key": "k"}
    (tmp_path / "credentials").write_text(json.dumps(kept))

    assert (await usage("wallet", "show", "a", home=tmp_path)).code == 3
    ended = await usage("wallet", "show", "a", "--address", "127.0.0.1:2", home=tmp_path)
    assert (ended.code, "no key for 127.0.0.1:2" in ended.err) == (2, True)


async def test_a_refusal_is_1_with_its_reason_and_what_to_do(tmp_path: Path) -> None:
    script = Script({"ListWallets": [refusal(grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        told = await usage("wallet", "show", "acme", *where, home=tmp_path)
        plain = await usage("wallet", "show", "acme", *where, "--json", home=tmp_path)

    assert (told.code, plain.code) == (1, 1)
    assert "ACCOUNT_NOT_FOUND" in told.err
    assert "Check the name" in told.err
    assert json.loads(plain.err)["error"]["reason"] == "ACCOUNT_NOT_FOUND"
    assert script.asked[0] == wallets.ListWalletsRequest(parent="accounts/acme")


async def test_json_has_the_names_of_the_protos(tmp_path: Path) -> None:
    wallet = wallets.Wallet(name="accounts/acme/wallets/w", usage_resource="usageResources/calls")
    script = Script(
        {
            "ListWallets": [wallets.ListWalletsResponse(wallets=[wallet])],
            "ListUsageSummaries": [summaries.ListUsageSummariesResponse()],
            "GetAccount": [accounts.Account(time_zone="Europe/Berlin")],
        }
    )
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        plain = await usage("--json", "wallet", "show", "acme", *where, home=tmp_path)
        told = await usage("wallet", "show", "acme", *where, home=tmp_path)

    assert json.loads(plain.out)["wallets"][0]["usage_resource"] == "usageResources/calls"
    assert told.code == 0
    assert "calls" in told.out


async def test_the_window_is_that_of_the_key_or_of_a_named_tenant(tmp_path: Path) -> None:
    made = access.Tenant(name="tenants/trial", usage_window_days=30)
    script = Script({"UpdateTenant": [made, made]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        own = await usage("tenant", "window", "30", *where, home=tmp_path)
        named = await usage("tenant", "window", "9", "--tenant", "trial", *where, home=tmp_path)
        wrong = await usage("tenant", "window", "3651", *where, home=tmp_path)

    assert (own.code, named.code, wrong.code) == (0, 0, 2)
    assert "tenants/trial: usage of the last 30 days" in own.out
    asked = [(one.tenant.name, one.tenant.usage_window_days) for one in script.asked]
    assert asked == [("tenants/-", 30), ("tenants/trial", 9)]
    assert {tuple(one.update_mask.paths) for one in script.asked} == {("usage_window_days",)}


async def test_records_that_are_not_kept_are_4(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    file.write_text("at,n\n2026-01-31T12:00:00Z,5\n2026-01-31T12:01:00Z,6\n")
    rejected = consumption.RecordOutcome(
        code="REJECTED", status=refusal(grpc.StatusCode.NOT_FOUND, "ASSET_NOT_FOUND")
    )
    outcomes = [consumption.RecordOutcome(code="ACCEPTED"), rejected]
    script = Script({"RecordUsage": [consumption.RecordUsageResponse(outcomes=outcomes)]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        told = await usage("record", str(file), *RECORD, *where, home=tmp_path)
        plain = await usage("record", str(file), *RECORD, *where, "--json", home=tmp_path)

    assert (told.code, plain.code) == (4, 4)
    assert "-<line>-<resource>" in told.out
    assert "line 3" in told.err
    assert "u.left.csv" in told.err
    found = json.loads(plain.out)
    assert (found["accepted"], found["rejected"], found["refused"][0]["line"]) == (1, 1, 3)
    assert script.asked[0].records[0].asset == "accounts/acme/assets/external:x"


async def test_a_mangled_line_stops_everything_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    file.write_text("at,n\n2026-01-31T12:00:00Z,5\nmangled\n")

    where = ("--address", "127.0.0.1:1", "--key", "k")
    ended = await usage("record", str(file), *RECORD, *where, home=tmp_path)

    assert ended.code == 4
    assert "line 3: has 1 field, the header has 2" in ended.err
    assert "nothing was sent" in ended.err


async def test_a_time_without_a_zone_is_2(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    file.write_text("at,n\n2026-01-31 12:00:00.1234567,5")

    for behavior in ("stop", "skip"):
        where = ("--address", "127.0.0.1:1", "--key", "k", "--on-error", behavior)
        ended = await usage("record", str(file), *RECORD, *where, home=tmp_path)
        assert ended.code == 2
        assert "--time-zone" in ended.err


def refusing(request: Message) -> Message:
    """Refuse every record: those of even minutes for one reason, the others for one each."""
    assert isinstance(request, consumption.RecordUsageRequest)
    reasons = [f"RARE_{n}" if n % 2 else "ASSET_NOT_FOUND" for n in range(len(request.records))]
    return consumption.RecordUsageResponse(
        outcomes=[
            consumption.RecordOutcome(
                code="REJECTED", status=refusal(grpc.StatusCode.NOT_FOUND, reason)
            )
            for reason in reasons
        ]
    )


async def test_the_main_reason_of_refusals_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    rows = [f"2026-01-31T12:{minute:02}:00Z,{minute + 1}\n" for minute in range(40)]
    file.write_text("".join(["at,n\n", "mangled\n", *rows]))
    script = Script({"RecordUsage": [refusing]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k", "--on-error", "skip")
        told = await usage("record", str(file), *RECORD, *where, home=tmp_path)
        plain = await usage("record", str(file), *RECORD, *where, "--json", home=tmp_path)

    said = [line for line in told.err.splitlines() if "line " in line]
    assert said[0] == "20 refused, first line 3: because ASSET_NOT_FOUND (ASSET_NOT_FOUND)"
    assert said[1].startswith("line 2: has 1 field, the header has 2")
    assert "… and 12 of 12 more reasons; --json lists all" in told.err
    by_reason = json.loads(plain.out)["refused_by_reason"]
    assert [group["count"] for group in by_reason] == [20, *[1] * 21]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "whose usage is it? Add --account ACME, or --account-column COLUMN"),
        (("--account", "a", "--account-column", "n"), "give --account or --account-column"),
        (("--account", "a", "--asset", "b", "--asset-column", "n"), "give --asset or"),
        (("--account", "a", "--unit", "b", "--unit-column", "n"), "give --unit or"),
        (("--account", "a b"), "--account a b: that is not an id"),
        (("--account", "a", "--asset", "accounts/b/assets/c"), "is not of --account a"),
        (("--account", "a", "--label", "x=k", "--label", "y=k"), "two labels have one key"),
        (("--account", "a", "--delimiter", ";;"), "expected one character, or comma, semicolon"),
        (("--account", "a", "--time-zone", "Mars/Base"), "no such zone"),
    ],
)
async def test_options_that_do_not_go_together_are_2(
    tmp_path: Path, options: Sequence[str], said: str
) -> None:
    file = tmp_path / "u.csv"
    file.write_text("at,n\n2026-01-31T12:00:00Z,5\n")

    ended = await usage(
        "record", str(file), *options, "--time", "at", "--measure", "n=calls", home=tmp_path
    )

    assert ended.code == 2
    assert said in ended.err


PARIS = accounts.Account(time_zone="Europe/Paris")


def preview_answer() -> previews.PreviewUsageResponse:
    refused = refusal(grpc.StatusCode.FAILED_PRECONDITION, "CAP_REACHED")
    wallet = previews.WalletPreview(
        usage_resource="usageResources/calls",
        used_quantity={"value": "7"},
        overage_quantity={"value": "5"},
        amount={"value": "2.5"},
        currency_code="USD",
        terms={"base_entry": "rateCards/base/entries/plan-calls"},
        drawn_from=[{"grant": "g", "quantity": {"value": "2"}}],
    )
    return previews.PreviewUsageResponse(previews=[{"wallets": [wallet]}, {"status": refused}])


async def test_a_preview_asks_and_shows_each_line(tmp_path: Path) -> None:
    script = Script({"PreviewUsage": [preview_answer()], "GetAccount": [PARIS]})
    line = (
        "preview",
        "acme",
        "calls=7",
        "sms=many",
        "--asset",
        "x",
        "--at",
        "2026-01-31T12:00:00Z",
    )
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        told = await usage(*line, *where, home=tmp_path)
        plain = await usage(*line, *where, "--json", home=tmp_path)
        bad = await usage("preview", "acme", "calls", "--asset", "x", *where, home=tmp_path)

    assert (told.code, plain.code, bad.code) == (4, 4, 2)
    assert "2.5 USD" in told.out
    assert "because CAP_REACHED" in " ".join(told.out.split())
    assert "line 2, sms=many: because" in told.out
    assert json.loads(plain.out)["previews"][0]["wallets"][0]["amount"] == {"value": "2.5"}
    [request, *_] = [one for one in script.asked if isinstance(one, previews.PreviewUsageRequest)]
    assert [one.usage_resource for one in request.lines] == [
        "usageResources/calls",
        "usageResources/sms",
    ]
    assert request.lines[0].asset == "accounts/acme/assets/external:x"
    assert request.lines[0].usage_time.seconds == 1769860800


async def test_a_replay_shows_totals_and_what_is_left_out(tmp_path: Path) -> None:
    lost = refusal(grpc.StatusCode.FAILED_PRECONDITION, "RATE_NOT_FOUND")
    answer = previews.ReplayRatesResponse(
        summaries=[
            {"usage_resource": "usageResources/calls", "rated_amount": {"value": "80"}},
            {"usage_resource": "usageResources/sms", "status": lost},
        ],
        totals=[{"currency_code": "USD", "difference": {"value": "40"}}],
        left_out_count=1,
    )
    script = Script({"ReplayRates": [answer], "GetAccount": [PARIS]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        line = ("replay", "acme", "--price-book", "next", "--from", "2026-01-01")
        told = await usage(*line, "--date", "2026-02-01", "--drafts", *where, home=tmp_path)
        bad = await usage(*line, "--date", "soon", *where, home=tmp_path)

    assert (told.code, bad.code) == (4, 2)
    assert "1 left out" in told.out
    assert "because RATE_NOT_FOUND" in " ".join(told.out.split())
    [request] = [one for one in script.asked if isinstance(one, previews.ReplayRatesRequest)]
    assert (request.price_book, request.rate_date.month) == ("priceBooks/next", 2)
    # 1 January begins in Paris, as the periods of the account do.
    assert request.start_time.seconds == 1767222000
    assert request.include_drafts
