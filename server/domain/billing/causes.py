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

    @property
    def is_of_usage(self) -> bool:
        """True if the cause changes usage of marked periods only."""
        return self in (Cause.LATE, Cause.VOID, Cause.AMEND)
