"""`usage preview` and `usage replay`: what usage would cost, and what it would have cost."""

from typing import Annotated

import typer
from google.rpc import status_pb2
from google.type import decimal_pb2
from rich.table import Table
from rich.text import Text
from usage_management.v1 import preview_service_pb2 as pb

from clients import UsageClient
from clients.cli.names import (
    account_name,
    asset_name,
    check_times,
    clock_time,
    limit,
    metering_asset,
    pair,
    stamp,
    zone_of,
)
from clients.cli.names import day as day_of
from clients.cli.session import PARTLY, Session, session
from clients.screens import figures, last, number, when
from clients.values import reason_of, time, time_pb


def preview(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="ACME or accounts/ACME")],
    used: Annotated[
        list[str],
        typer.Argument(metavar="RESOURCE=QUANTITY...", help="what is used, in this order"),
    ],
    asset: Annotated[
        str | None,
        typer.Option(
            help="the asset that is used: its id, `external:` and its external id, or its name;"
            " without it, the only one of the account that meters the resource"
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="2026-01-31T12:00:00Z; now if not given")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="a label of all; repeatable")
    ] = None,
) -> None:
    """Say what usage would draw and cost, without recording it; exit 4 if some is refused."""
    now = session(context)
    check_times(at)
    parent = account_name(account)
    labels = dict(pair(one) for one in label or ())
    lines = [
        pb.PreviewLine(
            asset=asset_name(parent, asset),
            usage_resource=f"usageResources/{last(resource)}",
            quantity=decimal_pb2.Decimal(value=quantity),
            labels=labels,
        )
        for resource, quantity in map(pair, used)
    ]

    async def work(client: UsageClient) -> int:
        zone = await zone_of(client, parent)
        moment = time(stamp(at, zone)) if at else None
        for line in lines:
            if moment:
                line.usage_time.CopyFrom(time_pb(moment))
            if not line.asset:
                moment = moment or await clock_time(client)
                line.asset = await metering_asset(client, parent, line.usage_resource, moment)
        answer = await client.previews.PreviewUsage(
            pb.PreviewUsageRequest(parent=parent, lines=lines)
        )
        if now.as_json:
            now.print_json(answer)
        else:
            table = _preview_table(answer, zone)
            now.console.print(table if table.row_count else "nothing of it would be taken in")
            for place, (line, one) in enumerate(zip(lines, answer.previews, strict=True), 1):
                if one.HasField("status"):
                    what = f"line {place}, {last(line.usage_resource)}={line.quantity.value}"
                    _tell(now, what, one.status)
        return PARTLY if any(one.HasField("status") for one in answer.previews) else 0

    now.run(work)


def replay(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="ACME or accounts/ACME")],
    price_book: Annotated[str, typer.Option(help="the price book: its id or its name")],
    asset: Annotated[str | None, typer.Option(help="only this asset: its id or its name")] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="only periods that start then or later"),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="only periods that start before")
    ] = None,
    day: Annotated[
        str | None,
        typer.Option(
            "--date", metavar="DAY", help="price all by the entries of a day, not as it was sold"
        ),
    ] = None,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="try the drafts of the book as if they were active")
    ] = False,
) -> None:
    """Price final usage by another price book, beside what it came to; exit 4 if some is not."""
    now = session(context)
    check_times(since, until)
    parent = account_name(account)
    request = pb.ReplayRatesRequest(
        parent=parent,
        price_book=f"priceBooks/{last(price_book)}",
        rate_date=day_of(day) if day else None,
        include_drafts=drafts,
    )
    if asset:
        request.asset = asset_name(parent, asset)

    async def work(client: UsageClient) -> int:
        await limit(client, request, since, until)
        answer = await client.previews.ReplayRates(request)
        if now.as_json:
            now.print_json(answer)
            return PARTLY if answer.left_out_count else 0
        zone = await zone_of(client, parent)
        title = f"{parent} at the rates of {request.price_book}"
        table = _replay_table(answer, title, zone)
        now.console.print(table if table.row_count else "nothing is final in that time")
        for one in answer.summaries:
            if one.HasField("status"):
                about = f"{when(one.start_time, zone)}, {last(one.usage_resource)}"
                _tell(now, about, one.status)
        if answer.left_out_count:
            text = f"{answer.left_out_count} left out of the totals; the reasons are above"
            now.console.print(text, style="yellow")
        return PARTLY if answer.left_out_count else 0

    now.run(work)


def _preview_table(answer: pb.PreviewUsageResponse, zone: str) -> Table:
    """A row for each wallet that a line would change."""
    title = f"If it were recorded at {when(answer.as_of_time, zone)} ({zone})"
    table = figures(title, "line", "wallet of", "used", "drawn", "beyond", "amount", "rate from")
    for count, one in enumerate(answer.previews, 1):
        for place, wallet in enumerate(one.wallets):
            table.add_row(
                "" if place else str(count),
                last(wallet.usage_resource),
                number(wallet.used_quantity),
                " + ".join(number(drawn.quantity) for drawn in wallet.drawn_from),
                number(wallet.overage_quantity),
                _amount(wallet),
                last(wallet.terms.base_entry or wallet.terms.tier_entry),
            )
    return table


def _replay_table(answer: pb.ReplayRatesResponse, title: str, zone: str) -> Table:
    """A row for each summary, and one for each total."""
    table = figures(title, "period from", "resource", "beyond", "was", "would be", "more")
    for one in answer.summaries:
        table.add_row(
            when(one.start_time, zone),
            last(one.usage_resource),
            number(one.overage_quantity),
            number(one.rated_amount),
            number(one.replayed_amount),
            number(one.difference),
        )
    for total in answer.totals:
        sums = (total.rated_amount, total.replayed_amount, total.difference)
        unit = total.currency_code or last(total.token_unit)
        table.add_row("total", unit, "", *map(number, sums), style="bold")
    return table


def _amount(wallet: pb.WalletPreview) -> Text:
    if wallet.HasField("error"):
        return Text(reason_of(wallet.error), style="red")
    return Text(f"{number(wallet.amount)} {wallet.currency_code or last(wallet.token_unit)}")


def _tell(now: Session, about: str, status: status_pb2.Status) -> None:
    """Why something has no figures."""
    now.console.print(Text(f"  {about}: {status.message}", style="red"), soft_wrap=True)
