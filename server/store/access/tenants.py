"""Tenants, their clocks, and the catalog revision that every change of a catalog increments."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.audit import Audit
from server.domain.ids import AccountId, JobId, TenantId, derive
from server.domain.work import JobKind
from server.store import jobs
from server.store.audit import audit_of
from server.store.connection import ControlTransaction, Transaction
from server.store.jobs import NO_ACCOUNT, Job
from server.store.sql import load

SQL = load("access/tenants.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One customer of the service; with a `clock_start_time` it is a sandbox."""

    tenant_id: TenantId
    id: str
    display_name: str
    clock_start_time: datetime | None
    clock_time: datetime
    usage_window_days: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class TenantClock:
    """The time of the tenant's clock, and the greatest age of usage that is recorded."""

    now: datetime
    usage_window: timedelta


async def now(tx: Transaction) -> datetime:
    """Return the time of the tenant's clock: a sandbox's own, else the database's."""
    instant: datetime = await tx.fetchval(SQL["tenant_now"], tx.tenant_id)
    return instant


async def try_time(tx: Transaction, instant: datetime) -> None:
    """Set the tenant's clock for this transaction, which must be rolled back."""
    await tx.execute(SQL["try_time"], instant.isoformat())


async def clock(tx: Transaction) -> TenantClock:
    """Return the time of the tenant's clock with the age window of usage, in one read."""
    row = await tx.fetchrow(SQL["tenant_clock"], tx.tenant_id)
    assert row is not None, tx.tenant_id
    return TenantClock(row["now"], timedelta(days=row["usage_window_days"]))


async def bump_catalog(tx: Transaction) -> int:
    """Increment the revision of the catalog and return it.

    If assets follow the catalog, a job lets them follow the change. Every change of the catalog
    comes here, so none is missed.
    """
    row = await tx.fetchrow(SQL["bump_catalog"], tx.tenant_id)
    assert row is not None, tx.tenant_id
    revision: int = row["catalog_revision"]
    if row["is_followed"]:
        await jobs.add(tx, [follow_job(tx, revision, row["now"])])
    return revision


def follow_job(
    tx: Transaction,
    revision: int,
    at: datetime,
    *,
    account_id: AccountId = NO_ACCOUNT,
    after: str = "",
) -> Job:
    """Return the job that lets assets follow a revision of the catalog.

    Without an account it adds a job for each account behind `after`; with one it is about the
    assets behind the number `after`.
    """
    kind = JobKind.FOLLOW_CATALOG
    return Job(
        id=JobId(derive(tx.tenant_id, kind, revision, account_id, after)),
        kind=kind,
        rank=kind.rank,
        account_id=account_id,
        payload={"revision": str(revision), "after": after},
        fire_time=at,
    )


async def share_catalog(tx: Transaction) -> None:
    """Let changes of the catalog wait until the transaction ends."""
    await tx.execute(SQL["share_catalog"], tx.tenant_id)


async def has_later_follow(tx: Transaction, revision: int) -> bool:
    """Return whether a job will let assets follow a later revision of the catalog."""
    found: bool = await tx.fetchval(SQL["has_later_follow"], tx.tenant_id, revision)
    return found


async def keys(tx: ControlTransaction) -> dict[str, TenantId]:
    """Return the tenants by the ids that callers use."""
    rows = await tx.fetch(SQL["tenant_keys"])
    return {row["id"]: TenantId(row["tenant_id"]) for row in rows}


async def token_secrets(tx: ControlTransaction) -> tuple[bytes, ...]:
    """Return the secrets that seal tokens, the active one first."""
    return tuple(row["secret"] for row in await tx.fetch(SQL["token_secrets"]))


async def add(
    tx: Transaction,
    *,
    name: str,
    display_name: str,
    clock: datetime | None,
    usage_window_days: int,
) -> bool:
    """Insert a tenant, in a transaction of its own; return False if its id is taken."""
    args = (name, display_name, clock, usage_window_days)
    return await tx.fetchval(SQL["add_tenant"], tx.tenant_id, *args) is not None


async def save(tx: Transaction, *, display_name: str | None, usage_window_days: int | None) -> None:
    """Save those settings of the tenant that are not None."""
    await tx.execute(SQL["save_tenant"], tx.tenant_id, display_name, usage_window_days)


async def find(tx: Transaction) -> Tenant | None:
    """Return the tenant of the transaction; None if it does not exist."""
    row = await tx.fetchrow(SQL["find_tenant"], tx.tenant_id)
    if row is None:
        return None
    return Tenant(
        tenant_id=TenantId(row["tenant_id"]),
        id=row["id"],
        display_name=row["display_name"],
        clock_start_time=row["clock_start_time"],
        clock_time=row["clock_time"],
        usage_window_days=row["usage_window_days"],
        audit=audit_of(row),
    )


async def lock_clock(tx: Transaction) -> datetime | None:
    """Lock and return a sandbox's clock; None for a tenant whose clock is the database's."""
    instant: datetime | None = await tx.fetchval(SQL["lock_clock"], tx.tenant_id)
    return instant


async def set_clock(tx: Transaction, instant: datetime) -> None:
    """Set a sandbox's clock to a later time."""
    await tx.execute(SQL["set_clock"], tx.tenant_id, instant)
