"""The cache key of a question: its content without the day, and the day.

Answers are cached with the days on which they are valid, so one entry serves many days.
"""

from datetime import date
from typing import NamedTuple

from usage_management.v1 import rate_service_pb2 as pb

from server.api.reader import FIRST, LAST
from server.domain.caches import memoize

FIRST_DAY, LAST_DAY = FIRST.date(), LAST.date()
# Longer than the texts of any valid question. Longer questions are not cached, so that keys stay
# bounded in bytes.
LONGEST = 600


class QuestionKey(NamedTuple):
    """The content of a question about the catalog; `attributes` are sorted."""

    price_book: str
    product: str
    usage_resource: str
    currency_code: str
    token_unit: str
    selling_model: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def length(self) -> int:
        """The number of characters of all texts."""
        return sum(map(len, self[:6])) + sum(len(key) + len(value) for key, value in self[6])


def cache_key(question: pb.RateQuestion) -> tuple[QuestionKey, date] | None:
    """Return the key and the day of a question; None if its answer may not be cached. Hot.

    Rates of assets and targets are in no snapshot; an amount is computed for one quantity; a
    question without a day is about today, which changes.
    """
    if question.asset or question.binding_target or question.HasField("quantity"):
        return None
    value = question.date
    day = _day(value.year, value.month, value.day)
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


@memoize(entries=16_384, entry_bytes=256)
def _day(year: int, month: int, day: int) -> date | None:
    """Return the day; None if it does not exist or is out of range."""
    try:
        value = date(year, month, day)
    except ValueError:
        return None
    return value if FIRST_DAY <= value <= LAST_DAY else None
