"""The unit of work: a function of a transaction, retried only if nothing can have happened.

`transact` begins with the tenant, the credential and the limits, runs `work`, and commits. A
certain rollback is retried within the given time. A commit whose answer was lost is neither success
nor failure: `resolve` looks up the effect by its key on another connection.

`work` may run several times, so it must have no effect except through its connection.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from server.domain.errors import Aborted, DeadlineExceeded, ResourceExhausted, Unavailable
from server.domain.ids import TenantId
from server.store.connection import ControlTransaction, Transaction
from server.store.pool import begin
from server.store.shares import SharedPool

R = TypeVar("R")
Work = Callable[[Transaction], Awaitable[R]]
Resolve = Callable[[Transaction], Awaitable[R | None]]

NO_TENANT = TenantId(UUID(int=0))
TRIES = 3
# A call waits for a connection for half of its time, and at most this long.
ACQUIRE_SECONDS = 5.0
BACKOFF_SECONDS = 0.02

# The driver knows a statement or the type of a row from before a migration; it then forgets them.
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
# These errors prove a rollback, so the work can be retried.
_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    *_OUTDATED,
)
# After these errors a commit may or may not have happened.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection was cut in the middle of an answer
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)
_NOT_YET = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
# The deadline of the call ended a statement (its time limit) or a wait.
_TOO_LATE = (asyncpg.QueryCanceledError, TimeoutError)
_FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)

# Active commits. They continue after the caller has gone; a stopping server waits for them.
_commits: set[asyncio.Task[None]] = set()


class Savepoint:
    """A savepoint; rolling back to it undoes the changes and releases the locks made since."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def make(self) -> None:
        """Set the savepoint."""
        await self._tx.execute("SAVEPOINT place")

    async def keep(self) -> None:
        """Keep the changes made since the savepoint."""
        await self._tx.execute("RELEASE SAVEPOINT place")

    async def roll_back(self) -> None:
        """Undo the changes made since the savepoint."""
        await self._tx.execute("ROLLBACK TO SAVEPOINT place")
        await self.keep()


class _NothingHappenedError(Exception):
    """The connection was lost before the commit was sent: rolled back for certain."""


class _OutcomeUnknownError(Exception):
    """The connection was lost while the commit was under way."""


async def transact(
    pool: SharedPool,
    tenant_id: TenantId,
    work: Work[R],
    *,
    credential_id: UUID | None = None,
    seconds: float = 10.0,
    resolve: Resolve[R] | None = None,
) -> R:
    """Run `work` in one transaction of `tenant_id`, all or nothing, within `seconds`.

    The audit columns name `credential_id`; None is the service itself. Raises Aborted
    (CONCURRENT_CHANGE) after three lost conflicts, Unavailable (OUTCOME_UNKNOWN,
    STORE_UNAVAILABLE), ResourceExhausted (STORE_FULL, OVERLOADED), DeadlineExceeded, and what
    `work` raises.
    """
    deadline = time.monotonic() + seconds
    for attempt in range(1, TRIES + 1):
        try:
            left = deadline - time.monotonic()
            return await _attempt(pool, tenant_id, work, left, credential_id)
        except _OutcomeUnknownError as lost:
            resolved = await _look_up(pool, tenant_id, resolve, deadline)
            if resolved is not None:
                return resolved
            # Not found means that the commit did not happen, so the work may run again.
            if resolve is None or attempt == TRIES or time.monotonic() >= deadline:
                raise _outcome_unknown() from lost
        except (_NothingHappenedError, *_AGAIN) as error:
            # Random, so that transactions that met once do not meet again at the same time.
            pause = BACKOFF_SECONDS * attempt * (1 + random.random())
            if attempt == TRIES or time.monotonic() + pause >= deadline:
                is_lost = isinstance(error, _NothingHappenedError)
                raise (_unavailable() if is_lost else _concurrent_change()) from error
            await asyncio.sleep(pause)
        except _NOT_YET as error:
            raise _unavailable() from error
        except _TOO_LATE as error:
            raise too_late() from error
        except _FULL as error:
            raise store_full() from error
    raise AssertionError("every attempt returns or raises")


async def read(
    pool: SharedPool,
    tenant_id: TenantId,
    work: Work[R],
    *,
    seconds: float = 10.0,
    snapshot: bool = False,
) -> R:
    """Run `work`, which changes nothing, as `tenant_id`; a lost connection is STORE_UNAVAILABLE.

    Each statement reads its own moment; with `snapshot` all of them read the same one.
    """

    async def see_one_moment(tx: Transaction) -> R:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return await work(tx)

    async def once() -> R:
        if snapshot:
            return await _attempt(pool, tenant_id, see_one_moment, seconds)
        return await _look(pool, tenant_id, work, seconds)

    try:
        try:
            return await once()
        except _OUTDATED:
            return await once()
    except (_OutcomeUnknownError, _NothingHappenedError, *_NOT_YET) as error:
        raise _unavailable() from error
    except _TOO_LATE as error:
        raise too_late() from error


async def read_control(
    pool: SharedPool, work: Callable[[ControlTransaction], Awaitable[R]], *, seconds: float = 10.0
) -> R:
    """Run `work`, which changes nothing, as no tenant."""
    return await read(
        pool, NO_TENANT, lambda tx: work(ControlTransaction(tx.connection)), seconds=seconds
    )


async def _look(pool: SharedPool, tenant_id: TenantId, work: Work[R], seconds: float) -> R:
    """Run `work` without a transaction, on a connection whose session has the tenant."""
    connection = await _acquire(pool, tenant_id, seconds)
    pin = getattr(connection, "pin", None)
    if pin is None:
        await _release(pool, tenant_id, connection)
        return await _attempt(pool, tenant_id, work, seconds)
    try:
        # Outside a transaction no statement_timeout is set, so the limit is this one.
        async with asyncio.timeout(seconds):
            await pin(tenant_id)
            return await work(Transaction(connection, tenant_id))
    except TimeoutError:
        raise  # TimeoutError is an OSError, but the connection is intact
    except _OUTDATED:
        raise  # the connection is intact here, too
    except _LOST as error:
        _drop_confused(connection, error)
        raise _NothingHappenedError from error
    finally:
        await _release(pool, tenant_id, connection)


async def finish_commits() -> None:
    """Wait for the active commits whose callers have gone."""
    while _commits:
        await asyncio.wait(_commits)


async def _attempt(
    pool: SharedPool,
    tenant_id: TenantId,
    work: Work[R],
    seconds: float,
    credential_id: UUID | None = None,
) -> R:
    connection = await _acquire(pool, tenant_id, seconds)
    try:
        await connection.execute(begin(tenant_id, seconds, credential_id))
        result = await work(Transaction(connection, tenant_id))
    except BaseException as error:
        _drop_confused(connection, error)
        is_lost = isinstance(error, _LOST) and _is_gone(connection)
        # Shielded: a second cancellation must not return a connection with an open transaction.
        await asyncio.shield(_track(_abandon(pool, tenant_id, connection)))
        if is_lost:
            raise _NothingHappenedError from error
        raise
    # Shielded: if the caller is canceled now, the commit still ends and its outcome is known.
    await asyncio.shield(_track(_commit(pool, tenant_id, connection)))
    return result


async def _acquire(pool: SharedPool, tenant_id: TenantId, seconds: float) -> PoolConnectionProxy:
    """Return a connection within the tenant's share. Raises OVERLOADED, STORE_UNAVAILABLE."""
    # acquire's own timeout creates a task for each acquisition, even of an idle connection.
    try:
        async with asyncio.timeout(max(0.01, min(ACQUIRE_SECONDS, seconds / 2))):
            await pool.shares.acquire(tenant_id)
            try:
                return await pool.acquire()
            except BaseException:
                pool.shares.release(tenant_id)
                raise
    except TimeoutError as error:
        raise _overloaded() from error
    except _LOST as error:
        raise _unavailable() from error


async def _release(pool: SharedPool, tenant_id: TenantId, connection: PoolConnectionProxy) -> None:
    try:
        await pool.release(connection)
    finally:
        pool.shares.release(tenant_id)


def _is_gone(connection: PoolConnectionProxy) -> bool:
    # The pool takes back a cut connection by itself; its proxy then raises InterfaceError.
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


def _drop(connection: PoolConnectionProxy) -> None:
    if not _is_gone(connection):
        connection.terminate()


def _drop_confused(connection: PoolConnectionProxy, error: BaseException) -> None:
    """Close a connection whose driver no longer matches the server's answers."""
    if isinstance(error, asyncpg.InternalClientError) and not isinstance(error, _OUTDATED):
        _drop(connection)


def _track(step: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(step)
    _commits.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: "asyncio.Task[None]") -> None:
    _commits.discard(task)
    if not task.cancelled():
        task.exception()  # read, because asyncio logs exceptions that nobody read


async def _commit(pool: SharedPool, tenant_id: TenantId, connection: PoolConnectionProxy) -> None:
    try:
        done = await connection.execute("COMMIT")
    except _LOST as error:
        _drop(connection)
        raise _OutcomeUnknownError from error
    finally:
        await _release(pool, tenant_id, connection)
    # Postgres answers the COMMIT of a failed transaction with ROLLBACK, and no error.
    assert done == "COMMIT", done


async def _abandon(pool: SharedPool, tenant_id: TenantId, connection: PoolConnectionProxy) -> None:
    try:
        async with asyncio.timeout(1):
            await connection.execute("ROLLBACK")
    except (TimeoutError, asyncpg.PostgresError, *_LOST):
        # Closed, so that nobody gets a connection with an open transaction; the pool opens another.
        _drop(connection)
    finally:
        await _release(pool, tenant_id, connection)


async def _look_up(
    pool: SharedPool, tenant_id: TenantId, resolve: Resolve[R] | None, deadline: float
) -> R | None:
    left = deadline - time.monotonic()
    if resolve is None or left <= 0:
        return None
    try:
        return await _attempt(pool, tenant_id, resolve, left)
    except (
        _OutcomeUnknownError,
        _NothingHappenedError,
        Unavailable,
        ResourceExhausted,
        *_NOT_YET,
        *_TOO_LATE,
    ) as error:
        raise _outcome_unknown() from error


def _concurrent_change() -> Aborted:
    return Aborted(
        "CONCURRENT_CHANGE",
        "other calls changed the same rows; nothing happened, try the call again",
        retry_after_seconds=0.1,
    )


def _unavailable() -> Unavailable:
    return Unavailable(
        "STORE_UNAVAILABLE",
        "the store cannot be reached; nothing happened, try the call again",
        retry_after_seconds=1.0,
    )


def _overloaded() -> ResourceExhausted:
    return ResourceExhausted(
        "OVERLOADED",
        "no connection to the store became free in time; nothing happened, try again later",
        retry_after_seconds=1.0,
    )


def store_full() -> ResourceExhausted:
    """Return the refusal of a call for which the store has no room."""
    return ResourceExhausted(
        "STORE_FULL",
        "the store is full; nothing happened, try again when there is room",
        retry_after_seconds=5.0,
    )


def too_late() -> DeadlineExceeded:
    """Return the refusal of a call whose deadline has passed."""
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        "the deadline of this call passed; allow more time, or request less. A change may have"
        " taken effect all the same; the same request sent again shows it",
    )


def _outcome_unknown() -> Unavailable:
    return Unavailable(
        "OUTCOME_UNKNOWN",
        "the connection to the store was lost during the commit; sending the same request again is"
        " safe",
        retry_after_seconds=1.0,
    )
