"""`usage quote preview`: the cost of usage under a quote, before it is ordered."""

from decimal import Decimal
from typing import Annotated

import typer
from google.type import decimal_pb2
from rich.table import Table
from usage_management.v1 import preview_service_pb2 as pb

from clients import UsageClient
from clients.cli.names import pair, stamp, zone_of
from clients.cli.quotes.finding import QUOTE, one_quote
from clients.cli.sale_screens import spend_table
from clients.cli.session import PARTLY, session
from clients.screens import NOTHING, grouped, last, number, rows, when
from clients.values import decimal, reason_of


def preview(
    context: typer.Context,
    name: QUOTE,
    used: Annotated[
        list[str],
        typer.Argument(metavar="RESOURCE=QUANTITY...", help="what is used, in this order"),
    ],
    line: Annotated[int, typer.Option(min=1, help="the number of the line, from 1")] = 1,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="now, or the start of the line if that is later"),
    ] = None,
) -> None:
    """Say what usage would cost under a quote, before it is ordered; exit 4 if some is refused."""
    now = session(context)
    lines = [
        pb.PreviewQuoteLine(
            line=line - 1,
            usage_resource=f"usageResources/{last(resource)}",
            quantity=decimal_pb2.Decimal(value=quantity),
        )
        for resource, quantity in map(pair, used)
    ]

    async def work(client: UsageClient) -> int:
        found = await one_quote(client, name)
        zone = await zone_of(client, found.name.partition("/quotes/")[0])
        request = pb.PreviewQuoteRequest(quote=found.name, lines=lines)
        if at:
            request.as_of_time.CopyFrom(stamp(at, zone))
        answer = await client.previews.PreviewQuote(request)
        if now.as_json:
            now.print_json(answer)
        else:
            total = number(answer.amount) if answer.HasField("amount") else NOTHING
            as_of = when(answer.as_of_time, zone)
            now.console.print(f"as of {as_of}: {total} {answer.currency_code}")
            now.console.print(_table(answer))
            if answer.committed_spend:
                now.console.print(spend_table(answer.committed_spend, zone))
        return PARTLY if any(one.HasField("status") for one in answer.previews) else 0

    now.run(work)


def _table(answer: pb.PreviewQuoteResponse) -> Table:
    cells = []
    for one in answer.previews:
        if one.HasField("status"):
            cells.append((reason_of(one.status), "", "", "", one.status.message))
        for wallet in one.wallets:
            unit = wallet.currency_code or last(wallet.token_unit)
            included = sum((decimal(drawn.quantity) for drawn in wallet.drawn_from), Decimal())
            cells.append(
                (
                    last(wallet.usage_resource),
                    number(wallet.used_quantity),
                    grouped(included),
                    number(wallet.overage_quantity),
                    f"{number(wallet.amount)} {unit}",
                )
            )
    columns = ("resource", "used", "included", "beyond it", "costs")
    return rows(columns, cells, right="used included")
