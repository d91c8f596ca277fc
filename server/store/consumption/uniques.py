"""Unique values: which record counts each value of a label in a window."""

from collections.abc import Iterable, Sequence
from typing import Any

from server.domain.consumption.recording import Counted, RecordKey
from server.domain.consumption.uniques import CountedValue, UniqueValue, window_of
from server.domain.ids import AccountId, CellId, RecordId
from server.store.connection import Transaction
from server.store.consumption.recording import columns
from server.store.sql import load

SQL = load("consumption/uniques.sql")

Asked = tuple[Counted, UniqueValue]


async def add(tx: Transaction, items: Sequence[Asked]) -> set[RecordKey]:
    """Insert the values that are new in their windows; return the keys of their records."""
    rows = await tx.fetch(
        SQL["add_values"],
        tx.tenant_id,
        *_values(items),
        [item.usage.record_id for item, _ in items],
        [item.usage.time for item, _ in items],
    )
    return {(AccountId(row["account_id"]), RecordId(row["record_id"])) for row in rows}


async def forget(tx: Transaction, items: Sequence[Counted]) -> None:
    """Delete the values that these records counted, because the records are refused."""
    await tx.execute(
        SQL["forget_values"],
        tx.tenant_id,
        [item.usage.account_id for item in items],
        [item.slot.meter.wallet_id for item in items],
        [item.usage.asset_id for item in items],
        [item.usage.record_id for item in items],
    )


async def lock(tx: Transaction, items: Sequence[Asked]) -> dict[UniqueValue, CountedValue]:
    """Lock values until the transaction ends; return the stored records that count them."""
    rows = await tx.fetch(SQL["lock_values"], tx.tenant_id, *_values(items))
    return {
        (row["wallet_id"], row["asset_id"], row["window_key"], row["value"]): CountedValue(
            row["account_id"], row["record_id"], row["usage_time"], row["usage_summary_id"]
        )
        for row in rows
    }


async def take_over(
    tx: Transaction, items: Sequence[tuple[Counted, UniqueValue, CountedValue]]
) -> None:
    """Count values by new records; the records that counted them before count 0."""
    if not items:
        return
    asked = [(item, value) for item, value, _ in items]
    record_ids = [item.usage.record_id for item, _ in asked]
    await tx.execute(SQL["give_values"], tx.tenant_id, *_values(asked), record_ids)
    old = [counted for _, _, counted in items]
    await tx.execute(
        SQL["count_nothing"],
        tx.tenant_id,
        [counted.account_id for counted in old],
        [counted.record_id for counted in old],
    )


async def lock_cells(tx: Transaction, counted: Sequence[CountedValue]) -> None:
    """Lock the cells of records that count no longer, until the transaction ends."""
    await tx.execute(SQL["lock_cells"], tx.tenant_id, *_cells(counted))


async def lock_cells_of(tx: Transaction, keys: Iterable[tuple[AccountId, CellId]]) -> None:
    """Lock cells until the transaction ends."""
    await tx.execute(SQL["lock_cells"], tx.tenant_id, *columns(keys, 2))


async def find_first(tx: Transaction, items: Sequence[Asked]) -> dict[UniqueValue, CountedValue]:
    """Return the earliest record of each value in its window, where there is one."""
    windows: dict[tuple[Any, ...], int] = {}
    numbers = []
    for item, _ in items:
        usage, meter, within = item.usage, item.slot.meter, window_of(item.slot)
        series = usage.account_id, usage.asset_id, usage.resource_id, meter.unique_label
        key = (*series, within.start, within.end)
        numbers.append(windows.setdefault(key, len(windows)))
    rows = await tx.fetch(
        SQL["find_first"],
        tx.tenant_id,
        list(windows.values()),
        *map(list, zip(*windows, strict=True)),
        list(range(len(items))),
        numbers,
        [item.dimensions for item, _ in items],
        [value[3] for _, value in items],
    )
    return {
        items[row["number"]][1]: CountedValue(
            items[row["number"]][0].usage.account_id,
            row["record_id"],
            row["usage_time"],
            row["usage_summary_id"],
        )
        for row in rows
    }


async def give(tx: Transaction, items: Sequence[tuple[Asked, CountedValue]]) -> None:
    """Let other records count values, which are locked."""
    record_ids = [counted.record_id for _, counted in items]
    await tx.execute(
        SQL["give_values"], tx.tenant_id, *_values([asked for asked, _ in items]), record_ids
    )


async def drop(tx: Transaction, items: Sequence[Asked]) -> None:
    """Delete values, which are locked."""
    await tx.execute(SQL["drop_values"], tx.tenant_id, *_values(items))


async def count(tx: Transaction, *, one: Iterable[RecordKey], none: Iterable[RecordKey]) -> None:
    """Set the counted quantity of some records to 1, and of others to 0."""
    await tx.execute(SQL["count_nothing"], tx.tenant_id, *columns(none, 2))
    await tx.execute(SQL["count_one"], tx.tenant_id, *columns(one, 2))


async def measure_again(tx: Transaction, counted: Sequence[CountedValue]) -> None:
    """Measure the cells of records that count no longer from all their records."""
    await tx.execute(SQL["measure_again"], tx.tenant_id, *_cells(counted))


def _cells(counted: Sequence[CountedValue]) -> list[list[Any]]:
    """Return the accounts and the cells as columns, in the order of their keys."""
    cells = {(value.account_id, value.cell_id) for value in counted}
    return [list(column) for column in zip(*sorted(cells), strict=True)]


def _values(items: Sequence[Asked]) -> list[list[Any]]:
    """Return the accounts, wallets, assets, windows and values as columns."""
    accounts = [item.usage.account_id for item, _ in items]
    return [accounts, *([value[column] for _, value in items] for column in range(4))]
