"""The reads of a preview: open periods, unique values already counted, amounts already rated."""

from collections.abc import Iterable
from datetime import datetime

from server.domain.calendar import RatingPeriod
from server.domain.consumption.recording import WalletKey
from server.domain.consumption.uniques import UniqueValue
from server.domain.ids import AccountId, WalletId
from server.domain.settlement.ratable_lines import Origin, Tally
from server.store.connection import Transaction
from server.store.settlement.wallet_rows import decode_tallies
from server.store.sql import load

SQL = load("wallets/preview.sql")


async def first_open(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId]
) -> dict[WalletKey, RatingPeriod]:
    """Return the first open period of each wallet that has one."""
    # Not locked: a preview promises nothing about what is recorded later.
    rows = await tx.fetch(SQL["first_open"], tx.tenant_id, account_id, sorted(wallet_ids))
    return {
        (account_id, WalletId(row["wallet_id"])): RatingPeriod(
            row["start_time"], row["end_time"], row["freeze_time"]
        )
        for row in rows
    }


async def known_values(
    tx: Transaction, account_id: AccountId, values: Iterable[UniqueValue]
) -> set[UniqueValue]:
    """Return those of the values that have been counted."""
    keys = sorted(set(values))
    columns = [[key[column] for key in keys] for column in range(4)]
    rows = await tx.fetch(SQL["known_values"], tx.tenant_id, account_id, *columns)
    return {(row["wallet_id"], row["asset_id"], row["window_key"], row["value"]) for row in rows}


async def rated_before(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    but_in: datetime | None = None,
) -> dict[Origin, Tally]:
    """Return the amounts already rated by asset and origin, except those of period `but_in`."""
    text = await tx.fetchval(SQL["rated_before"], tx.tenant_id, account_id, wallet_id, but_in)
    return decode_tallies(text)
