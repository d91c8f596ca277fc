"""`python -m tests.bench [--small] [--json FILE]`: a table for people, JSON for programs.

It measures a stack of its own; `usage bench rates` loads a service that runs.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench.corrections import corrections
from tests.bench.lookups import lookups, wallet_reads
from tests.bench.recording import recording
from tests.bench.selling import selling
from tests.bench.snapshots import snapshots
from tests.bench.stack import stack
from tests.bench.validation import validation


async def measure(*, small: bool) -> list[dict[str, Any]]:
    """Every row, on one stack."""
    seconds, batches, accounts = (1.0, 5, 20) if small else (5.0, 100, 900)
    products, orders = (100, 50) if small else (2_000, 1_000)
    sizes = (1_200,) if small else (1_200, 120_000)
    started = time.perf_counter()
    async with stack() as running:
        rows = [
            {
                "what": "start to serving, warm, with initdb",
                "value": time.perf_counter() - started,
                "unit": "s",
                "target": "≤ 15",
            }
        ]
        for name, step in (
            ("lookups", lookups(running, seconds)),
            ("rate snapshots", snapshots(running, sizes)),
            ("wallet reads", wallet_reads(running, seconds)),
            ("recording", recording(running, batches, accounts)),
            ("validation", validation(running, products)),
            ("selling", selling(running, orders)),
        ):
            print(f"bench: {name} …", file=sys.stderr, flush=True)
            rows += await step
    print("bench: corrections …", file=sys.stderr, flush=True)
    return rows + await corrections(months=13 if small else 24)


def show(rows: list[dict[str, Any]]) -> None:
    """A table."""
    table = Table("what", "measured", "yardstick", "ratio", "target")
    for row in rows:
        yardstick, ratio = "–", "–"
        if "yardstick" in row:
            yardstick = f"{row['yardstick']}: {row['yardstick_value']:,.0f}"
            ratio = f"{row['ratio']:.0%}"
        value = row["value"]
        figure = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
        table.add_row(row["what"], f"{figure} {row['unit']}", yardstick, ratio, row["target"])
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a minute, to see that it works")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    rows = asyncio.run(measure(small=arguments.small))
    show(rows)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
