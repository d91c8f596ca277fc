"""The start of a program: waits for Postgres; a failure becomes a sentence and an exit code."""

import asyncio
import sys
from collections.abc import Callable

import asyncpg
import structlog

from server.config import Config, ConfigError
from server.domain.errors import UsageError
from server.store.migrate import MigrationError
from server.store.waiting import StoreUnreachableError, is_temporary, wait_for_store

log = structlog.get_logger("startup")

REFUSED, MISUSED, UNREACHABLE = 1, 2, 3


def exit_code(run: Callable[[], int]) -> int:
    """Return the result of `run`, or the exit code of its failure; the reason goes to stderr."""
    try:
        return run()
    except ConfigError as error:
        return _fail(MISUSED, f"settings: {error}")
    except (MigrationError, UsageError) as error:
        return _fail(REFUSED, str(error))
    except StoreUnreachableError as error:
        return _fail(UNREACHABLE, str(error))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Any other error of the store is a fault of the program, so its traceback is shown.
        if not is_temporary(error):
            raise
        return _fail(UNREACHABLE, f"Postgres went away: {error}")


async def store_answers(
    config: Config, stopping: asyncio.Event | None = None, *, dsn: str | None = None
) -> bool:
    """Wait for Postgres; return False if `stopping` was set before it answered.

    Raises StoreUnreachableError after USAGE_STORE_WAIT_SECONDS, or at once if it refuses the login.
    """
    where, seconds = dsn or config.database_url, config.store_wait_seconds
    waiting = asyncio.create_task(wait_for_store(where, seconds, _say))
    if stopping is None:
        await waiting
        return True
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({waiting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
        return not stopping.is_set()
    finally:
        for task in (waiting, stop):
            task.cancel()


def _say(place: str, reason: str) -> None:
    log.warning("waiting_for_postgres", place=place, reason=reason)


def _fail(code: int, text: str) -> int:
    print(text, file=sys.stderr)
    return code
