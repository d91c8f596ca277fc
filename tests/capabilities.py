"""The rows of `capabilities.toml` that the tests prove, as a record and as a ratchet.

A test that proves a row through the public API carries `@pytest.mark.capability("M40")`; one that
proves a part of a row with parts names the part: `"M9.code"`. A row with parts is proved when all
of them are. A run of the whole suite writes the marks of its passing tests to `.proved.json`;
`python -m tests.capabilities` prints what they prove, `… accept` adds those rows to `proved.txt`;
`… check` fails when a row of `proved.txt` is no longer proved. `proved.txt` only grows, unless a
row gets a part that is not proved.
"""

import json
import sys
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE.parent / ".proved.json"
RATCHET = HERE / "proved.txt"


@dataclass(frozen=True)
class Row:
    """A row of the checklist, and the title of each mark that a proof of it needs."""

    title: str
    marks: dict[str, str]

    def is_proved(self, done: Collection[str]) -> bool:
        """Return whether the marks include all that the row needs."""
        return self.marks.keys() <= set(done)


def rows() -> dict[str, Row]:
    """Return every row by its name, in order."""
    found: dict[str, Row] = {}
    for name, said in tomllib.loads((HERE / "capabilities.toml").read_text()).items():
        if isinstance(said, str):
            found[name] = Row(said, {name: said})
        else:
            title = said.pop("title")
            found[name] = Row(title, {f"{name}.{part}": text for part, text in said.items()})
    return found


def marks() -> list[str]:
    """Return all that a test may carry, in order."""
    return [mark for row in rows().values() for mark in row.marks]


def done() -> set[str]:
    """Return the marks that the last run of the suite proved."""
    if not RECORD.exists():
        sys.exit("capabilities: no record yet; run `make test` first")
    return set(json.loads(RECORD.read_text()))


def proved() -> set[str]:
    """Return the rows that the last run of the suite proved."""
    found = done()
    return {name for name, row in rows().items() if row.is_proved(found)}


def accepted() -> set[str]:
    """Return the rows of the ratchet."""
    return set(RATCHET.read_text().split())


def show() -> None:
    """Print each row, and the parts that keep it open."""
    known, found = rows(), done()
    for name, row in known.items():
        print(f"{name} {'proved' if row.is_proved(found) else 'open'} {row.title}")
        if len(row.marks) > 1:
            missing = {mark: text for mark, text in row.marks.items() if mark not in found}
            for mark, text in missing.items():
                print(f"    {mark} open {text}")
    print(f"capabilities: {len(proved())} of {len(known)} proved")


def accept() -> None:
    """Add the rows that are proved now to the ratchet."""
    wanted = accepted() | proved()
    RATCHET.write_text("".join(f"{name}\n" for name in rows() if name in wanted))
    print(f"capabilities: {len(wanted)} rows accepted")


def check() -> None:
    """Fail if a row of the ratchet is not proved."""
    lost = accepted() - proved()
    if lost:
        sys.exit(f"capabilities: proved before and not now: {', '.join(sorted(lost))}")
    print(f"capabilities: all {len(accepted())} accepted rows are proved")


if __name__ == "__main__":
    {"": show, "accept": accept, "check": check}["".join(sys.argv[1:])]()
