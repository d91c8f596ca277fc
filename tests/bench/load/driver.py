"""`python -m tests.bench.load.driver`: loads a service as a process of its own.

It reads a job a line from its input, a pickled plan with its requests in base64, and answers each
with a line of figures in the same form. `Drivers` starts several and shares a load among them.
"""

import asyncio
import base64
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import uvloop

from clients.histogram import Histogram
from clients.load import Figures, Load, Plan
from tests.bench.load.wire import WireLoad

LINE_BYTES = 64 * 1024 * 1024


class Drivers:
    """Processes that each make their share of a load."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], *, wire: bool) -> None:
        self._processes, self._wire = processes, wire

    async def run(self, plan: Plan, asked: Sequence[bytes]) -> Figures:
        """Load the service by `plan`, connections and rate in equal shares; the sum of figures."""
        parts = len(self._processes)
        share = replace(
            plan,
            connections=max(1, plan.connections // parts),
            rate=None if plan.rate is None else plan.rate / parts,
        )
        all_figures = await asyncio.gather(
            *(_ask(process, (share, list(asked), self._wire)) for process in self._processes)
        )
        return total(all_figures)


def total(parts: Sequence[Figures]) -> Figures:
    """Return the figures of several drivers as those of one."""
    whole = Figures()
    for part in parts:
        for field in fields(Figures):
            mine, theirs = getattr(whole, field.name), getattr(part, field.name)
            if isinstance(mine, Histogram):
                mine.add(theirs)
            elif isinstance(mine, int):
                setattr(whole, field.name, mine + theirs)
            else:
                mine.update(theirs)
    return whole


@asynccontextmanager
async def drivers(count: int, *, wire: bool = False) -> AsyncIterator[Drivers]:
    """Start so many driver processes, which end with the context; `wire` is the cheaper client."""
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.bench.load.driver",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=LINE_BYTES,
        )
        for _ in range(count)
    ]
    try:
        yield Drivers(started, wire=wire)
    finally:
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
        for process in started:
            await process.wait()


async def _ask(process: asyncio.subprocess.Process, job: tuple[Plan, list[bytes], bool]) -> Figures:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_line(job))
    await process.stdin.drain()
    answer = await process.stdout.readline()
    if not answer:
        raise RuntimeError("a load driver ended early; its reason is above")
    figures: Figures = pickle.loads(base64.b64decode(answer))
    return figures


def _line(value: object) -> bytes:
    return base64.b64encode(pickle.dumps(value)) + b"\n"


def main() -> None:
    """Do jobs until the input ends."""
    for line in sys.stdin.buffer:
        plan, asked, wire = pickle.loads(base64.b64decode(line))
        load = WireLoad(plan, asked) if wire else Load(plan, asked)
        figures = uvloop.run(load.run(lambda _: None))
        sys.stdout.buffer.write(_line(figures))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
