"""The causes for which final usage is computed again."""

from enum import StrEnum


class Cause(StrEnum):
    """The reason why a final period is not as it was settled. Source: R26."""

    LATE = "LATE"
    VOID = "VOID"
    AMEND = "AMEND"
    SALE = "SALE"
    RATE = "RATE"
    REBIND = "REBIND"
