"""Final rating periods that are not as they were settled, and the locks around them.

Whoever changes final usage takes the lock of its wallets together with others, and marks the
periods; a correction takes the lock alone, takes what is marked, and books the difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.billing.causes import Cause
from server.domain.calendar import Period, PolicyPeriod
from server.domain.consumption.recording import PeriodKey, WalletKey
from server.domain.ids import AccountId, JobId, WalletId, derive
from server.domain.work import JobKind
from server.store import jobs
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.sql import load

SQL = load("billing/pending.sql")

# The locks of late usage are apart from those for opening periods, which use the last half of an
# id: wallets that share this half wait needlessly.
FIRST_HALF = slice(0, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPeriod:
    """A rating period that does not exist, the first later one that does, and the calendar."""

    key: PeriodKey
    next_start: datetime | None
    zone: str
    anchor: date
    length: PolicyPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The earliest and the last final period of a wallet that changed, and the causes."""

    since: datetime
    last: datetime
    causes: frozenset[Cause]

    @property
    def last_used(self) -> datetime | None:
        """The last period whose usage changed; None if something else holds in later ones too."""
        return self.last if all(cause.is_of_usage for cause in self.causes) else None


async def share_late(tx: Transaction, wallets: Iterable[WalletKey]) -> None:
    """Take the lock of final usage together with others; a correction waits for all of them."""
    await tx.execute(SQL["share_late"], _lock_keys(wallet_id for _, wallet_id in wallets))


async def take_late(tx: Transaction, wallets: Iterable[WalletId]) -> None:
    """Take the lock of final usage alone."""
    await tx.execute(SQL["take_late"], _lock_keys(wallets))


async def missing_periods(tx: Transaction, keys: Iterable[PeriodKey]) -> list[MissingPeriod]:
    """Return the periods that do not exist."""
    columns = [list(column) for column in zip(*sorted(keys), strict=True)]
    return [
        MissingPeriod(
            key=(row["account_id"], row["wallet_id"], row["start_time"]),
            next_start=row["next_start_time"],
            zone=row["time_zone"],
            anchor=row["anchor_date"],
            length=PolicyPeriod(row["rating_period"]),
        )
        for row in await tx.fetch(SQL["missing_periods"], tx.tenant_id, *columns)
    ]


async def add_final(
    tx: Transaction, periods: Sequence[tuple[WalletKey, Period]], now: datetime
) -> None:
    """Insert periods that are final from the start."""
    await tx.execute(
        SQL["add_final_periods"],
        tx.tenant_id,
        [account_id for (account_id, _), _ in periods],
        [wallet_id for (_, wallet_id), _ in periods],
        [period.start for _, period in periods],
        [period.end for _, period in periods],
        now,
    )


async def mark(tx: Transaction, keys: Iterable[PeriodKey], cause: Cause) -> None:
    """Mark final periods, whose rows exist."""
    columns = [list(column) for column in zip(*sorted(keys), strict=True)]
    await tx.execute(SQL["mark"], tx.tenant_id, *columns, cause)


async def add_jobs(tx: Transaction, due: Mapping[WalletKey, datetime]) -> None:
    """Add the job that takes in what is pending for each wallet, unless it is there.

    The caller holds the lock of final usage.
    """
    columns = [list(column) for column in zip(*sorted(due), strict=True)]
    rows = await tx.fetch(SQL["correction_counts"], tx.tenant_id, *columns)
    await jobs.add(
        tx,
        [
            Job(
                id=job_id(row["wallet_id"], row["correction_count"]),
                kind=JobKind.CORRECT_USAGE,
                rank=JobKind.CORRECT_USAGE.rank,
                account_id=row["account_id"],
                payload={"wallet_id": str(row["wallet_id"])},
                fire_time=due[row["account_id"], row["wallet_id"]],
            )
            for row in rows
        ],
    )


def job_id(wallet_id: WalletId, correction_count: int) -> JobId:
    """Return the id of the job that takes in what is pending for a wallet.

    It has the number of corrections so far, so that everything that is marked before the next one
    shares its job.
    """
    return JobId(derive(wallet_id, "correct", correction_count))


async def lock_jobs(tx: Transaction, account_id: AccountId) -> list[WalletId]:
    """Lock the waiting jobs of an account, and return their wallets."""
    rows = await tx.fetch(SQL["lock_jobs"], tx.tenant_id, account_id, JobKind.CORRECT_USAGE)
    return [WalletId(row["wallet_id"]) for row in rows]


async def move_jobs(
    tx: Transaction, account_id: AccountId, due: Mapping[WalletId, datetime]
) -> None:
    """Make the waiting jobs of some wallets due at other times; an attempt under way ends nothing.

    Whoever calls this from a job leaves it waiting.
    """
    args = (JobKind.CORRECT_USAGE, list(due), list(due.values()))
    await tx.execute(SQL["move_jobs"], tx.tenant_id, account_id, *args)


async def take(
    tx: Transaction, account_id: AccountId, wallet_ids: Iterable[WalletId]
) -> dict[WalletId, Pending]:
    """Delete and return what is pending for some wallets; the caller holds their locks."""
    rows = await tx.fetch(SQL["take"], tx.tenant_id, account_id, sorted(wallet_ids))
    marks: dict[WalletId, list[tuple[datetime, Cause]]] = {}
    for row in rows:
        mark_ = (row["start_time"], Cause(row["cause"]))
        marks.setdefault(WalletId(row["wallet_id"]), []).append(mark_)
    return {
        wallet_id: Pending(
            since=min(start for start, _ in found),
            last=max(start for start, _ in found),
            causes=frozenset(cause for _, cause in found),
        )
        for wallet_id, found in marks.items()
    }


async def first(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> datetime | None:
    """Return the start of the first period of a wallet that waits for a correction."""
    start: datetime | None = await tx.fetchval(SQL["first"], tx.tenant_id, account_id, wallet_id)
    return start


async def group_of(tx: Transaction, account_id: AccountId, wallet_id: WalletId) -> list[WalletId]:
    """Return the wallets of a settlement group, each before those that depend on it.

    Wallets of tokens depend on those of usage, and wallets to which grants move on those from which
    they come.
    """
    rows = await tx.fetch(SQL["group_of"], tx.tenant_id, account_id, wallet_id)
    return [WalletId(row["wallet_id"]) for row in rows]


def _lock_keys(wallets: Iterable[WalletId]) -> list[int]:
    # Advisory locks take 64-bit keys.
    keys = {int.from_bytes(wallet_id.bytes[FIRST_HALF], signed=True) for wallet_id in wallets}
    return sorted(keys)
