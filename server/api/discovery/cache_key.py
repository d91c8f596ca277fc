"""The cache key of a question: what it asks, apart from the day, and the day.

Answers are cached with the days on which they hold, so a question costs a look-up on any of them.
"""

from datetime import date
from typing import NamedTuple

from google.type import date_pb2
from usage_management.v1 import rate_service_pb2 as pb

from server.api.reader import FIRST, LAST

FIRST_DAY, LAST_DAY = FIRST.date(), LAST.date()


class CacheKey(NamedTuple):
    """The serialized question without its day, and its day.

    Equal questions whose attributes are in another order may have different keys; questions that
    differ never have the same.
    """

    content: bytes
    day: date


def take_key(question: pb.RateQuestion) -> CacheKey | None:
    """Return the key of a question; None without a day that is allowed. Hot.

    It takes the day out of the question, because serializing the rest is three times faster than
    reading it field by field; `put_back` restores the question. A question without a day is about
    today, which changes.
    """
    day = _day(question.date)
    if day is None:
        return None
    question.ClearField("date")
    return CacheKey(question.SerializeToString(), day)


def put_back(question: pb.RateQuestion, key: CacheKey | None) -> None:
    """Restore the day that `take_key` took out of a question."""
    if key is not None:
        day = key.day
        question.date.year, question.date.month, question.date.day = day.year, day.month, day.day


def _day(value: date_pb2.Date) -> date | None:
    """Return the day of a question, if there is such a day and it is allowed."""
    try:
        day = date(value.year, value.month, value.day)
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None
