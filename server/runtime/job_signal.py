"""The doorbell: after a commit the server rings the workers through Redis, if Redis is there.

A ring carries nothing and may be lost: the workers look every second anyway. Ringing never waits
and never fails a call; rings that come while one is on its way are that ring.
"""

import asyncio
from contextlib import suppress

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from server import metrics

log = structlog.get_logger("doorbell")

FUNCTION = "sweep"
QUEUE = "usage:rings"
RING_SECONDS = 0.05
CONNECT_SECONDS = 1.0
LONGEST_REST_SECONDS = 30.0


async def connect(url: str) -> ArqRedis:
    """Connect as both sides do: one try, quickly, since nobody depends on it.

    Not by ARQ's `create_pool`, which leaves its connection open when Redis answers with an error.
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
    """Close what is open, also when nobody answers any more."""
    if redis is not None:
        with suppress(Exception):
            await redis.aclose(close_connection_pool=True)


class JobSignal:
    """Rings the workers; without a Redis it is silent."""

    def __init__(self, redis_url: str | None) -> None:
        self._url = redis_url
        self._pressed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def silent(cls) -> "JobSignal":
        """One that rings nobody."""
        return cls(None)

    def ring(self) -> None:
        """Say that there is work; returns at once."""
        self._pressed.set()

    async def start(self) -> None:
        """Begin to pass rings on."""
        if self._url is not None:
            self._task = asyncio.create_task(self._pass_on(self._url))

    async def close(self) -> None:
        """Stop; what was not passed on is found by the workers themselves."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _pass_on(self, url: str) -> None:
        rest = 0.0
        redis: ArqRedis | None = None
        try:
            while True:
                await self._pressed.wait()
                self._pressed.clear()
                try:
                    if redis is None:
                        async with asyncio.timeout(CONNECT_SECONDS):
                            redis = await connect(url)
                    async with asyncio.timeout(RING_SECONDS):
                        await redis.enqueue_job(FUNCTION, _queue_name=QUEUE)
                    rest = 0.0
                except Exception as error:
                    metrics.JOB_SIGNALS_DROPPED.inc()
                    rest = min(LONGEST_REST_SECONDS, rest * 2 or 0.5)
                    log.warning("ring_dropped", error=type(error).__name__, rest_seconds=rest)
                    await leave(redis)
                    redis = None
                    await asyncio.sleep(rest)
        finally:
            await leave(redis)


def dump(value: dict[str, object]) -> bytes:
    """A job as JSON: never pickle, which runs what it reads."""
    return msgspec.json.encode(value)


def load(data: bytes) -> dict[str, object]:
    """A job from JSON."""
    found: dict[str, object] = msgspec.json.decode(data)
    return found
