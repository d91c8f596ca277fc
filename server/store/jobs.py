"""Jobs: asked for in the transaction that needs them, claimed in one, done in another.

A claim is a short transaction that counts the attempt. The work then locks the row, sees that the
attempt is still its own, takes effect and ends the job in one transaction. Whoever dies in between
is overtaken by the next claim; eight attempts without an end put a job into quarantine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from server.domain.ids import AccountId, JobId, TenantId
from server.store.keys import NO_KEY, TimeKey
from server.store.pool import Connection
from server.store.sql import load

SQL = load("jobs.sql")

MOST_ATTEMPTS = 8
NO_ACCOUNT = AccountId("")
NO_TIME = timedelta(0)


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    DONE = "DONE"
    REFUSED = "REFUSED"
    QUARANTINED = "QUARANTINED"
    WAIVED = "WAIVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to be done once. `rank` orders jobs that are due at one moment, lowest first.

    `account_id` is empty for a job about no account; `payload` holds ids and instants as text.
    """

    id: JobId
    kind: str
    rank: int = 0
    account_id: AccountId = NO_ACCOUNT
    payload: dict[str, str]
    fire_time: datetime


async def add(
    tx: Connection, tenant_id: TenantId, jobs: Iterable[Job], *, wait: timedelta = NO_TIME
) -> None:
    """Ask for jobs; those that were asked for before stay as they are.

    `wait` is by the database's clock: nobody looks at the jobs before it is over.
    """
    wanted = list(jobs)
    await tx.execute(
        SQL["add_jobs"],
        tenant_id,
        [job.id for job in wanted],
        [job.kind for job in wanted],
        [job.rank for job in wanted],
        [job.account_id for job in wanted],
        [job.payload for job in wanted],
        [job.fire_time for job in wanted],
        wait,
    )


async def due(connection: Connection, *, at_most: int) -> list[tuple[TenantId, JobId]]:
    """What can be done now, of all tenants, in the order in which one tenant's must be."""
    rows = await connection.fetch(SQL["due_jobs"], at_most)
    return [(TenantId(row["tenant_id"]), JobId(row["job_id"])) for row in rows]


async def claim(
    tx: Connection, tenant_id: TenantId, job_id: JobId, *, kinds: Iterable[str]
) -> int | None:
    """Count an attempt at a job of one of `kinds` and say which it is.

    None when it is not to be had, or in quarantine from now on. A kind that is not ours is left as
    it is for a worker that knows it, as there may be during a deploy.
    """
    row = await tx.fetchrow(SQL["claim_job"], tenant_id, job_id, MOST_ATTEMPTS, list(kinds))
    if row is None or row["state"] != JobState.PENDING:
        return None
    attempt: int = row["attempts"]
    return attempt


async def lock(tx: Connection, tenant_id: TenantId, job_id: UUID, attempt: int) -> Job | None:
    """Hold the job until the transaction ends; None when the attempt is no longer ours."""
    row = await tx.fetchrow(SQL["lock_job"], tenant_id, job_id, attempt)
    if row is None:
        return None
    return Job(
        id=JobId(job_id),
        kind=row["kind"],
        account_id=AccountId(row["account_id"]),
        payload=row["payload"],
        fire_time=row["fire_time"],
    )


async def end(
    tx: Connection,
    tenant_id: TenantId,
    job_id: JobId,
    attempt: int,
    *,
    state: JobState = JobState.DONE,
    error: str = "",
) -> None:
    """Mark the job as done, or as refused with its reason."""
    await tx.execute(SQL["end_job"], tenant_id, job_id, attempt, state, error)


async def note_failure(
    tx: Connection, tenant_id: TenantId, job_id: JobId, attempt: int, error: str
) -> None:
    """Keep what went wrong; the job will be tried again."""
    await tx.execute(SQL["note_failure"], tenant_id, job_id, attempt, error)


async def retry(tx: Connection, tenant_id: TenantId, job_id: JobId) -> bool:
    """Take a job out of quarantine; False when it is not in quarantine."""
    return await tx.fetchval(SQL["retry_job"], tenant_id, job_id) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as it stands."""

    job_id: JobId
    kind: str
    account_id: AccountId
    state: str
    fire_time: datetime
    attempts: int
    error: str
    create_time: datetime


async def waive(tx: Connection, tenant_id: TenantId, job_id: JobId) -> Job | None:
    """Give up a job in quarantine for good; None when it is not in quarantine."""
    row = await tx.fetchrow(SQL["waive_job"], tenant_id, job_id)
    return None if row is None else Job(id=job_id, **row)


async def find(tx: Connection, tenant_id: TenantId, job_id: JobId) -> JobRow | None:
    """One job."""
    row = await tx.fetchrow(SQL["find_job"], tenant_id, job_id)
    return None if row is None else JobRow(**row)


async def list_jobs(
    tx: Connection,
    tenant_id: TenantId,
    states: Iterable[JobState],
    *,
    after: TimeKey | None,
    limit: int,
) -> list[JobRow]:
    """Jobs in some states, oldest first."""
    position = after or NO_KEY
    rows = await tx.fetch(SQL["list_jobs"], tenant_id, list(states), *position, limit)
    return [JobRow(**row) for row in rows]
