"""The outcomes of the items of a batch."""

from enum import StrEnum


class BatchOutcome(StrEnum):
    """The outcome of one item of a batch that succeeded as a whole."""

    CREATED = "CREATED"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"
