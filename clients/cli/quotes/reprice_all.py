"""`usage asset reprice-all`: the assets of many accounts move to the rates of another day."""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import reprice_service_pb2 as pb

from clients import UsageClient, UsageError
from clients.cli.names import account_name, day, named
from clients.cli.sale_screens import rate_text
from clients.cli.session import MISUSED, PARTLY, REFUSED, Session, as_dict, fail, session
from clients.pages import pages
from clients.screens import grouped, last, number, rows
from clients.values import decimal, enum_name

PAUSE_SECONDS = 0.2
QUIET_SECONDS = 2.0
"""The time after which the progress is shown."""


def reprice_all(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    start: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="the day of the catalog")
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option(help="only of this account; repeatable; all if not given")
    ] = None,
    product: Annotated[str | None, typer.Option(help="only of this product")] = None,
    price_book: Annotated[
        str | None, typer.Option(help="only what was sold by this price book")
    ] = None,
    new_price_book: Annotated[
        str | None, typer.Option(help="another price book than that of the order")
    ] = None,
    reason: Annotated[str, typer.Option(help="the reason; it is kept in the history")] = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="change nothing, and say what would change, also in amounts of money"
        ),
    ] = False,
    repeat: Annotated[
        str | None, typer.Option(metavar="RUN", help="the dry run to do for real: repriceRuns/…")
    ] = None,
) -> None:
    """Move the assets of many accounts to the rates of the catalog of a day, from that day on.

    An account that is refused keeps its rates and does not stop the others.
    """
    now = session(context)
    if bool(start) == bool(repeat):
        fail(MISUSED, "give --from for the day of the catalog, or --repeat for a dry run, not both")
    run = pb.RepriceRun(
        accounts=map(account_name, account or ()),
        product=named("products", product),
        price_book=named("priceBooks", price_book),
        new_price_book=named("priceBooks", new_price_book),
        start_date=day(start) if start else None,
        reason=reason,
        dry_run=dry_run,
        repeats=named("repriceRuns", repeat),
    )
    now.run(lambda client: _run(client, run, now))


async def _run(client: UsageClient, wanted: pb.RepriceRun, now: Session) -> int:
    run = await client.reprice.CreateRepriceRun(pb.CreateRepriceRunRequest(reprice_run=wanted))
    run = await _ended(client, run, now)
    if run.state != access.Run.DONE:
        fail(REFUSED, f"{run.name} stopped: {run.error.message}")
    request = pb.ListRepriceRunItemsRequest(parent=run.name)
    items = [one async for one in pages(client.reprice.ListRepriceRunItems, request)]
    if now.as_json:
        now.print_json({"reprice_run": as_dict(run), "items": [as_dict(one) for one in items]})
    else:
        now.show(run, "", *_screens(run, items))
        if run.dry_run and run.repriced_asset_count:
            now.hint(f"asset reprice-all --repeat {run.name}")
    return PARTLY if run.failed_account_count else 0


async def _ended(client: UsageClient, run: pb.RepriceRun, now: Session) -> pb.RepriceRun:
    """Return a run when it has ended; its progress is shown if that takes longer."""
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
    console = Console(stderr=True)
    is_off = now.as_json or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_off) as progress:
        task = progress.add_task("repricing", total=None, visible=False, count="")
        while run.state == access.Run.RUNNING:
            await asyncio.sleep(PAUSE_SECONDS)
            run = await client.reprice.GetRepriceRun(pb.GetRepriceRunRequest(name=run.name))
            progress.update(
                task,
                visible=time.monotonic() - began > QUIET_SECONDS,
                total=run.account_count or None,
                completed=run.done_account_count,
                count=f"{run.done_account_count:,} of {run.account_count:,} accounts",
            )
    return run


def _screens(run: pb.RepriceRun, items: Sequence[pb.RepriceRunItem]) -> list[Table | str]:
    """Return the rates and the money of each asset, what was refused, and the sums."""
    cells = [row for item in items for row in _rows(item, is_dry=run.dry_run)]
    columns = ["account", "asset", "resource", "outcome", "before", "after"]
    columns += ["change"] if run.dry_run else []
    shown: list[Table | str] = [rows(columns, cells, right="change")] if cells else []
    for item in items:
        for status in (item.refusal, item.no_money):
            if status.code:
                text = UsageError.of_status(status).message
                shown.append(f"  {last(item.account)}: {text}")
    for total in run.totals:
        which = "final periods" if total.was_final else "open periods, as an estimate"
        unit = total.currency_code or last(total.token_unit)
        shown.append(f"{number(total.amount_difference)} {unit} in {which}")
    done = "would be repriced; nothing was changed" if run.dry_run else "repriced"
    tried = run.done_account_count - run.failed_account_count
    refused = f"; {run.failed_account_count:,} refused" if run.failed_account_count else ""
    return [
        *shown,
        f"{run.name}: {run.repriced_asset_count:,} of {run.asset_count:,} assets of {tried:,}"
        f" accounts {done}{refused}",
    ]


def _rows(item: pb.RepriceRunItem, *, is_dry: bool) -> list[list[str]]:
    changes: dict[str, dict[str, Decimal]] = {}
    for amount in item.amounts:
        units = changes.setdefault(amount.usage_resource, {})
        unit = amount.currency_code or last(amount.token_unit)
        difference = decimal(amount.amount_after) - decimal(amount.amount_before)
        units[unit] = units.get(unit, Decimal(0)) + difference
    found = []
    resources = {one.usage_resource: one for one in item.resources}
    for name in dict.fromkeys((*resources, *changes)):
        one = resources.get(name)
        outcome = enum_name(one, "outcome").lower().replace("_", " ") if one else ""
        rates = [rate_text(one.before), rate_text(one.after)] if one else ["", ""]
        money = ", ".join(f"{grouped(v)} {unit}" for unit, v in changes.get(name, {}).items())
        row = [last(item.account), last(item.asset), last(name), outcome, *rates]
        found.append([*row, *([money] if is_dry else [])])
    return found
