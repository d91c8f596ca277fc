"""The cache key of a question: its content without the day, and the day.

Answers are cached with the days on which they are valid, so one entry serves many days.
"""

from datetime import date
from operator import attrgetter

from usage_management.v1 import rate_service_pb2 as pb

from server.api.reader import FIRST, LAST
from server.domain.caches import memoize

FIRST_DAY, LAST_DAY = FIRST.date(), LAST.date()
# Longer than the texts of any valid question. Longer questions are not cached, so that keys stay
# bounded in bytes.
LONGEST = 600


# The texts of a question, in the order of `_texts`, and its attributes, sorted.
QuestionKey = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]

# One call for all texts: a call for each would take half of the time of a cached answer.
_texts = attrgetter(
    "price_book",
    "product",
    "usage_resource",
    "currency_code",
    "token_unit",
    "selling_model",
    "asset",
    "binding_target",
)
_ymd = attrgetter("year", "month", "day")


def length_of(key: QuestionKey) -> int:
    """Return the number of characters of a key's texts."""
    texts, attributes = key
    return sum(map(len, texts)) + sum(len(name) + len(value) for name, value in attributes)


def cache_key(question: pb.RateQuestion) -> tuple[QuestionKey, date] | None:
    """Return what a question asks, and its day; None if its answer may not be cached. Hot.

    What was sold to an asset or a target is in no snapshot; an amount is computed for one quantity;
    a question without a day is about today, which changes.
    """
    texts = _texts(question)
    if texts[-1] or texts[-2] or question.HasField("quantity"):
        return None
    day = _day(*_ymd(question.date))
    if day is None:
        return None
    attributes = question.attributes
    return (texts, tuple(sorted(attributes.items())) if attributes else ()), day


@memoize(entries=16_384, entry_bytes=256)
def _day(year: int, month: int, day: int) -> date | None:
    """Return the day; None if it does not exist or is out of range."""
    try:
        value = date(year, month, day)
    except ValueError:
        return None
    return value if FIRST_DAY <= value <= LAST_DAY else None
