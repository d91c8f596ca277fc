"""Which rows of `capabilities.toml` the tests prove, as a record and as a ratchet.

A test that proves a row through the public API carries `@pytest.mark.capability("M40")`. A run of
the whole suite writes the rows its passing tests proved to `.proved.json`; `python -m
tests.capabilities` prints that record, `… accept` adds its rows to `proved.txt`; `… check` fails
when a row of `proved.txt` is no longer proved. `proved.txt` only grows.
"""

import json
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE.parent / ".proved.json"
RATCHET = HERE / "proved.txt"


def titles() -> dict[str, str]:
    """Every row and its title, in order."""
    return tomllib.loads((HERE / "capabilities.toml").read_text())


def proved() -> set[str]:
    """The rows that the last run of the suite proved."""
    if not RECORD.exists():
        sys.exit("capabilities: no record yet; run `make test` first")
    return set(json.loads(RECORD.read_text()))


def accepted() -> set[str]:
    """The rows of the ratchet."""
    return set(RATCHET.read_text().split())


def show() -> None:
    rows, done = titles(), proved()
    for row, title in rows.items():
        print(f"{row} {'proved' if row in done else 'open'} {title}")
    print(f"capabilities: {len(done)} of {len(rows)} proved")


def accept() -> None:
    rows = accepted() | proved()
    RATCHET.write_text("".join(f"{row}\n" for row in titles() if row in rows))
    print(f"capabilities: {len(rows)} rows accepted")


def check() -> None:
    lost = accepted() - proved()
    if lost:
        sys.exit(f"capabilities: proved before and not now: {', '.join(sorted(lost))}")
    print(f"capabilities: all {len(accepted())} accepted rows are proved")


if __name__ == "__main__":
    {"": show, "accept": accept, "check": check}["".join(sys.argv[1:])]()
