"""The named queries, read once from files.

A file holds the queries of the store module of the same name. Each begins with `-- name: …`, a
comment with its result or its reason, and a line for each parameter with its type. A test prepares
every query against the migrated schema.
"""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(file: str) -> dict[str, str]:
    """Return the queries of `file` by name."""
    _, *parts = _NAME.split((Path(__file__).parent / file).read_text())
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
