"""JSON documents in rows; each carries its version."""

from typing import Any

VERSION = 1


Document = dict[str, Any]


def check_version(doc: Document) -> None:
    """Raise ValueError unless a document has the version that this server reads."""
    if doc["v"] != VERSION:
        raise ValueError(f"a document of version {doc['v']}; this server reads {VERSION}")
