"""ARQ as the doorbell: one function that wakes the sweep, and nothing else.

A cut of Redis ends ARQ's loop; ours starts it again with a pause, while the sweep goes on without.
"""

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import structlog
from arq.worker import Worker, func

from server.doorbell import FUNCTION, QUEUE, dump, load, redis_settings

if TYPE_CHECKING:
    from arq.typing import WorkerCoroutine

log = structlog.get_logger("doorbell")

FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 0.5, 30.0


async def answer(bell: asyncio.Event, redis_url: str) -> None:
    """Set `bell` whenever somebody rings, for as long as the task lives."""
    rest = FIRST_REST_SECONDS / 2

    async def sweep(_context: dict[str, Any]) -> None:
        bell.set()

    while True:
        worker = Worker(
            [
                func(
                    cast("WorkerCoroutine", sweep),
                    name=FUNCTION,
                    timeout=5,
                    keep_result=0,
                    max_tries=1,
                )
            ],
            queue_name=QUEUE,
            redis_settings=redis_settings(redis_url),
            job_serializer=dump,
            job_deserializer=load,
            handle_signals=False,
            poll_delay=0.05,
            log_results=False,
        )
        started = time.monotonic()
        try:
            await worker.async_run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            lasted = time.monotonic() - started > LONGEST_REST_SECONDS
            rest = FIRST_REST_SECONDS if lasted else min(LONGEST_REST_SECONDS, rest * 2)
            log.warning("bell_silent", error=type(error).__name__, rest_seconds=rest)
        finally:
            await _close(worker)
        await asyncio.sleep(rest)


async def _close(worker: Worker) -> None:
    """End a worker and its connections, also when Redis is gone, which is why we may be here."""
    with suppress(Exception):
        await worker.close()
    # ARQ says goodbye to Redis first, and keeps its connections when nobody answers.
    with suppress(Exception):
        await worker.pool.aclose(close_connection_pool=True)
