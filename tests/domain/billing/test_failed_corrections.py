"""Corrections of usage that could not be rated, or cannot be rated any more."""

import pytest

from server.domain.billing.corrections import correction
from server.domain.errors import FailedPrecondition
from server.domain.rating.rates import RateSegment
from tests.domain.settlement.correction_words import (
    FEBRUARY,
    JANUARY,
    at,
    closed,
    day,
    figures,
    used,
)
from tests.strategies import ASSET, terms


def test_a_line_that_failed_can_be_rated_later():
    books = closed(used("a", 4, 1), rates={})
    assert [one.failure for one in books.lines] == ["RATE_NOT_FOUND"]
    # More usage of what fails is booked without an amount.
    books.use(used("late", 1, 1, 20))
    [more] = books.correct(JANUARY.start).changes
    assert (more.used, more.overage, more.amount, more.failure) == (1, 1, None, "RATE_NOT_FOUND")

    # A rate that is known now is a segment of its own, so the failed line goes.
    books.rates = at("3")
    found = books.correct(JANUARY.start)

    assert figures(found.changes) == [(0, 0, 0, 15)]
    assert (found.changes[0].corrects, found.changes[0].failure) == (books.lines[0].id, None)
    assert books.owed == 15
    books.check()


def test_a_line_that_was_rated_and_fails_now_changes_nothing():
    def cut(january):
        """The terms of January and of February."""
        return {
            ASSET: (
                RateSegment(start=day(1, 1), end=day(2, 1), terms=january),
                RateSegment(start=day(2, 1), terms=terms("1")),
            )
        }

    books = closed(used("a", 4, 1), used("b", 4, 2), rates=cut(terms("2")), months=2)
    books.rates = cut(None)

    with pytest.raises(FailedPrecondition) as refusal:
        correction(books.books(JANUARY.start))

    assert refusal.value.reason == "RATED_LINE_FAILED"
    assert refusal.value.facts == {
        "asset": str(ASSET),
        "origin_start_time": JANUARY.start.isoformat(),
    }
    assert "RATE_NOT_FOUND" in refusal.value.message
    # What is not walked is not looked at.
    assert correction(books.books(FEBRUARY.start)).changes == ()


def test_usage_that_was_rated_under_other_terms_and_fails_now_changes_nothing():
    """The segment of its terms is gone, so it would be a line of its own."""
    segment = RateSegment(start=day(1, 15), terms=terms("2"))
    books = closed(used("a", 4, 1, 20), rates={ASSET: (segment,)})
    books.rates = {}

    with pytest.raises(FailedPrecondition, match="RATE_NOT_FOUND") as refusal:
        correction(books.books(JANUARY.start))

    assert refusal.value.reason == "RATED_LINE_FAILED"


def test_a_line_of_nothing_that_failed_is_no_reason_to_stop():
    """A failed line has no amount, so a failure of it is nothing new."""
    books = closed(used("a", 4, 1), rates={})

    assert correction(books.books(JANUARY.start)).changes == ()
