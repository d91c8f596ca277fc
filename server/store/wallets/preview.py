"""The reads of a preview: unique values that are counted already."""

from collections.abc import Iterable

from server.domain.consumption.uniques import UniqueValue
from server.domain.ids import AccountId
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("wallets/preview.sql")


async def known_values(
    tx: Transaction, account_id: AccountId, values: Iterable[UniqueValue]
) -> set[UniqueValue]:
    """Return those of the values that have been counted."""
    keys = sorted(set(values))
    columns = [[key[column] for key in keys] for column in range(4)]
    rows = await tx.fetch(SQL["known_values"], tx.tenant_id, account_id, *columns)
    return {(row["wallet_id"], row["asset_id"], row["window_key"], row["value"]) for row in rows}
