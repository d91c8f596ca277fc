"""Refusals that name the line of a sale."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.domain.errors import UsageError


@contextmanager
def of_line(position: int) -> Iterator[None]:
    """Add a line to refusals: its number, from 1, to the message, its position to the facts."""
    try:
        yield
    except UsageError as refusal:
        refusal.message = f"line {position + 1}: {refusal.message}"
        refusal.facts["line"] = str(position)
        raise
