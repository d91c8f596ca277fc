"""`usage void`: records that are to count no longer, by name, or all that match a filter."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient, UsageError
from clients.cli import names
from clients.cli.corrections import runs
from clients.cli.session import MISUSED, PARTLY, Session, as_dict, fail, session
from clients.values import enum_name

MOST_RECORDS = 1_000

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
    label: runs.LABEL = None,
    reason: Annotated[str, typer.Option(help="why, for people; kept with each record")] = "",
    dry_run: runs.DRY_RUN = False,
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
        filter=runs.filter_of(parent, asset, resource, label),
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
    zone = await runs.set_window(client, parent, run.filter, window)
    request = consumption.CreateVoidRunRequest(parent=parent, void_run=run)
    return await runs.follow(
        now,
        zone,
        client.consumption.CreateVoidRun(request),
        lambda name: client.consumption.GetVoidRun(consumption.GetVoidRunRequest(name=name)),
    )
