"""Waiting for a Postgres that is starting, and explaining why one refuses."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import asyncpg

POLL_SECONDS = 0.1
SAY_SECONDS = 5.0
CONNECT_SECONDS = 10.0
UNREADABLE = "the URL in the settings"

# Postgres is starting, stopping or restarting, or has no free connection: it may answer soon.
_NOT_YET = (
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    ConnectionError,
    FileNotFoundError,  # the socket's file
    TimeoutError,
)
_NOT_YET_ERRNO = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}
# All errors of a connection attempt; those that are not temporary end the wait at once.
_REFUSED = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)


class StoreUnreachableError(Exception):
    """Postgres cannot be used; the message names the address and the reason."""


async def wait_for_store(dsn: str, seconds: float, say: Callable[[str, str], None]) -> None:
    """Return as soon as Postgres accepts a connection; wait for at most `seconds`.

    `say` gets the address and the reason at once and then every five seconds. Raises
    StoreUnreachableError, without waiting if the login, the password or the database is wrong.
    """
    limit = time.monotonic() + seconds
    report_time = float("-inf")
    while True:
        patience = max(1.0, min(CONNECT_SECONDS, limit - time.monotonic()))
        try:
            connection = await asyncpg.connect(dsn, timeout=patience, statement_cache_size=0)
        except _REFUSED as error:
            now = time.monotonic()
            if not is_temporary(error):
                raise StoreUnreachableError(
                    f"Postgres at {place(dsn)} cannot be used: {_text(error)}"
                ) from error
            if now >= limit:
                waited = f"Postgres at {place(dsn)} did not answer in {seconds:g} s: {_text(error)}"
                raise StoreUnreachableError(waited) from error
            if now - report_time >= SAY_SECONDS:
                say(place(dsn), _text(error))
                report_time = now
        else:
            await connection.close(timeout=CONNECT_SECONDS)
            return
        await asyncio.sleep(POLL_SECONDS)


def is_temporary(error: BaseException) -> bool:
    """Return True for an error that ends when Postgres has started."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, _NOT_YET):
        return True
    if not isinstance(error, OSError):
        return False
    # A host name with several addresses fails with one error that joins the errors of all.
    return error.errno in _NOT_YET_ERRNO or str(error).startswith("Multiple exceptions")


def place(dsn: str) -> str:
    """Return the address of a DSN, without its password."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return UNREADABLE
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return UNREADABLE  # A slash in a password moves a part of it here.
    query = f"?{parts.query}" if parts.query and "password" not in parts.query else ""
    user, at, host = parts.netloc.rpartition("@")
    return f"{user.partition(':')[0]}{at}{host}{parts.path}{query}"


def _text(error: BaseException) -> str:
    if type(error) is ValueError:  # Its text may quote a part of the password.
        return "its URL cannot be read; are special characters in it percent-encoded?"
    return str(error) or type(error).__name__
