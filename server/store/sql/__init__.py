"""The named queries, read once.

A file holds the queries of the store module of the same name. Each begins with `-- name: …`, a
sentence that says why, and a line for each parameter with its type. A test prepares every one of
them against the migrated schema.
"""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(file: str) -> dict[str, str]:
    """The queries of `file` by name."""
    _, *parts = _NAME.split((Path(__file__).parent / file).read_text())
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
