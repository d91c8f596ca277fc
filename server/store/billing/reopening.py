"""Reopening closed periods: the periods that allow it, and undoing what their close wrote."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Record

from server.domain.calendar import Period
from server.domain.consumption.recording import PeriodKey
from server.domain.ids import AccountId, GrantId, JobId, WalletId, derive
from server.domain.settlement.ledger import GrantHead, LedgerEntry, reversals
from server.domain.work import JobKind
from server.store import jobs
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.settlement import ledger
from server.store.settlement.ledger import WalletPosting, head_of
from server.store.settlement.wallets import entry_from_row
from server.store.sql import load

SQL = load("billing/reopening.sql")

# The same query with a lock, so that a preview and a recording agree on the periods.
LOCK_REOPENABLE = SQL["reopenable"].rstrip(";") + "\n   FOR UPDATE OF p;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopenable:
    """A final period with no final period after it; `reopened` counts earlier reopenings.

    `next_freeze` is the closing time of the first period after it, if there is one.
    """

    account_id: AccountId
    wallet_id: WalletId
    period: Period
    reopened: int
    next_freeze: datetime | None

    @property
    def key(self) -> PeriodKey:
        """The key of the period."""
        return self.account_id, self.wallet_id, self.period.start


async def final_periods(tx: Transaction, keys: Iterable[PeriodKey]) -> set[PeriodKey]:
    """Return the final ones of some periods, without locking them."""
    rows = await tx.fetch(SQL["final_periods"], tx.tenant_id, *_columns(keys))
    return {(row["account_id"], row["wallet_id"], row["start_time"]) for row in rows}


async def lock_reopenable(tx: Transaction, keys: Iterable[PeriodKey]) -> list[Reopenable]:
    """Lock and return the final periods that may be reopened, in the order of their keys."""
    return _reopenable(await tx.fetch(LOCK_REOPENABLE, tx.tenant_id, *_columns(keys)))


async def find_reopenable(tx: Transaction, keys: Iterable[PeriodKey]) -> list[Reopenable]:
    """Return the final periods that may be reopened, without locking them."""
    distinct = set(keys)
    if not distinct:
        return []
    return _reopenable(await tx.fetch(SQL["reopenable"], tx.tenant_id, *_columns(distinct)))


def _reopenable(rows: Iterable[Record]) -> list[Reopenable]:
    return [
        Reopenable(
            account_id=AccountId(row["account_id"]),
            wallet_id=WalletId(row["wallet_id"]),
            period=Period(row["start_time"], row["end_time"]),
            reopened=row["reopen_count"],
            next_freeze=row["next_freeze_time"],
        )
        for row in rows
    ]


async def reopen(tx: Transaction, period: Reopenable, freeze_time: datetime) -> None:
    """Let a period take usage again, and add the job that closes it at `freeze_time`."""
    account_id, wallet_id, start = period.key
    await tx.execute(SQL["reopen"], tx.tenant_id, account_id, wallet_id, start, freeze_time)
    close = Job(
        # The count makes a new id: the job of the first close exists and would not run again.
        id=JobId(derive(wallet_id, "close", start.isoformat(), period.reopened + 1)),
        kind=JobKind.CLOSE_PERIOD,
        rank=JobKind.CLOSE_PERIOD.rank,
        account_id=account_id,
        payload={"wallet_id": str(wallet_id), "start_time": start.isoformat()},
        fire_time=freeze_time,
    )
    await jobs.add(tx, [close])


async def has_final_follower(tx: Transaction, period: Reopenable) -> bool:
    """Return True if a later period of the wallet became final; valid under its lock."""
    is_there: bool = await tx.fetchval(SQL["has_final_follower"], tx.tenant_id, *period.key)
    return is_there


async def is_invoiced(tx: Transaction, period: Reopenable, billing_end: datetime) -> bool:
    """Lock the lines of a billing period; return True if an invoice has one of them."""
    args = (tx.tenant_id, period.account_id, period.wallet_id, billing_end)
    found: bool = await tx.fetchval(SQL["lock_billed"], *args)
    return found


async def posted_by_close(tx: Transaction, period: Reopenable, revision: int) -> list[LedgerEntry]:
    """Return the ledger entries of the last close of a period, newest first."""
    rows = await tx.fetch(SQL["posted_by_close"], tx.tenant_id, *period.key, revision)
    return [entry_from_row(period.wallet_id, row) for row in rows]


async def take_back(
    tx: Transaction, period: Reopenable, revision: int, billing_end: datetime
) -> None:
    """Undo what the close of a period wrote; the ledger gets reversing entries.

    The caller holds the lock of the wallet.
    """
    account_id, wallet_id, _ = key = period.key
    await _reverse(tx, period, await posted_by_close(tx, period, revision))
    await tx.execute(SQL["undraw"], tx.tenant_id, *key)
    await tx.execute(SQL["supersede_ratable"], tx.tenant_id, *key)
    billed = (tx.tenant_id, account_id, wallet_id, billing_end)
    await tx.execute(SQL["unlink_liable"], *billed)
    await tx.execute(SQL["supersede_liable"], *billed)


def _columns(keys: Iterable[PeriodKey]) -> list[list[Any]]:
    return [list(column) for column in zip(*sorted(keys), strict=True)]


async def _reverse(tx: Transaction, period: Reopenable, entries: Sequence[LedgerEntry]) -> None:
    wallet = (tx.tenant_id, period.account_id, period.wallet_id)
    head = await tx.fetchrow(SQL["wallet_head"], *wallet)
    assert head is not None, period
    ids = sorted({entry.grant_id for entry in entries})
    rows = await tx.fetch(SQL["grant_heads"], *wallet, ids)
    posting = WalletPosting(
        head=head_of(head),
        grant_heads=tuple(
            GrantHead(
                grant_id=GrantId(row["grant_id"]), seq=row["head_seq"], balance=row["balance"]
            )
            for row in rows
        ),
        movements=reversals(entries),
        opened=(),
    )
    await ledger.post(tx, period.account_id, [posting])
