"""The only writer of the ledger: chains movements into entries and saves the new heads.

The caller locks the wallets first, so that nobody else extends their chains.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asyncpg import Record

from server.domain.ids import (
    AccountId,
    WalletId,
)
from server.domain.selling.grants import Grant
from server.domain.settlement.ledger import NO_HASH, GrantHead, Head, LedgerEntry, Movement, Posting
from server.domain.settlement.ledger import post as chain
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("settlement/ledger.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletPosting:
    """The movements of one wallet, with its locked head, its grants' heads and its new grants."""

    head: Head
    grant_heads: tuple[GrantHead, ...]
    movements: tuple[Movement, ...]
    opened: tuple[Grant, ...]


def head_of(row: Record) -> Head:
    """Return the head of a wallet's chain from the wallet's row."""
    return Head(
        wallet_id=WalletId(row["wallet_id"]),
        seq=row["head_seq"],
        balance=row["balance"],
        hash=row["head_hash"] or NO_HASH,
    )


async def post(
    tx: Transaction,
    account_id: AccountId,
    postings: Sequence[WalletPosting],
) -> None:
    """Write the movements of some wallets of one account, in the order given within each."""
    moving = sorted((p for p in postings if p.movements), key=lambda p: p.head.wallet_id)
    if not moving:
        return
    chained = [chain(p.head, p.grant_heads, p.movements) for p in moving]
    opened = [grant for posting in moving for grant in posting.opened]
    # Grants first: the entries refer to them.
    if opened:
        await _add_grants(tx, account_id, opened)
    entries = [entry for posting in chained for entry in posting.entries]
    await _add_entries(tx, account_id, entries)
    await _save_heads(tx, account_id, chained)


async def _add_grants(tx: Transaction, account_id: AccountId, grants: Sequence[Grant]) -> None:
    await tx.execute(
        SQL["add_grants"],
        tx.tenant_id,
        account_id,
        [grant.wallet_id for grant in grants],
        [grant.id for grant in grants],
        [grant.entitlement_id for grant in grants],
        [grant.kind for grant in grants],
        [grant.index for grant in grants],
        [grant.rollovers for grant in grants],
        [grant.quantity for grant in grants],
        [grant.start for grant in grants],
        [grant.expire for grant in grants],
        [grant.arrive_time for grant in grants],
        [grant.source_id for grant in grants],
    )


async def _add_entries(
    tx: Transaction, account_id: AccountId, entries: Sequence[LedgerEntry]
) -> None:
    await tx.execute(
        SQL["add_entries"],
        tx.tenant_id,
        account_id,
        [entry.wallet_id for entry in entries],
        [entry.seq for entry in entries],
        [entry.grant_id for entry in entries],
        [entry.grant_seq for entry in entries],
        [entry.kind for entry in entries],
        [entry.amount for entry in entries],
        [entry.wallet_before for entry in entries],
        [entry.wallet_after for entry in entries],
        [entry.grant_before for entry in entries],
        [entry.grant_after for entry in entries],
        [entry.effective_time for entry in entries],
        [entry.cause_kind for entry in entries],
        [str(entry.cause_id) for entry in entries],
        [entry.cause_revision for entry in entries],
        [str(entry.leg) for entry in entries],
        [entry.hash for entry in entries],
        [entry.covered for entry in entries],
    )


async def _save_heads(tx: Transaction, account_id: AccountId, chained: Sequence[Posting]) -> None:
    pairs = [(posting.head.wallet_id, head) for posting in chained for head in posting.grant_heads]
    await tx.execute(
        SQL["save_grant_heads"],
        tx.tenant_id,
        account_id,
        [wallet_id for wallet_id, _ in pairs],
        [head.grant_id for _, head in pairs],
        [head.seq for _, head in pairs],
        [head.balance for _, head in pairs],
    )
    heads = [posting.head for posting in chained]
    await tx.execute(
        SQL["save_wallet_heads"],
        tx.tenant_id,
        account_id,
        [head.wallet_id for head in heads],
        [head.seq for head in heads],
        [head.balance for head in heads],
        [head.hash for head in heads],
    )


async def lock_heads(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId]
) -> dict[WalletId, Head]:
    """Lock some wallets until the transaction ends; return the heads of their chains."""
    ids = sorted(wallet_ids)
    rows = await tx.fetch(SQL["lock_wallets"], tx.tenant_id, account_id, ids)
    return {WalletId(row["wallet_id"]): head_of(row) for row in rows}
