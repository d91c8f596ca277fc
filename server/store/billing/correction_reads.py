"""The reads of corrections: what they changed, and what waits for one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from server.domain.billing.causes import Cause
from server.domain.calendar import local_midnight
from server.domain.ids import AccountId, CorrectionId, JobId, RatableSummaryId, WalletId
from server.domain.settlement.ledger import LedgerEntry
from server.store import jobs
from server.store.billing.pending import job_id
from server.store.billing.summary_reads import RatableSummary, ratable_from_row
from server.store.connection import Transaction
from server.store.jobs import JobRow
from server.store.keys import ANY_TIME, NO_KEY, TimeKey, TimeWindow
from server.store.settlement.entries import entry_from_row
from server.store.sql import load

SQL = load("billing/correction_reads.sql")

PostedEntry = tuple[LedgerEntry, datetime]
"""A ledger entry, and the time at which it was posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionFilter:
    """The filters of a list of corrections, or of what waits for one; None for any."""

    wallet_id: WalletId | None = None
    cause: Cause | None = None
    created: TimeWindow = ANY_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCorrection:
    """A correction without its lines and entries."""

    correction_id: CorrectionId
    causes: tuple[Cause, ...]
    start_time: datetime
    wallet_ids: tuple[WalletId, ...]
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingWallet:
    """A wallet whose final usage changed since `create_time`, and the job that corrects it."""

    wallet_id: WalletId
    causes: tuple[Cause, ...]
    start_time: datetime
    create_time: datetime
    job: JobRow | None


async def list_corrections(
    tx: Transaction,
    account_id: AccountId,
    only: CorrectionFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[StoredCorrection]:
    """Return an account's corrections, oldest first."""
    created = (only.created.start, only.created.end)
    args = (account_id, *(after or NO_KEY), limit, only.wallet_id, only.cause, *created)
    rows = await tx.fetch(SQL["list_corrections"], tx.tenant_id, *args)
    return [_correction(row) for row in rows]


async def find_corrections(
    tx: Transaction, account_id: AccountId, ids: Iterable[CorrectionId]
) -> dict[CorrectionId, StoredCorrection]:
    """Return the corrections that exist, by id."""
    rows = await tx.fetch(SQL["find_corrections"], tx.tenant_id, account_id, sorted(ids))
    return {CorrectionId(row["correction_id"]): _correction(row) for row in rows}


async def lines(
    tx: Transaction, account_id: AccountId, correction_id: CorrectionId
) -> list[RatableSummary]:
    """Return the ratable lines that a correction made, by wallet and the period of their usage."""
    rows = await tx.fetch(SQL["lines"], tx.tenant_id, account_id, correction_id)
    return [ratable_from_row(row) for row in rows]


async def lines_before(
    tx: Transaction, account_id: AccountId, correction_id: CorrectionId
) -> dict[RatableSummaryId, RatableSummary]:
    """Return the lines that those of a correction replaced, by the id that both have."""
    rows = await tx.fetch(SQL["lines_before"], tx.tenant_id, account_id, correction_id)
    return {RatableSummaryId(row["ratable_summary_id"]): ratable_from_row(row) for row in rows}


async def entries(
    tx: Transaction, account_id: AccountId, correction_id: CorrectionId
) -> list[PostedEntry]:
    """Return the ledger entries that a correction posted, by wallet and position."""
    rows = await tx.fetch(SQL["entries"], tx.tenant_id, account_id, correction_id)
    return [(entry_from_row(WalletId(row["wallet_id"]), row), row["create_time"]) for row in rows]


async def list_pending(
    tx: Transaction,
    account_id: AccountId,
    only: CorrectionFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[WaitingWallet]:
    """Return an account's wallets that wait for a correction, by the time of the first change."""
    args = (account_id, *(after or NO_KEY), limit, only.wallet_id, only.cause)
    rows = await tx.fetch(SQL["list_pending"], tx.tenant_id, *args)
    known = await jobs.find_all(tx, map(_job_id, rows)) if rows else {}
    return [
        WaitingWallet(
            wallet_id=WalletId(row["wallet_id"]),
            causes=_causes(row),
            start_time=max(row["start_time"], local_midnight(row["time_zone"], row["start_date"])),
            create_time=row["create_time"],
            job=known.get(_job_id(row)),
        )
        for row in rows
    ]


def _job_id(row: Record) -> JobId:
    return job_id(WalletId(row["wallet_id"]), row["correction_count"])


def _correction(row: Record) -> StoredCorrection:
    # The first period of a target begins with its first asset.
    services = map(local_midnight, row["time_zones"], row["start_dates"])
    return StoredCorrection(
        correction_id=CorrectionId(row["correction_id"]),
        causes=_causes(row),
        start_time=max(row["start_time"], min(services)),
        wallet_ids=tuple(map(WalletId, row["wallet_ids"])),
        create_time=row["create_time"],
    )


def _causes(row: Record) -> tuple[Cause, ...]:
    found = set(map(Cause, row["causes"]))
    return tuple(cause for cause in Cause if cause in found)
