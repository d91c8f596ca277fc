"""Jobs: added in the transaction that needs them, claimed in a second, done in a third.

A claim is a short transaction that counts an attempt at each of a few jobs of one tenant. The work
then locks the row, checks that the attempt is still its own, takes effect and ends the job in one
transaction. If a worker dies in between, another one claims the job when its pause is over. Eight
attempts without an end put a job into quarantine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from asyncpg import Record

from server.domain.audit import Audit
from server.domain.ids import AccountId, JobId, TenantId
from server.store.audit import audit_of
from server.store.connection import ControlTransaction, Transaction
from server.store.documents import TEXTS
from server.store.keys import NO_KEY, TimeKey
from server.store.sql import load

SQL = load("jobs.sql")

MOST_ATTEMPTS = 8
NO_ACCOUNT = AccountId("")


class JobState(StrEnum):
    """The state of a job."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"
    QUARANTINED = "QUARANTINED"
    WAIVED = "WAIVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job to be done once.

    `rank` orders jobs that are due at the same time, lowest first. `account_id` is empty for a job
    about no account. `payload` holds ids and times as text.
    """

    id: JobId
    kind: str
    rank: int = 0
    account_id: AccountId = NO_ACCOUNT
    payload: dict[str, str]
    fire_time: datetime


async def add(tx: Transaction, jobs: Iterable[Job], *, wait: timedelta | None = None) -> int:
    """Insert jobs, and return how many are new; ids that exist are left unchanged.

    No worker claims the jobs before `wait` is over, by the database's clock. An ended job is
    deleted after a while and can then be added again, so every job must be harmless to repeat: it
    first checks whether its work is done.
    """
    rows = list(jobs)
    done = await tx.execute(
        SQL["add_jobs"],
        tx.tenant_id,
        [job.id for job in rows],
        [job.kind for job in rows],
        [job.rank for job in rows],
        [job.account_id for job in rows],
        [TEXTS.encode(job.payload) for job in rows],
        [job.fire_time for job in rows],
        wait,
    )
    # The command tag is `INSERT 0 n`.
    return int(done.rpartition(" ")[2])


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt at a job, valid until another worker claims the job."""

    job_id: JobId
    attempt: int


async def due_tenants(tx: ControlTransaction, kinds: Iterable[str]) -> list[TenantId]:
    """Return the tenants that have a job of one of `kinds` due now."""
    rows = await tx.fetch(SQL["due_tenants"], list(kinds))
    return [TenantId(row["tenant_id"]) for row in rows]


async def claim(tx: Transaction, *, kinds: Iterable[str], at_most: int) -> list[Claim]:
    """Count an attempt at up to `at_most` due jobs; return the claims, without quarantined jobs.

    A job of a kind that is not in `kinds` is left for a worker that supports it, as during a
    deploy.
    """
    # The statistics of a table do not include recent jobs. Without this setting, a plan based on
    # them reads all jobs of the tenant.
    await tx.execute(SQL["plan_by_index"])
    rows = await tx.fetch(SQL["claim_jobs"], tx.tenant_id, list(kinds), at_most, MOST_ATTEMPTS)
    return [
        Claim(JobId(row["job_id"]), row["attempts"])
        for row in rows
        if row["state"] == JobState.PENDING
    ]


async def give_back(tx: Transaction, claims: Iterable[Claim]) -> None:
    """Undo claims of jobs that were not begun."""
    pairs = [(claim.job_id, claim.attempt) for claim in claims]
    job_ids, attempts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    await tx.execute(SQL["give_back"], tx.tenant_id, job_ids, attempts)


async def ended_tenants(tx: ControlTransaction, kept: timedelta) -> list[TenantId]:
    """Return the tenants that have jobs which ended longer ago than `kept`."""
    rows = await tx.fetch(SQL["ended_tenants"], kept)
    return [TenantId(row["tenant_id"]) for row in rows]


async def forget_ended(tx: Transaction, kept: timedelta, *, at_most: int) -> int:
    """Delete up to `at_most` jobs that ended longer ago than `kept`; return the number.

    Jobs that ended since the oldest active run began are not deleted, because the run counts them.
    """
    await tx.execute(SQL["plan_by_index"])
    done = await tx.execute(SQL["forget_ended"], tx.tenant_id, kept, at_most)
    # The command tag is `DELETE n`.
    return int(done.rpartition(" ")[2])


async def lock(tx: Transaction, job_id: UUID, attempt: int) -> Job | None:
    """Lock the job until the transaction ends; None if the attempt is no longer the newest."""
    row = await tx.fetchrow(SQL["lock_job"], tx.tenant_id, job_id, attempt)
    return None if row is None else _job(JobId(job_id), row)


async def end(
    tx: Transaction,
    job_id: JobId,
    attempt: int,
    *,
    state: JobState = JobState.DONE,
    error: str = "",
) -> None:
    """Mark the job as done, or as refused with its reason."""
    await tx.execute(SQL["end_job"], tx.tenant_id, job_id, attempt, state, error)


async def note_failure(tx: Transaction, job_id: JobId, attempt: int, error: str) -> None:
    """Save the error of an attempt; the job is tried again after a pause."""
    await tx.execute(SQL["note_failure"], tx.tenant_id, job_id, attempt, error)


async def retry(tx: Transaction, job_id: JobId) -> bool:
    """Make a refused or quarantined job and the jobs that wait for it due; False for other jobs."""
    return bool(await tx.fetch(SQL["retry_job"], tx.tenant_id, job_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job with its state, attempts and last error."""

    job_id: JobId
    kind: str
    account_id: AccountId
    state: str
    fire_time: datetime
    attempts: int
    error: str
    audit: Audit


async def waive(tx: Transaction, job_id: JobId) -> Job | None:
    """Waive a refused or quarantined job; it is not tried again. None for other jobs."""
    row = await tx.fetchrow(SQL["waive_job"], tx.tenant_id, job_id)
    return None if row is None else _job(job_id, row)


async def find(tx: Transaction, job_id: JobId) -> JobRow | None:
    """Return one job; None if it does not exist."""
    row = await tx.fetchrow(SQL["find_job"], tx.tenant_id, job_id)
    return None if row is None else _row(row)


async def find_all(tx: Transaction, job_ids: Iterable[JobId]) -> dict[JobId, JobRow]:
    """Return the jobs that exist, by id."""
    rows = await tx.fetch(SQL["find_jobs"], tx.tenant_id, sorted(job_ids))
    return {JobId(row["job_id"]): _row(row) for row in rows}


async def list_jobs(
    tx: Transaction,
    states: Iterable[JobState],
    *,
    after: TimeKey | None,
    limit: int,
) -> list[JobRow]:
    """Return jobs in some states, oldest first."""
    # Nulls, for which the query has no lower bound.
    position = after or NO_KEY
    rows = await tx.fetch(SQL["list_jobs"], tx.tenant_id, list(states), *position, limit)
    return [_row(row) for row in rows]


def _job(job_id: JobId, row: Record) -> Job:
    return Job(
        id=job_id,
        kind=row["kind"],
        rank=row["rank"],
        account_id=AccountId(row["account_id"]),
        payload=TEXTS.decode(row["payload"]),
        fire_time=row["fire_time"],
    )


def _row(row: Record) -> JobRow:
    return JobRow(
        job_id=JobId(row["job_id"]),
        kind=row["kind"],
        account_id=AccountId(row["account_id"]),
        state=row["state"],
        fire_time=row["fire_time"],
        attempts=row["attempts"],
        error=row["error"],
        audit=audit_of(row),
    )
