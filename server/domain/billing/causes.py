"""The causes of corrections of what was posted."""

from enum import StrEnum


class Cause(StrEnum):
    """The cause of a correction."""

    LATE = "LATE"
    VOID = "VOID"
    AMEND = "AMEND"
    SALE = "SALE"
    RATE = "RATE"
