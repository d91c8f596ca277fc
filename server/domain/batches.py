"""What a batch did to each of its items."""

from enum import StrEnum


class BatchOutcome(StrEnum):
    """What became of one item of a batch that succeeded as a whole."""

    CREATED = "CREATED"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"
