"""The receiver of job signals: an ARQ worker with one function, which wakes the sweep.

ARQ's loop ends when Redis is cut off; this module restarts it after a pause. The sweep continues
without it.
"""

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func

from server.runtime.job_signal import FUNCTION, QUEUE, connect, dump, leave, load

if TYPE_CHECKING:
    from arq.typing import WorkerCoroutine

log = structlog.get_logger("job_signal")

FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 0.5, 30.0


async def answer(jobs_waiting: asyncio.Event, redis_url: str) -> None:
    """Set `jobs_waiting` at every job signal, until canceled."""
    rest = FIRST_REST_SECONDS / 2

    async def sweep(_context: dict[str, Any]) -> None:
        jobs_waiting.set()

    while True:
        started, redis = time.monotonic(), None
        try:
            redis = await connect(redis_url)
            await _listen(redis, cast("WorkerCoroutine", sweep))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            lasted = time.monotonic() - started > LONGEST_REST_SECONDS
            rest = FIRST_REST_SECONDS if lasted else min(LONGEST_REST_SECONDS, rest * 2)
            log.warning("job_signal_listener_failed", error=type(error).__name__, rest_seconds=rest)
        finally:
            # ARQ talks to Redis before it closes, and leaves its connections open if that fails.
            await leave(redis)
        await asyncio.sleep(rest)


async def _listen(redis: ArqRedis, sweep: "WorkerCoroutine") -> None:
    """Run an ARQ worker that calls `sweep` for every signal, until Redis is cut off."""
    worker = Worker(
        # Not retried and not stored: a lost signal delays a job by at most one poll.
        [func(sweep, name=FUNCTION, timeout=5, keep_result=0, max_tries=1)],
        queue_name=QUEUE,
        redis_pool=redis,
        job_serializer=dump,
        job_deserializer=load,
        handle_signals=False,
        poll_delay=0.05,
        log_results=False,
    )
    try:
        await worker.async_run()
    finally:
        with suppress(Exception):
            await worker.close()
