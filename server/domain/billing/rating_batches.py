"""rating batches: lines to be priced, and what became of them.

A request is pending until all its lines are priced at once; it is complete when each has an amount
and failed when one has none. Either way it says what became of every line, and never changes again.
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
    """What a line came to; with an `error` it has no amount, and perhaps no quantities."""

    error: UsageError | None = None
    used: Decimal | None = None
    overage: Decimal | None = None
    amount: Decimal | None = None
    unit: UnitId | None = None
    steps: tuple[WaterfallStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingBatch:
    """A request as it stands; `lines` and `results` are empty where it is listed."""

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
    """What a request ends as, and the code and the words of why it failed."""

    state: RequestState
    code: str = ""
    text: str = ""


def verdict(results: Sequence[LineResult]) -> BatchVerdict:
    """Complete when every line has an amount; else failed, for the first that has none."""
    failed = [(n, one.error) for n, one in enumerate(results) if one.error is not None]
    if not failed:
        return BatchVerdict(RequestState.RATING_COMPLETE)
    index, first = failed[0]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    text = f"lines[{index}]: {first.message}{more}"
    return BatchVerdict(RequestState.FAILED, first.reason, text[:LONGEST_TEXT])
