"""Runs that void or amend all usage that matches: wait for one, and show what it did."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient, UsageError
from clients.cli import names
from clients.cli.session import REFUSED, Session, fail
from clients.screens import grouped, last, number, rows, span
from clients.values import decimal

PAUSE_SECONDS = 0.2

Run = consumption.VoidRun | consumption.AmendRun
R = TypeVar("R", consumption.VoidRun, consumption.AmendRun)

LABEL = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="only with this label; repeatable")
]
DRY_RUN = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="change nothing, and say what would change, also in amounts of money"
    ),
]


def filter_of(
    parent: str, asset: str | None, resource: str | None, labels: Sequence[str] | None
) -> consumption.UsageRecordFilter:
    """Return the filter of a run, without its times."""
    return consumption.UsageRecordFilter(
        asset=names.asset_name(parent, asset),
        usage_resource=names.named("usageResources", resource),
        labels=dict(map(names.pair, labels or ())),
    )


async def follow(
    now: Session,
    zone: str,
    made: Awaitable[R],
    again: Callable[[str], Awaitable[R]],
) -> int:
    """Wait until a run that was made has ended, and show it; the answer is the exit code."""
    run = await made
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(PAUSE_SECONDS)
        run = await again(run.name)
    if run.state != access.Run.DONE:
        fail(REFUSED, f"{run.name} stopped: {run.error.message}")
    now.show(run, "", *screens_of(run, zone))
    return 0


async def set_window(
    client: UsageClient, parent: str, only: consumption.UsageRecordFilter, window: tuple[str, str]
) -> str:
    """Set the times of a filter, whose days begin in the account's time zone; return the zone."""
    zone = await names.zone_of(client, parent)
    only.start_time.CopyFrom(names.stamp(window[0], zone))
    only.end_time.CopyFrom(names.stamp(window[1], zone))
    return zone


def screens_of(run: Run, zone: str) -> list[Table | str]:
    """Return the usage, the periods, the money of a dry run, what was refused, and the sum."""
    found: list[Table | str] = []
    if run.record_count:
        found += [_usage_table(run), _period_table(run, zone)]
    if run.HasField("money"):
        found += _money_screens(run.money, zone)
    if run.HasField("no_money"):
        found.append(f"what it would change in money is not known: {run.no_money.message}")
    if isinstance(run, consumption.AmendRun):
        found += _others(run)
    verb = "amended" if isinstance(run, consumption.AmendRun) else "voided"
    done = f"would be {verb}; nothing was changed" if run.dry_run else verb
    return [*found, f"{_counted(run.record_count, 'record')} {done}"]


def _usage_table(run: Run) -> Table:
    is_void = isinstance(run, consumption.VoidRun)
    columns = ["asset", "resource", "records", "quantity", *([] if is_void else ["amended"])]
    cells = []
    for one in run.usage:
        row = [last(one.asset), last(one.usage_resource), f"{one.record_count:,}"]
        row += [number(one.quantity), *([] if is_void else [number(one.new_quantity)])]
        cells.append(row)
    return rows(columns, cells, right="records quantity amended")


def _period_table(run: Run, zone: str) -> Table:
    cells = []
    for one in run.periods:
        period = span(one.period.start_time, one.period.end_time, zone)
        note = "final, corrected" if one.was_final else "open"
        cells.append([last(one.wallet), period, f"{one.record_count:,}", note])
    return rows(["wallet", "rating period", "records", ""], cells, right="records")


def _money_screens(money: consumption.RunMoney, zone: str) -> list[Table | str]:
    """Return the lines that would change, the balances, and a sentence for each sum."""
    lines = []
    for one in money.lines:
        before, after = decimal(one.amount_before), decimal(one.amount_after)
        unit = one.currency_code or last(one.token_unit)
        period = span(one.origin_start_time, one.origin_end_time, zone)
        note = one.unrated_reason or ("final" if one.was_final else "open, an estimate")
        change = f"{grouped(after - before)} {unit}"
        row = [last(one.asset), last(one.usage_resource), period, grouped(before), grouped(after)]
        lines.append([*row, change, note])
    columns = ["asset", "resource", "usage of", "before", "after", "change", ""]
    found: list[Table | str] = []
    if lines:
        found.append(rows(columns, lines, "What it costs", right="before after change"))
    balances = []
    for wallet in money.balances:
        names_of = last(wallet.wallet), last(wallet.usage_resource)
        balances.append([*names_of, number(wallet.balance_before), number(wallet.balance_after)])
    if balances:
        columns = ["wallet", "resource", "before", "after"]
        found.append(rows(columns, balances, "What is left", right="before after"))
    for total in money.totals:
        amount = (
            f"{number(total.amount_difference)} {total.currency_code or last(total.token_unit)}"
        )
        lines_of = f"{_counted(total.line_count, 'line')} of"
        which = "final periods" if total.was_final else "open periods, as an estimate"
        found.append(f"{amount} in {lines_of} {which}")
    return found or ["nothing would change in money"]


def _others(run: consumption.AmendRun) -> list[str]:
    found = []
    if run.unchanged_count:
        found.append(f"{_counted(run.unchanged_count, 'record')} unchanged")
    if run.refused_count:
        found.append(f"{_counted(run.refused_count, 'record')} refused")
    for one in run.refused_records:
        message = UsageError.of_status(one.status).message
        found.append(f"  {last(one.usage_record)}: {message}")
    more = run.refused_count - len(run.refused_records)
    return [*found, f"  and {more:,} more"] if more else found


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what if count == 1 else f'{what}s'}"
