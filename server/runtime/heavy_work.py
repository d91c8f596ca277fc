"""Heavy work: calls that compute for seconds run in a separate process, tenants in turn.

The event loop, and so every other call, continues meanwhile. The process is started for the first
such call, has a lower priority, and is restarted if it dies.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import structlog

from server import metrics
from server.domain.errors import ResourceExhausted, Unavailable
from server.domain.ids import TenantId
from server.local.processes import end_with_parent

log = structlog.get_logger("heavy_work")

R = TypeVar("R")

# The most calls of one tenant that wait for their turn; more are refused.
MAX_WAITING = 32
NICENESS = 10
RETRY_SECONDS = 1.0


class HeavyWork:
    """Runs functions in another process, one at a time, tenants in turn."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._processes: set[multiprocessing.process.BaseProcess] = set()
        self._is_busy = False
        self._waiting: OrderedDict[TenantId, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, tenant_id: TenantId, function: Callable[..., R], *args: object) -> R:
        """Return `function(*args)`; the function, its arguments, result and errors are pickled.

        A canceled caller stops waiting, but the function runs to its end, so it must have a time
        limit. Raises TENANT_BUSY, PROCESS_LOST and the errors of `function`.
        """
        await self._turn(tenant_id)
        try:
            done = self._submitted(function, *args)
        except BaseException:
            self._next()
            raise
        done.add_done_callback(self._ended)
        try:
            # Shielded: canceling a running future would not stop the process, which is still busy.
            return await asyncio.shield(done)
        except BrokenProcessPool as error:
            log.warning("heavy_work_lost", function=function.__name__)
            raise Unavailable(
                "PROCESS_LOST",
                "the process that computed this ended; nothing happened, try the call again",
                retry_after_seconds=RETRY_SECONDS,
            ) from error

    def close(self) -> None:
        """Terminate the process; its work has no effects."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.terminate()

    async def _turn(self, tenant_id: TenantId) -> None:
        """Wait for the tenant's turn. Raises TENANT_BUSY."""
        if not self._is_busy:
            self._is_busy = True
            return
        queue = self._waiting.setdefault(tenant_id, deque())
        if len(queue) >= MAX_WAITING:
            metrics.CALLS_SHED.labels(reason="TENANT_BUSY").inc()
            raise ResourceExhausted(
                "TENANT_BUSY",
                f"{MAX_WAITING} heavy calls of this tenant wait for their turn; try again later",
                {"limit": str(MAX_WAITING)},
                retry_after_seconds=RETRY_SECONDS,
            )
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # The turn was given just before the cancellation, so it must be passed on.
            if turn.done() and not turn.cancelled():
                self._next()
            elif turn in queue:
                queue.remove(turn)
            raise

    def _submitted(self, function: Callable[..., R], *args: object) -> "asyncio.Future[R]":
        try:
            return asyncio.wrap_future(self._started().submit(function, *args))
        except BrokenProcessPool:
            # The process died while it was idle, or during a call that was canceled.
            self._executor = None
            return asyncio.wrap_future(self._started().submit(function, *args))

    def _ended(self, done: "asyncio.Future[R]") -> None:
        """Discard a process that died, and pass on the turn."""
        if not done.cancelled() and isinstance(done.exception(), BrokenProcessPool):
            self._executor = None
        self._next()

    def _next(self) -> None:
        """Pass the turn to the tenant that has waited longest."""
        while self._waiting:
            tenant_id, queue = self._waiting.popitem(last=False)
            turn = queue.popleft() if queue else None
            if queue:
                self._waiting[tenant_id] = queue
            if turn is not None and not turn.done():
                turn.set_result(None)
                return
        self._is_busy = False

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            before = set(multiprocessing.active_children())
            self._executor = ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare
            )
            # The executor starts its process with the first task, in this thread. It must be the
            # thread of the event loop, because Linux ends a child with the thread that started it.
            self._executor.submit(os.getpid)
            self._processes = set(multiprocessing.active_children()) - before
        return self._executor


def _prepare() -> None:
    """Lower the priority, and end with the server."""
    # Ctrl-C reaches all processes of the terminal; the server decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    if sys.platform.startswith("linux"):
        end_with_parent(signal.SIGKILL)
