"""`python -m workers`: runs due jobs until SIGTERM, then finishes the jobs it has begun."""

import asyncio
import signal
import sys
from contextlib import suppress

import structlog
import uvloop

from server.app import open_env, tune_garbage_collector
from server.config import Config, read_config
from server.log import configure, note_loop_error
from server.runtime.startup import exit_code, store_answers
from workers.listener import answer
from workers.sweep import sweep_for_ever
from workers.tasks.registry import TASKS

log = structlog.get_logger("workers")


async def work(config: Config) -> None:
    """Run the sweep until a signal; a second signal ends at once."""
    jobs_waiting, stopping = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(note_loop_error)

    def stop(number: int) -> None:
        if stopping.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stopping.set()
        # Wakes the sweep, so that it stops at once.
        jobs_waiting.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    if not await store_answers(config, stopping):
        return
    async with open_env(config) as env:
        listening = (
            asyncio.create_task(answer(jobs_waiting, config.redis_url))
            if config.redis_url
            else None
        )
        log.info("working", concurrency=config.worker_concurrency, redis=bool(config.redis_url))
        await sweep_for_ever(env.pool, TASKS, config, jobs_waiting=jobs_waiting, stopping=stopping)
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    log.info("stopped")


def main() -> int:
    """Read the settings and run the worker; return the exit code."""

    def run() -> int:
        config = read_config()
        configure(config.log_format, config.log_level)
        tune_garbage_collector()
        uvloop.run(work(config))
        return 0

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
