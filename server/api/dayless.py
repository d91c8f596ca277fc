"""Questions apart from their days: what is asked, which is the same on all of them, and the day."""

import re
from datetime import date
from functools import lru_cache

from usage_management.v1 import rate_service_pb2 as pb

from server.api.reader import FIRST, LAST

FIRST_DAY, LAST_DAY = FIRST.date(), LAST.date()

Dated = tuple[tuple[bytes, bytes], date]
"""The bytes of a question before those of its date and after, and its day."""

# The field `date` with its three numbers. Nothing else reads like it: no tag, length or number that
# has its first byte goes on with its second, and the year is not UTF-8, so that no text has it.
_split = re.compile(rb"\*\x07(\x08[\x80-\xff][\x00-\x7f]\x10.\x18.)", re.DOTALL).split


def dayless(question: pb.RateQuestion) -> Dated | None:
    """What is asked, and the day; None when it names no day that is allowed."""
    parts = _split(question.SerializeToString(), 1)
    if len(parts) == 1:
        return None
    before, data, after = parts
    day = _day(data)
    return None if day is None else ((before, after), day)


@lru_cache(maxsize=16_384)
def _day(data: bytes) -> date | None:
    """The day that these bytes mean: a year of two bytes of seven bits, a month, a day of it."""
    try:
        day = date(data[1] & 0x7F | data[2] << 7, data[4], data[6])
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None
