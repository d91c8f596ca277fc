"""Rating batches: lines to price, and their results.

A batch is pending until all its lines are priced together. It is complete if each line has an
amount, and failed if one has none. It has a result for every line and does not change again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.audit import Audit
from server.domain.consumption.recording import Usage
from server.domain.errors import UsageError
from server.domain.ids import AccountId, RatingBatchId, UnitId
from server.domain.rating.line_rating import WaterfallStep

LONGEST_TEXT = 1_000


class RequestState(StrEnum):
    """The states of a rating batch."""

    PENDING = "PENDING"
    RATING_COMPLETE = "RATING_COMPLETE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """The result of a line; with an `error` it has no amount, and may have no quantities."""

    error: UsageError | None = None
    used: Decimal | None = None
    overage: Decimal | None = None
    amount: Decimal | None = None
    unit: UnitId | None = None
    steps: tuple[WaterfallStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingBatch:
    """A batch in its current state; `lines` and `results` are empty in a list."""

    id: RatingBatchId
    account_id: AccountId
    state: RequestState
    skips_waterfall: bool
    lines: tuple[Usage, ...] = ()
    results: tuple[LineResult, ...] = ()
    error_code: str = ""
    error_text: str = ""
    audit: Audit
    rate_time: datetime | None


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """The final state of a batch, and the code and text of its first failure."""

    state: RequestState
    code: str = ""
    text: str = ""


def verdict(results: Sequence[LineResult]) -> BatchVerdict:
    """Return RATING_COMPLETE if every line has an amount, or FAILED with the first error."""
    failed = [(n, one.error) for n, one in enumerate(results) if one.error is not None]
    if not failed:
        return BatchVerdict(RequestState.RATING_COMPLETE)
    index, first = failed[0]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    text = f"lines[{index}]: {first.message}{more}"
    return BatchVerdict(RequestState.FAILED, first.reason, text[:LONGEST_TEXT])
