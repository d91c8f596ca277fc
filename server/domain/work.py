"""The kinds of job there are, and which goes first when several are due at one moment."""

from enum import StrEnum


class JobKind(StrEnum):
    """What a job does; `workers.tasks` has one task for each."""

    CLOSE_PERIOD = "close_period"
    REFRESH_GRANTS = "refresh_grants"
    VALIDATE_CATALOG = "validate_catalog"
    RATE_BATCH = "rate_batch"
    ADVANCE_CLOCK = "advance_clock"

    @property
    def rank(self) -> int:
        """Freeze and drawdown come before refresh; the clock moves when nothing else is due."""
        return _RANKS[self]


_RANKS = {
    JobKind.CLOSE_PERIOD: 0,
    JobKind.REFRESH_GRANTS: 2,
    JobKind.VALIDATE_CATALOG: 50,
    JobKind.RATE_BATCH: 60,
    JobKind.ADVANCE_CLOCK: 99,
}

CLOSE_TOKENS_RANK = 1
"""Tokens are closed after what is rated in them."""
