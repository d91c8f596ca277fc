"""`usage corrections` and `usage correction`: what changed of final periods, and what waits."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import summary_service_pb2 as pb

from clients import UsageClient, screens
from clients.cli.names import ACCOUNT, account_name, check_times, named, stamp, zone_of
from clients.cli.session import MISUSED, Session, fail, session
from clients.pages import pages
from clients.screens import last, number, short, when
from clients.values import decimal, reason_of

WALLET = Annotated[str | None, typer.Option(help="only of this wallet: its id or its name")]
CAUSE = Annotated[
    str | None, typer.Option(help="only with this cause: late, void, amend, sale or rate")
]
NOTHING_WAITS = "nothing waits for a correction"
STUCK = (access.Job.FAILED, access.Job.QUARANTINED, access.Job.WAIVED)


def corrections(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: ACCOUNT,
    pending: Annotated[
        bool, typer.Option("--pending", help="what has changed and is not corrected yet")
    ] = False,
    wallet: WALLET = None,
    cause: CAUSE = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="only what was booked then or later"),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="only what was booked before")
    ] = None,
) -> None:
    """List the corrections of an account, or with --pending the wallets that wait for one."""
    now = session(context)
    check_times(since, until)
    if pending and (since or until):
        fail(MISUSED, "--from and --until choose what was booked; leave them out with --pending")
    parent = account_name(account)
    request = pb.ListCorrectionsRequest(
        parent=parent,
        page_size=1000,
        wallet=named(f"{parent}/wallets", wallet),
        cause=_cause(cause),
    )

    async def work(client: UsageClient) -> None:
        zone = await zone_of(client, parent)
        if pending:
            await _list_pending(client, now, request, zone)
            return
        if since:
            request.start_create_time.CopyFrom(stamp(since, zone))
        if until:
            request.end_create_time.CopyFrom(stamp(until, zone))
        found = [one async for one in pages(client.summaries.ListCorrections, request)]
        table = correction_table(found, f"Corrections of {parent} ({zone})", zone)
        now.show(found, "corrections", table if found else "nothing was corrected")
        now.hint(*(f"correction {one.name}" for one in found))

    now.run(work)


def correction(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORRECTION", help="accounts/ACME/corrections/…")],
) -> None:
    """Show a correction: its causes, the lines that it changed, and what it posted."""
    now = session(context)
    if "/corrections/" not in name:
        fail(MISUSED, f"{name!r} is not accounts/…/corrections/…; `usage corrections` lists them")

    async def work(client: UsageClient) -> None:
        found = await client.summaries.GetCorrection(pb.GetCorrectionRequest(name=name))
        if now.as_json:
            now.print_json(found)
            return
        zone = await zone_of(client, name)
        now.console.print(screens.correction_text(found, zone))
        if found.lines:
            now.console.print(line_table(found.lines, f"Lines that changed ({zone})", zone))
        for wallet in found.wallets:
            own = [one for one in found.wallet_entries if one.name.startswith(f"{wallet}/")]
            if own:
                title = f"Entries in {short(wallet)} ({zone})"
                now.console.print(screens.entry_table(own, title, zone))

    now.run(work)


async def _list_pending(
    client: UsageClient, now: Session, like: pb.ListCorrectionsRequest, zone: str
) -> None:
    request = pb.ListPendingCorrectionsRequest(
        parent=like.parent, page_size=like.page_size, wallet=like.wallet, cause=like.cause
    )
    found = [one async for one in pages(client.summaries.ListPendingCorrections, request)]
    title = f"What waits for a correction of {request.parent} ({zone})"
    table = pending_table(found, title, zone)
    told = [_failure(one) for one in found if one.HasField("error")]
    now.show(found, "pending_corrections", *([table, *told] if found else [NOTHING_WAITS]))


def correction_table(found: Sequence[pb.Correction], title: str, zone: str) -> Table:
    """Return a row for each correction."""
    cells = [
        (
            short(one.name),
            screens.causes(one.causes),
            when(one.start_time, zone),
            ", ".join(short(wallet) for wallet in one.wallets),
            when(one.create_time, zone),
        )
        for one in found
    ]
    return screens.rows(("correction", "because", "from", "wallets", "booked"), cells, title)


def pending_table(found: Sequence[pb.PendingCorrection], title: str, zone: str) -> Table:
    """Return a row for each wallet that waits, with what stopped its job."""
    cells = [
        (
            short(one.wallet),
            screens.causes(one.causes),
            when(one.start_time, zone),
            when(one.create_time, zone),
            access.Job.State.Name(one.job_state).lower() if one.job else "no job",
        )
        for one in found
    ]
    columns = ("wallet", "because", "from", "since", "job")
    return screens.rows(columns, cells, title)


def line_table(found: Sequence[pb.CorrectedLine], title: str, zone: str) -> Table:
    """Return a row for each line that changed, with its differences."""
    table = screens.figures(title, "resource", "used", "drawn", "beyond", "amount")
    for column in ("usage of", "billed from", "line"):
        table.add_column(column, no_wrap=column != "line")
    for one in found:
        line = one.after
        amount = f"{number(one.amount_difference)} {line.currency_code or last(line.token_unit)}"
        table.add_row(
            last(line.usage_resource),
            number(one.used_difference),
            number(one.drawn_difference),
            number(one.overage_difference),
            Text(amount, style="red" if decimal(one.amount_difference) < 0 else ""),
            when(line.origin_start_time, zone),
            when(line.start_time, zone),
            _kind(one),
        )
    return table


def _kind(line: pb.CorrectedLine) -> str:
    """Return what became of a line: how much it was, or what is corrected."""
    if line.HasField("before"):
        return f"replaced: {number(line.before.amount)} → {number(line.after.amount)}"
    return f"corrects {short(line.after.corrects)}" if line.after.corrects else "new"


def _failure(waiting: pb.PendingCorrection) -> str:
    """Return what the job says, and what to do if it stopped."""
    text = f"{waiting.job}: {reason_of(waiting.error)}: {waiting.error.message}"
    is_stuck = waiting.job_state in STUCK
    return f"{text}. Correct the cause and retry the job (RetryJob)." if is_stuck else text


def _cause(text: str | None) -> pb.Correction.Cause.ValueType:
    if not text:
        return pb.Correction.CAUSE_UNSPECIFIED
    if text.upper() not in pb.Correction.Cause.keys()[1:]:
        fail(MISUSED, f"{text!r} is not a cause: late, void, amend, sale or rate")
    return pb.Correction.Cause.Value(text.upper())
