"""The kinds of job, and their order when several are due at one moment."""

from enum import StrEnum


class JobKind(StrEnum):
    """The kind of a job; `workers.tasks` has one task for each."""

    CORRECT_USAGE = "correct_usage"
    CLOSE_PERIOD = "close_period"
    REFRESH_GRANTS = "refresh_grants"
    VALIDATE_CATALOG = "validate_catalog"
    RATE_BATCH = "rate_batch"
    CHANGE_RECORDS = "change_records"
    REPRICE = "reprice"
    FOLLOW_CATALOG = "follow_catalog"
    ADVANCE_CLOCK = "advance_clock"

    @property
    def rank(self) -> int:
        """The order at one moment: the past first, the clock after everything else."""
        return _RANKS[self]


_RANKS = {
    JobKind.CORRECT_USAGE: 0,
    JobKind.CLOSE_PERIOD: 1,
    # Rank 2 is CLOSE_TOKENS_RANK.
    JobKind.REFRESH_GRANTS: 3,
    JobKind.VALIDATE_CATALOG: 50,
    JobKind.RATE_BATCH: 60,
    JobKind.CHANGE_RECORDS: 70,
    JobKind.REPRICE: 75,
    JobKind.FOLLOW_CATALOG: 40,
    JobKind.ADVANCE_CLOCK: 99,
}

CLOSE_TOKENS_RANK = 2
"""Periods of tokens are closed after those of the usage that is rated in them."""
