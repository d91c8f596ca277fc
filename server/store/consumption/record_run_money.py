"""The effect of a dry run in money: save it, and read it."""

from typing import Any

from server.domain.calendar import Period
from server.domain.consumption.record_runs import (
    RecordRun,
    RunBalance,
    RunLine,
    RunMoney,
    RunTotal,
)
from server.domain.ids import AssetId, ResourceId, UnitId, WalletId
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("consumption/record_run_money.sql")


async def save(tx: Transaction, run: RecordRun, money: RunMoney) -> None:
    """Store the effect of a locked run in money."""
    key = tx.tenant_id, run.account_id, run.id
    lines = [_row(line) for line in money.lines]
    if lines:
        await tx.execute(SQL["add_lines"], *key, *map(list, zip(*lines, strict=True)))
    balances = [(one.wallet_id, one.resource_id, one.before, one.after) for one in money.balances]
    if balances:
        await tx.execute(SQL["add_balances"], *key, *map(list, zip(*balances, strict=True)))
    await tx.execute(SQL["note_money"], *key, True, "")


async def note_none(tx: Transaction, run: RecordRun, reason: str) -> None:
    """Store why a locked dry run does not tell the money, as `REASON: sentence`."""
    await tx.execute(SQL["note_money"], tx.tenant_id, run.account_id, run.id, False, reason)


async def find(tx: Transaction, run: RecordRun, limit: int) -> RunMoney:
    """Return the effect of a run in money: all sums, the first lines, the first balances."""
    key = tx.tenant_id, run.account_id, run.id
    totals = await tx.fetch(SQL["sum_lines"], *key)
    lines = await tx.fetch(SQL["list_lines"], *key, limit)
    balances = await tx.fetch(SQL["list_balances"], *key, limit)
    return RunMoney(
        totals=tuple(map(_total, totals)),
        lines=tuple(map(_line, lines)),
        balances=tuple(map(_balance, balances)),
    )


def _row(line: RunLine) -> tuple[Any, ...]:
    return (
        line.wallet_id,
        line.origin.start,
        line.origin.end,
        line.asset_id,
        line.is_final,
        line.unit,
        line.resource_id,
        line.used,
        line.overage,
        line.before,
        line.after,
        line.failure,
    )


def _total(row: Any) -> RunTotal:
    return RunTotal(
        unit=UnitId(row["currency_code"]),
        is_final=row["is_final"],
        count=row["line_count"],
        amount=row["amount"],
    )


def _line(row: Any) -> RunLine:
    return RunLine(
        wallet_id=WalletId(row["wallet_id"]),
        asset_id=AssetId(row["asset_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        origin=Period(row["origin_start_time"], row["origin_end_time"]),
        is_final=row["is_final"],
        unit=UnitId(row["currency_code"]),
        used=row["used_quantity"],
        overage=row["overage_quantity"],
        before=row["amount_before"],
        after=row["amount_after"],
        failure=row["failure"],
    )


def _balance(row: Any) -> RunBalance:
    return RunBalance(
        wallet_id=WalletId(row["wallet_id"]),
        resource_id=ResourceId(row["usage_resource_id"]),
        before=row["balance_before"],
        after=row["balance_after"],
    )
