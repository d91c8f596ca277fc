"""Documents: JSON that a row keeps; each carries its version."""

from typing import Any

VERSION = 1


Document = dict[str, Any]


def check_version(doc: Document) -> None:
    """Refuse a document that is not of this version."""
    if doc["v"] != VERSION:
        raise ValueError(f"a document of version {doc['v']}; this server reads {VERSION}")
