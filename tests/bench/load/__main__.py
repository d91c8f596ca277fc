"""`python -m tests.bench.load [--overload] [--small] [--seconds N] [--rate N] [--json FILE]`.

It starts a stack of its own, loads it, prints a table for people and writes JSON for programs.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.load import report
from tests.bench.load.overload import overload
from tests.bench.load.steady import steady
from tests.bench.stack import stack

PROCESSES = 2
USUAL_SECONDS, SMALL_SECONDS, SMALL_OVERLOAD_SECONDS = 60.0, 4.0, 5.0


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    async with stack(PROCESSES) as running:
        if arguments.overload:
            seconds = SMALL_OVERLOAD_SECONDS if arguments.small else arguments.seconds
            return await overload(running, seconds)
        seconds = SMALL_SECONDS if arguments.small else arguments.seconds
        return await steady(running, seconds, arguments.rate)


def main() -> int:
    """Do what the command line says; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    parser.add_argument("--overload", action="store_true", help="offer three times the capacity")
    parser.add_argument("--small", action="store_true", help="a few seconds, to see that it works")
    parser.add_argument("--seconds", type=float, default=USUAL_SECONDS, help="for how long")
    parser.add_argument("--rate", type=float, help="lookups a second; else half the capacity")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    figures = asyncio.run(_run(arguments))
    report.show(figures)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    if arguments.json:
        text = json.dumps({"machine": machine, "processes": PROCESSES, **figures}, indent=2)
        arguments.json.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
