"""The kinds of job, and their order when several are due at one moment."""

from enum import StrEnum


class JobKind(StrEnum):
    """The kind of a job; `workers.tasks` has one task for each."""

    CLOSE_PERIOD = "close_period"
    REFRESH_GRANTS = "refresh_grants"
    VALIDATE_CATALOG = "validate_catalog"
    RATE_BATCH = "rate_batch"
    VOID_USAGE = "void_usage"
    ADVANCE_CLOCK = "advance_clock"

    @property
    def rank(self) -> int:
        """The order at one moment: drawdown before refresh, and the clock after everything else."""
        return _RANKS[self]


_RANKS = {
    JobKind.CLOSE_PERIOD: 0,
    # Rank 1 is CLOSE_TOKENS_RANK.
    JobKind.REFRESH_GRANTS: 2,
    JobKind.VALIDATE_CATALOG: 50,
    JobKind.RATE_BATCH: 60,
    JobKind.VOID_USAGE: 70,
    JobKind.ADVANCE_CLOCK: 99,
}

CLOSE_TOKENS_RANK = 1
"""Periods of tokens are closed after those of the usage that is rated in them."""
