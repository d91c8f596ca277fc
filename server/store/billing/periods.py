"""Rating periods: opened by the first usage, each with the job that closes it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.calendar import Period, RatingPeriod
from server.domain.ids import AccountId, JobId, WalletId, derive
from server.domain.settlement.rewinding import PeriodSize
from server.domain.work import CLOSE_TOKENS_RANK, JobKind
from server.store import jobs
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.sql import load

SQL = load("billing/periods.sql")

FINAL = "FINAL"


@dataclass(frozen=True, slots=True)
class NewPeriod:
    """A rating period of a wallet, and its closing time by the tenant's clock."""

    account_id: AccountId
    wallet_id: WalletId
    period: Period
    freeze_time: datetime


@dataclass(frozen=True, slots=True)
class HeldPeriod:
    """A rating period whose row is locked."""

    period: Period
    is_final: bool


async def open_missing(
    tx: Transaction, periods: Sequence[NewPeriod], more_jobs: Sequence[Job] = ()
) -> None:
    """Open the periods that do not exist. Add the jobs that close them and `more_jobs` at once."""
    columns = (
        [new.account_id for new in periods],
        [new.wallet_id for new in periods],
        [new.period.start for new in periods],
        [new.period.end for new in periods],
        [new.freeze_time for new in periods],
    )
    rows = await tx.fetch(SQL["open_periods"], tx.tenant_id, *columns) if periods else ()
    # The query returns only periods that it opened; the others have their job already.
    due = [*(_close(**row) for row in rows), *more_jobs]
    if due:
        await jobs.add(tx, due)


async def add_closes(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> int:
    """Add the jobs that close the open periods of a wallet, and return how many are new."""
    rows = await tx.fetch(SQL["open_of_wallet"], tx.tenant_id, account_id, wallet_id)
    return await jobs.add(tx, [_close(**row) for row in rows])


async def final_sizes(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, since: datetime
) -> list[PeriodSize]:
    """Return the final periods of a wallet since a time, each with its number of cells."""
    rows = await tx.fetch(SQL["final_sizes"], tx.tenant_id, account_id, wallet_id, since)
    return [PeriodSize(row["start_time"], row["cells"]) for row in rows]


async def first_final(
    tx: Transaction, account_id: AccountId, wallet_ids: Collection[WalletId], at: datetime
) -> dict[WalletId, datetime]:
    """Return the start of the first final period of each wallet that ends after a time."""
    args = (tx.tenant_id, account_id, sorted(wallet_ids), at)
    rows = await tx.fetch(SQL["first_final"], *args)
    return {WalletId(row["wallet_id"]): row["start_time"] for row in rows}


async def share_open(
    tx: Transaction, account_id: AccountId, wallet_ids: Collection[WalletId], at: datetime
) -> None:
    """Lock the periods that are open after a time against their close."""
    await tx.fetch(SQL["share_open"], tx.tenant_id, account_id, sorted(wallet_ids), at)


async def lock_open(
    tx: Transaction, account_id: AccountId, wallet_ids: Collection[WalletId], at: datetime
) -> list[tuple[WalletId, RatingPeriod]]:
    """Lock the periods that are open after a time against recording; return them."""
    args = (tx.tenant_id, account_id, sorted(wallet_ids), at)
    rows = await tx.fetch(SQL["lock_open"], *args)
    return [
        (row["wallet_id"], RatingPeriod(row["start_time"], row["end_time"], row["freeze_time"]))
        for row in rows
    ]


async def mark_moved(
    tx: Transaction, account_id: AccountId, wallet_ids: Collection[WalletId], at: datetime
) -> None:
    """Mark open periods, which are locked, as those from which usage may have moved."""
    args = (tx.tenant_id, account_id, sorted(wallet_ids), at)
    await tx.execute(SQL["mark_moved"], *args)


async def existing(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, at: datetime
) -> list[Period]:
    """Return the periods of a wallet that end after a time, in order."""
    rows = await tx.fetch(SQL["existing"], tx.tenant_id, account_id, wallet_id, at)
    return [Period(row["start_time"], row["end_time"]) for row in rows]


async def lock(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, start: datetime
) -> HeldPeriod | None:
    """Lock a period against recording until the transaction ends; None if it does not exist."""
    row = await tx.fetchrow(SQL["lock_period"], tx.tenant_id, account_id, wallet_id, start)
    if row is None:
        return None
    period = Period(row["start_time"], row["end_time"])
    return HeldPeriod(period, row["state"] == FINAL)


async def closed_ends(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId]
) -> dict[WalletId, datetime]:
    """Return the end of the last final period of each wallet that has one."""
    rows = await tx.fetch(SQL["closed_ends"], tx.tenant_id, account_id, sorted(wallet_ids))
    return {WalletId(row["wallet_id"]): row["end_time"] for row in rows}


async def first_unsettled(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, at: datetime
) -> datetime | None:
    """Return the start of the oldest period before `at` that is not final; None if all are."""
    start: datetime | None = await tx.fetchval(
        SQL["first_unsettled"], tx.tenant_id, account_id, wallet_id, at
    )
    return start


async def first_unsettled_source(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, at: datetime
) -> datetime | None:
    """Return the start of the oldest unsettled period on which a wallet depends.

    Its usage is rated in the tokens of the wallet, or its grants move there. Only periods before
    `at` count; None if all are final.
    """
    start: datetime | None = await tx.fetchval(
        SQL["first_unsettled_source"], tx.tenant_id, account_id, wallet_id, at
    )
    return start


async def finish(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, start: datetime
) -> None:
    """Mark a period as final."""
    await tx.execute(SQL["finish_period"], tx.tenant_id, account_id, wallet_id, start)


def _close(
    account_id: AccountId,
    wallet_id: WalletId,
    start_time: datetime,
    freeze_time: datetime,
    *,
    is_follower: bool,
) -> Job:
    return Job(
        # Derived from the period, so that adding the job twice has no effect.
        id=JobId(derive(wallet_id, "close", start_time.isoformat())),
        kind=JobKind.CLOSE_PERIOD,
        # A wallet is closed after those that are rated in its tokens or move grants to it.
        rank=CLOSE_TOKENS_RANK if is_follower else JobKind.CLOSE_PERIOD.rank,
        account_id=account_id,
        payload={"wallet_id": str(wallet_id), "start_time": start_time.isoformat()},
        fire_time=freeze_time,
    )
