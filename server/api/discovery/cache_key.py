"""The cache key of a question: what it asks, apart from the day, and the day.

Answers are cached with the days on which they hold, so a question costs a look-up on any of them.
"""

from datetime import date
from typing import NamedTuple

from google.type import date_pb2
from usage_management.v1 import rate_service_pb2 as pb

from server.api.reader import FIRST, LAST

FIRST_DAY, LAST_DAY = FIRST.date(), LAST.date()


class QuestionKey(NamedTuple):
    """The fields of a question about the catalog, without its day; texts are empty if absent."""

    price_book: str
    product: str
    usage_resource: str
    currency_code: str
    token_unit: str
    selling_model: str
    attributes: tuple[tuple[str, str], ...]


def cache_key(question: pb.RateQuestion) -> tuple[QuestionKey, date] | None:
    """Return what a question asks, and its day; None if its answer may not be cached. Hot.

    What was sold to an asset or a target is in no snapshot; an amount is computed for one quantity;
    a question without a day is about today, which changes.
    """
    if not question.HasField("date") or question.HasField("quantity"):
        return None
    if question.asset or question.binding_target:
        return None
    day = _day(question.date)
    if day is None:
        return None
    attributes = question.attributes
    key = QuestionKey(
        question.price_book,
        question.product,
        question.usage_resource,
        question.currency_code,
        question.token_unit,
        question.selling_model,
        tuple(sorted(attributes.items())) if attributes else (),
    )
    return key, day


def _day(value: date_pb2.Date) -> date | None:
    """Return the day of a question, if there is such a day and it is allowed."""
    try:
        day = date(value.year, value.month, value.day)
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None
