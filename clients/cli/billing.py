"""`usage lines`, `usage trace` and `usage summary`: what is owed, why, and what is to come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from usage_management.v1 import summary_service_pb2 as pb
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageClient, screens
from clients.cli.names import (
    ACCOUNT,
    ASSET,
    PRODUCT_FILTER,
    RESOURCE,
    SINCE,
    UNTIL,
    account_name,
    asset_name,
    check_times,
    limit,
    named,
    only,
    zone_of,
)
from clients.cli.reading import moment, open_dict, period_text
from clients.cli.session import Session, as_dict, session
from clients.open_usage import OpenPeriod, open_periods
from clients.pages import pages
from clients.screens import last
from clients.values import enum_name, time_pb

summary = typer.Typer(help="Summaries of usage, and its cost.", no_args_is_help=True)


def lines(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: ACCOUNT,
    resource: RESOURCE = None,
    product: PRODUCT_FILTER = None,
    asset: ASSET = None,
    since: SINCE = None,
    until: UNTIL = None,
) -> None:
    """List an account's invoice-ready lines, and those to come with their times."""
    now = session(context)
    parent = account_name(account)
    check_times(since, until)
    request = _lines_request(parent, resource)
    request.product = named("products", product)
    request.asset = asset_name(parent, asset)

    async def work(client: UsageClient) -> None:
        await limit(client, request, since, until)
        await _list_lines(client, now, request)

    now.run(work)


def trace(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="LINE|ACCOUNT", help="accounts/ACME/liableSummaries/… or ACME")
    ],
    resource: Annotated[
        str | None,
        typer.Option(help="the only line of ACCOUNT for this usage resource: its id or its name"),
    ] = None,
    since: SINCE = None,
    until: UNTIL = None,
) -> None:
    """Explain an invoice-ready line down to its days; given an account, list its lines.

    With --resource, --from or --until, the line of the account that fits is explained.
    """
    now = session(context)
    is_line = "/liableSummaries/" in name
    is_choice = bool(resource or since or until)
    check_times(since, until)
    request = _lines_request(account_name(name), resource)

    async def work(client: UsageClient) -> None:
        if not is_line and not is_choice:
            await _list_lines(client, now, request)
            return
        if not is_line:
            await limit(client, request, since, until)
        line = name if is_line else await _only_line(client, request)
        answer = await client.summaries.TraceLiableSummary(pb.TraceLiableSummaryRequest(name=line))
        if now.as_json:
            now.print_json(answer)
        else:
            now.console.print(screens.trace_tree(answer, await zone_of(client, line)))

    now.run(work)


@summary.command("list")
def list_usage(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: ACCOUNT,
    resource: RESOURCE = None,
    product: PRODUCT_FILTER = None,
    asset: ASSET = None,
    since: SINCE = None,
    until: UNTIL = None,
) -> None:
    """List the usage of an account by day: what is recorded, and whether it is final."""
    now = session(context)
    check_times(since, until)
    parent = account_name(account)
    request = pb.ListUsageSummariesRequest(
        parent=parent,
        page_size=1000,
        usage_resource=named("usageResources", resource),
        product=named("products", product),
        asset=asset_name(parent, asset),
    )

    async def work(client: UsageClient) -> None:
        await limit(client, request, since, until)
        found = [one async for one in pages(client.summaries.ListUsageSummaries, request)]
        zone = await zone_of(client, parent)
        now.show(found, "usage_summaries", _usage_table(found, f"Usage of {parent}", zone))

    now.run(work)


@summary.command("rated")
def list_rated(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: ACCOUNT,
    resource: RESOURCE = None,
    product: PRODUCT_FILTER = None,
    asset: ASSET = None,
    since: SINCE = None,
    until: UNTIL = None,
) -> None:
    """List what usage beyond the grants costs, by rating period, with its rates."""
    now = session(context)
    check_times(since, until)
    parent = account_name(account)
    request = pb.ListRatableSummariesRequest(
        parent=parent,
        page_size=1000,
        usage_resource=named("usageResources", resource),
        product=named("products", product),
        asset=asset_name(parent, asset),
    )

    async def work(client: UsageClient) -> None:
        await limit(client, request, since, until)
        found = [one async for one in pages(client.summaries.ListRatableSummaries, request)]
        zone = await zone_of(client, parent)
        table = screens.rating_table(found, f"Rated usage of {parent}", zone)
        now.show(found, "ratable_summaries", table if found else "nothing is rated yet")

    now.run(work)


def _lines_request(parent: str, resource: str | None) -> pb.ListLiableSummariesRequest:
    return pb.ListLiableSummariesRequest(
        parent=parent,
        page_size=1000,
        usage_resource=named("usageResources", resource),
    )


async def _only_line(client: UsageClient, request: pb.ListLiableSummariesRequest) -> str:
    """Return the only line that fits. Raises UsageError, which says when lines come."""
    zone = await zone_of(client, request.parent)

    def shown(line: pb.LiableSummary) -> str:
        return f"{line.name}  {last(line.usage_resource)}, {screens.billed_span(line, zone)}"

    found = await only(
        pages(client.summaries.ListLiableSummaries, request),
        f"invoice-ready lines of {request.parent}",
        several="name one, or narrow it with --resource, --from and --until",
        none=await _when(client, request.parent, request.usage_resource, zone),
        shown=shown,
    )
    return str(found.name)


async def _when(client: UsageClient, account: str, resource: str, zone: str) -> str:
    """Return a sentence about the next line."""
    waiting = [
        one
        for one in await open_periods(client, account, with_rated=True)
        if one.line_time and resource in ("", one.key.resource)
    ]
    if not waiting:
        return f"no usage waits for one; `usage lines {last(account)}` lists all"
    first = min(waiting, key=_line_time)
    at = _line_time(first)
    return (
        f"the first comes at {moment(at, zone)} ({zone}). The clock of a sandbox is moved by"
        f" `usage clock advance {_instant(at)}`"
    )


async def _list_lines(
    client: UsageClient, now: Session, request: pb.ListLiableSummariesRequest
) -> None:
    account = request.parent
    zone = await zone_of(client, account)
    found = [line async for line in pages(client.summaries.ListLiableSummaries, request)]
    coming = [
        one
        for one in await open_periods(client, account, with_rated=True)
        if request.usage_resource in ("", one.key.resource) and request.asset in ("", one.key.asset)
    ]
    if now.as_json:
        told = {"liable_summaries": [as_dict(line) for line in found]}
        now.print_json({**told, "to_come": [open_dict(one) for one in coming]})
        return
    if found:
        now.console.print(screens.liable_table(found, f"Invoice-ready lines of {account}", zone))
        now.hint(*_trace_hints(found, request))
    if coming:
        now.console.print(_coming_table(coming, f"Lines to come of {account} ({zone})", zone))
        at = max(map(_line_time, (one for one in coming if one.line_time)), default=None)
        if at:
            now.console.print("The clock of a sandbox is moved there by:", style="dim")
            now.hint(f"clock advance {_instant(at)}")
    if not found and not coming:
        await _say_why_none(client, now, account)


def _trace_hints(
    found: Sequence[pb.LiableSummary], request: pb.ListLiableSummariesRequest
) -> list[str]:
    """Return the commands that explain the lines, by resource where that is enough."""
    has_times = request.HasField("start_time") or request.HasField("end_time")
    is_all = not (request.asset or request.product or has_times)
    resources = [line.usage_resource for line in found]
    return [
        f"trace {last(request.parent)} --resource {last(line.usage_resource)}"
        if is_all and resources.count(line.usage_resource) == 1
        else f"trace {line.name}"
        for line in found
    ]


async def _say_why_none(client: UsageClient, now: Session, account: str) -> None:
    # Assets are not asked for: who may read wallets need not be allowed to read sales.
    request = wallets.ListWalletsRequest(parent=account, page_size=1)
    if (await client.wallets.ListWallets(request)).wallets:
        now.console.print("There are no lines, and no usage that waits for one.")
        now.hint(f"record FILE --account {last(account)} --time COLUMN --measure COLUMN=RESOURCE")
    else:
        now.console.print(f"There are no lines: nothing is sold to {account} yet.")
        now.hint(f"sell {last(account)} --product PRODUCT")


def _coming_table(found: Sequence[OpenPeriod], title: str, zone: str) -> Table:
    """Return a row for each rating period whose usage is in no line yet."""
    cells = []
    for one in found:
        rated = [f"{screens.grouped(value)} {code}" for code, value in sorted(one.rated.items())]
        cells.append(
            (
                last(one.key.resource),
                period_text(one, zone),
                screens.grouped(one.quantity) if one.records else "",
                ", ".join(rated) if one.is_final else "",
                "final" if one.is_final else moment(one.final_time, zone),
                moment(one.line_time, zone),
            )
        )
    columns = ("resource", "period", "recorded", "rated", "final at", "line at")
    return screens.rows(columns, cells, title, right="recorded rated")


def _usage_table(found: Sequence[pb.UsageSummary], title: str, zone: str) -> Table:
    cells = [
        (
            screens.when(one.start_time, zone),
            last(one.usage_resource),
            ", ".join(f"{key}={value}" for key, value in sorted(one.dimensions.items())),
            f"{one.record_count:,}",
            screens.number(one.sum_quantity),
            screens.number(one.quantity),
            screens.number(one.overage_quantity),
            _state(one),
        )
        for one in found
    ]
    columns = ("day", "resource", "of", "records", "sum", "counts", "beyond", "state")
    return screens.rows(columns, cells, title, right="records sum counts beyond")


def _state(day: pb.UsageSummary) -> str:
    waiting = ", correction pending" if day.correction_pending else ""
    return f"{enum_name(day, 'state').lower()}{waiting}"


def _line_time(period: OpenPeriod) -> datetime:
    assert period.line_time is not None, "callers choose those that have it"
    return period.line_time


def _instant(at: datetime) -> str:
    stamped: Any = time_pb(at)
    return str(stamped.ToJsonString())
