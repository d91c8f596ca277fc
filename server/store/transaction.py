"""The unit of work: a function of a transaction, tried again only when that is certain to be right.

`transact` begins with the tenant, the credential and the limits, runs `work`, and commits. What was
rolled back for certain is tried again within the time given. A commit whose answer was lost is
neither success nor failure: `resolve` looks the effect up by its key on another connection, and
decides.

`work` may run several times, so it has no effect but through the connection it is given.
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
# How long a call waits for a connection: half of its time, and not longer than this.
ACQUIRE_SECONDS = 5.0
BACKOFF_SECONDS = 0.02

# Rolled back for certain.
_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
)
# Whether the commit happened, nobody can say.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's state after a cut in the middle of an answer
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)
_NOT_YET = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
# A statement ended by its time limit, which is the deadline of the call, or a wait that did.
_TOO_LATE = (asyncpg.QueryCanceledError, TimeoutError)
_FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)

# Commits under way. They outlive a caller that goes away; a stopping server waits for them.
_commits: set[asyncio.Task[None]] = set()


class Savepoint:
    """A place in a transaction to which it can return, giving up what it did and locked since."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def make(self) -> None:
        """Mark the place."""
        await self._tx.execute("SAVEPOINT place")

    async def keep(self) -> None:
        """Go on with what was done since."""
        await self._tx.execute("RELEASE SAVEPOINT place")

    async def give_up(self) -> None:
        """Undo what was done since."""
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
    """Do `work` in one transaction of `tenant_id`, or nothing, within `seconds`.

    What it makes and changes is noted as done by `credential_id`; None is the service itself.
    Raises Aborted (CONCURRENT_CHANGE) when others were quicker three times, Unavailable
    (OUTCOME_UNKNOWN, STORE_UNAVAILABLE), ResourceExhausted (STORE_FULL, OVERLOADED),
    DeadlineExceeded, and what `work` raises.
    """
    deadline = time.monotonic() + seconds
    for attempt in range(1, TRIES + 1):
        try:
            left = deadline - time.monotonic()
            return await _attempt(pool, tenant_id, work, left, credential_id)
        except _OutcomeUnknownError as lost:
            found = await _look_up(pool, tenant_id, resolve, deadline)
            if found is not None:
                return found
            if resolve is None or attempt == TRIES or time.monotonic() >= deadline:
                raise _outcome_unknown() from lost
        except (_NothingHappenedError, *_AGAIN) as error:
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
    """Do `work`, which changes nothing, as `tenant_id`: a lost connection is only unavailable.

    Its statements stand alone; with `snapshot` they all see one moment.
    """

    async def see_one_moment(tx: Transaction) -> R:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return await work(tx)

    try:
        if snapshot:
            return await _attempt(pool, tenant_id, see_one_moment, seconds)
        return await _look(pool, tenant_id, work, seconds)
    except (_OutcomeUnknownError, _NothingHappenedError, *_NOT_YET) as error:
        raise _unavailable() from error
    except _TOO_LATE as error:
        raise too_late() from error


async def read_control(
    pool: SharedPool, work: Callable[[ControlTransaction], Awaitable[R]], *, seconds: float = 10.0
) -> R:
    """Do `work`, which changes nothing, as no tenant."""
    return await read(
        pool, NO_TENANT, lambda tx: work(ControlTransaction(tx.connection)), seconds=seconds
    )


async def _look(pool: SharedPool, tenant_id: TenantId, work: Work[R], seconds: float) -> R:
    """Do `work` statement by statement, on a connection whose session is the tenant's."""
    connection = await _acquire(pool, tenant_id, seconds)
    pin = getattr(connection, "pin", None)
    if pin is None:
        await _release(pool, tenant_id, connection)
        return await _attempt(pool, tenant_id, work, seconds)
    try:
        async with asyncio.timeout(seconds):
            await pin(tenant_id)
            return await work(Transaction(connection, tenant_id))
    except TimeoutError:
        raise  # an OSError too, but the connection is well
    except _LOST as error:
        _drop_confused(connection, error)
        raise _NothingHappenedError from error
    finally:
        await _release(pool, tenant_id, connection)


async def finish_commits() -> None:
    """Wait for the commits whose callers have gone."""
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
        await asyncio.shield(_track(_abandon(pool, tenant_id, connection)))
        if is_lost:
            raise _NothingHappenedError from error
        raise
    # From here on nobody can take it back: a caller that goes away leaves the commit to itself.
    await asyncio.shield(_track(_commit(pool, tenant_id, connection)))
    return result


async def _acquire(pool: SharedPool, tenant_id: TenantId, seconds: float) -> PoolConnectionProxy:
    """Return a connection once the tenant may have one. Raises OVERLOADED, STORE_UNAVAILABLE."""
    # Not acquire's own timeout: it makes a task of every acquisition, also of an idle connection.
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
    # The pool takes a cut connection back by itself, and the proxy then refuses every question.
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


def _drop(connection: PoolConnectionProxy) -> None:
    if not _is_gone(connection):
        connection.terminate()


def _drop_confused(connection: PoolConnectionProxy, error: BaseException) -> None:
    """Nobody can use a connection again whose driver no longer knows what was answered."""
    if isinstance(error, asyncpg.InternalClientError):
        _drop(connection)


def _track(step: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(step)
    _commits.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: "asyncio.Task[None]") -> None:
    _commits.discard(task)
    if not task.cancelled():
        task.exception()  # seen: the caller may have gone, and asyncio complains of the unseen


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
        "others changed the same rows; nothing happened, try the call again",
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
    """The refusal of a call for which the store has no room."""
    return ResourceExhausted(
        "STORE_FULL",
        "the store is full; nothing happened, try again when there is room",
        retry_after_seconds=5.0,
    )


def too_late() -> DeadlineExceeded:
    """The refusal of a call whose time is up."""
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        "the time for this call was up; give it more, or ask for less. Whether a change took effect"
        " all the same, the same request sent again tells",
    )


def _outcome_unknown() -> Unavailable:
    return Unavailable(
        "OUTCOME_UNKNOWN",
        "the store went away during the commit; sending the same request again is safe",
        retry_after_seconds=1.0,
    )
