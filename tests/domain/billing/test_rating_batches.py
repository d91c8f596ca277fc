"""The verdict on a batch: complete, or failed with its first error."""

from decimal import Decimal

import pytest

from server.domain.billing.rating_batches import (
    LONGEST_TEXT,
    BatchVerdict,
    LineResult,
    RequestState,
    verdict,
)
from server.domain.errors import NotFound

PRICED = LineResult(amount=Decimal(0))


def failed(reason: str, text: str = "no rate") -> LineResult:
    return LineResult(error=NotFound(reason, text))


def test_a_batch_is_complete_if_no_line_failed():
    assert verdict([PRICED, PRICED]) == BatchVerdict(RequestState.RATING_COMPLETE)


@pytest.mark.parametrize(
    ("results", "code", "text"),
    [
        ([PRICED, failed("FIRST")], "FIRST", "lines[1]: no rate"),
        ([failed("FIRST"), PRICED, failed("SECOND")], "FIRST", "lines[0]: no rate (and 1 more)"),
        ([failed("FIRST")] * 3, "FIRST", "lines[0]: no rate (and 2 more)"),
    ],
)
def test_a_batch_fails_with_its_first_error_and_counts_the_others(results, code, text):
    assert verdict(results) == BatchVerdict(RequestState.FAILED, code, text)


def test_the_text_of_a_failed_batch_is_cut():
    assert len(verdict([failed("FIRST", "x" * 2000)]).text) == LONGEST_TEXT
