"""`usage void`: records that are to count no longer, by name, or all that match a filter."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient, UsageError
from clients.cli import names
from clients.cli.session import MISUSED, PARTLY, REFUSED, Session, as_dict, fail, session
from clients.screens import last, number, when
from clients.tables import FittingTable
from clients.values import enum_name

MOST_RECORDS = 1_000
PAUSE_SECONDS = 0.2

Outcome = consumption.VoidOutcome


def void(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    records: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECORD]...", help="accounts/ACME/usageRecords/ID, or ID with --account"
        ),
    ] = None,
    account: Annotated[str | None, typer.Option(help="the account: ACME or accounts/ACME")] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="void all usage of then or later, to --until"),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="void all usage before, from --from"),
    ] = None,
    asset: names.ASSET = None,
    resource: names.RESOURCE = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="only with this label; repeatable")
    ] = None,
    reason: Annotated[str, typer.Option(help="why, for people; kept with each record")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="change nothing, and say what would change")
    ] = False,
) -> None:
    """Void usage: it counts no longer, and stays readable. Voiding again changes nothing.

    By the names of records; or, with --from and --until, all of an account that matches.
    """
    now = session(context)
    has_filter = bool(since or until or asset or resource or label or dry_run)
    if bool(records) == has_filter:
        fail(MISUSED, "name records, or give --account, --from and --until, not both")
    if records:
        found = [names.record_name(one, account) for one in records]
        now.run(lambda client: _void(client, found, reason, now))
        return
    if not (account and since and until):
        fail(MISUSED, "whose usage, and of when? Give --account, --from and --until")
    names.check_times(since, until)
    parent = names.account_name(account)
    run = consumption.VoidRun(
        asset=names.asset_name(parent, asset),
        usage_resource=names.named("usageResources", resource),
        labels=dict(map(names.pair, label or ())),
        reason=reason,
        dry_run=dry_run,
    )
    now.run(lambda client: _run(client, parent, run, (since, until), now))


async def _void(client: UsageClient, records: Sequence[str], reason: str, now: Session) -> int:
    outcomes: list[Outcome] = []
    for start in range(0, len(records), MOST_RECORDS):
        part = records[start : start + MOST_RECORDS]
        request = consumption.VoidUsageRequest(usage_records=part, reason=reason)
        outcomes += (await client.consumption.VoidUsage(request)).outcomes
    bad = [one for one in outcomes if one.HasField("status")]
    if now.as_json:
        now.print_json({"outcomes": [as_dict(one) for one in outcomes]})
    else:
        counts = Counter(enum_name(one, "code").lower().replace("_", " ") for one in outcomes)
        now.console.print(", ".join(f"{n:,} {name}" for name, n in counts.items()))
        for one in bad:
            now.console.print(f"  {UsageError.of_status(one.status).message}", soft_wrap=True)
    return PARTLY if bad else 0


async def _run(
    client: UsageClient,
    parent: str,
    run: consumption.VoidRun,
    window: tuple[str, str],
    now: Session,
) -> int:
    zone = await names.zone_of(client, parent)
    run.start_time.CopyFrom(names.stamp(window[0], zone))
    run.end_time.CopyFrom(names.stamp(window[1], zone))
    request = consumption.CreateVoidRunRequest(parent=parent, void_run=run)
    run = await client.consumption.CreateVoidRun(request)
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(PAUSE_SECONDS)
        run = await client.consumption.GetVoidRun(consumption.GetVoidRunRequest(name=run.name))
    if run.state != access.Run.DONE:
        fail(REFUSED, f"{run.name} stopped: {run.error.message}")
    now.show(run, "", *_screens(run, zone))
    return 0


def _screens(run: consumption.VoidRun, zone: str) -> list[Table | str]:
    """Return a table of the usage, one of the periods, and the sum."""
    usage = FittingTable(box=SIMPLE_HEAD)
    for column in ("asset", "resource", "records", "quantity"):
        usage.add_column(column, justify="right" if column in {"records", "quantity"} else "left")
    for one in run.usage:
        cells = last(one.asset), last(one.usage_resource), f"{one.record_count:,}"
        usage.add_row(*cells, number(one.quantity))
    periods = FittingTable(box=SIMPLE_HEAD)
    for column in ("wallet", "period from", "to", "records", ""):
        periods.add_column(column, justify="right" if column == "records" else "left")
    for period in run.periods:
        start, end = (when(one, zone) for one in (period.period.start_time, period.period.end_time))
        note = "final: what was billed is corrected" if period.was_final else "open"
        periods.add_row(last(period.wallet), start, end, f"{period.record_count:,}", note)
    done = "would be voided; nothing was changed" if run.dry_run else "voided"
    total = f"{run.record_count:,} {'record' if run.record_count == 1 else 'records'} {done}"
    return [usage, periods, total] if run.record_count else [total]
