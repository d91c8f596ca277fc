"""The entries of a wallet's ledger, as they are stored."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from server.domain.ids import AccountId, GrantId, WalletId
from server.domain.settlement.ledger import CauseKind, EntryKind, LedgerEntry
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("settlement/entries.sql")


async def list_entries(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    after: int,
    limit: int,
) -> list[tuple[LedgerEntry, datetime]]:
    """Return ledger entries in posting order, each with the time it was posted."""
    args = (tx.tenant_id, account_id, wallet_id, after, limit)
    rows = await tx.fetch(SQL["list_entries"], *args)
    return [(entry_from_row(wallet_id, row), row["create_time"]) for row in rows]


def following(entry: LedgerEntry, before: bytes) -> LedgerEntry:
    """Return an entry with `before` as the previous hash, which its row does not repeat."""
    return replace(entry, prev_hash=before)


def entry_from_row(wallet_id: WalletId, row: Record) -> LedgerEntry:
    """Return the ledger entry of a row; the previous hash is left empty, see `following`."""
    return LedgerEntry(
        wallet_id=wallet_id,
        seq=row["seq"],
        # The hash is that of the entry before, which `following` fills in when the chain is
        # checked.
        prev_hash=b"",
        grant_id=GrantId(row["grant_id"]),
        grant_seq=row["grant_seq"],
        kind=EntryKind(row["kind"]),
        amount=row["amount"],
        wallet_before=row["wallet_before"],
        wallet_after=row["wallet_after"],
        grant_before=row["grant_before"],
        grant_after=row["grant_after"],
        effective_time=row["effective_time"],
        cause_kind=CauseKind(row["cause_kind"]),
        cause_id=UUID(row["cause_id"]),
        cause_revision=row["cause_revision"],
        leg=int(row["leg"]),
        covered=row["covered"],
        hash=row["hash"],
    )
