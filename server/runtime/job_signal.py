"""Signals to the workers, through Redis, that a commit may have added jobs.

A signal has no content and may be lost: workers poll every second anyway. Sending never waits and
never fails a call. Signals during a send are merged into one.
"""

import asyncio
from contextlib import suppress

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from server import metrics

log = structlog.get_logger("job_signal")

FUNCTION = "sweep"
QUEUE = "usage:rings"
SEND_SECONDS = 0.05
CONNECT_SECONDS = 1.0
LONGEST_REST_SECONDS = 30.0


async def connect(url: str) -> ArqRedis:
    """Connect to Redis in one short attempt, for senders and listeners.

    ARQ's `create_pool` is not used, because it leaves its connection open if Redis answers with an
    error.
    """
    pool: ConnectionPool = ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_SECONDS)
    redis = ArqRedis(pool, job_serializer=dump, job_deserializer=load, default_queue_name=QUEUE)
    try:
        await redis.ping()
    except BaseException:
        await leave(redis)
        raise
    return redis


async def leave(redis: ArqRedis | None) -> None:
    """Close the connection; errors are ignored, because Redis may have gone."""
    if redis is not None:
        with suppress(Exception):
            await redis.aclose(close_connection_pool=True)


class JobSignal:
    """Sends job signals to the workers; without a Redis it does nothing."""

    def __init__(self, redis_url: str | None) -> None:
        self._url = redis_url
        self._pressed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def silent(cls) -> "JobSignal":
        """Return a JobSignal that does nothing."""
        return cls(None)

    def notify(self) -> None:
        """Request a signal; returns at once."""
        self._pressed.set()

    async def start(self) -> None:
        """Begin to send signals."""
        if self._url is not None:
            self._task = asyncio.create_task(self._send(self._url))

    async def close(self) -> None:
        """Stop; the workers' polling finds jobs whose signals were not sent."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _send(self, url: str) -> None:
        rest = 0.0
        redis: ArqRedis | None = None
        try:
            while True:
                await self._pressed.wait()
                # Cleared before the send, so that a later request causes another signal.
                self._pressed.clear()
                try:
                    if redis is None:
                        async with asyncio.timeout(CONNECT_SECONDS):
                            redis = await connect(url)
                    async with asyncio.timeout(SEND_SECONDS):
                        await redis.enqueue_job(FUNCTION, _queue_name=QUEUE)
                    rest = 0.0
                except Exception as error:
                    metrics.JOB_SIGNALS_DROPPED.inc()
                    rest = min(LONGEST_REST_SECONDS, rest * 2 or 0.5)
                    log.warning("job_signal_dropped", error=type(error).__name__, rest_seconds=rest)
                    await leave(redis)
                    redis = None
                    await asyncio.sleep(rest)
        finally:
            await leave(redis)


def dump(value: dict[str, object]) -> bytes:
    """Return a job as JSON; ARQ's default, pickle, would execute what it reads."""
    return msgspec.json.encode(value)


def load(data: bytes) -> dict[str, object]:
    """Return a job from JSON."""
    job: dict[str, object] = msgspec.json.decode(data)
    return job
