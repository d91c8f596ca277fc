"""Times as files write them: ISO 8601, dates, and seconds or milliseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

from clients.intake.layout import IntakeError, shown
from clients.values import EPOCH

TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)? ?([Zz]|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
# By their digits: ten are seconds from 2001 to 2286, thirteen are milliseconds of the same years.
SINCE_EPOCH = re.compile(r"(?:(\d{10})|(\d{13}))(?:\.(\d{1,18}))?", re.ASCII)
DIGITS = re.compile(r"\d+(?:\.\d*)?", re.ASCII)


def moment(text: str, zone: tzinfo | None) -> datetime:
    """Return the instant that `read_time` finds, without the second answer."""
    return read_time(text, zone)[0]


def read_time(text: str, zone: tzinfo | None) -> tuple[datetime, bool]:
    """Return the instant that a text names, in UTC, cut to microseconds, and if it is ambiguous.

    A text without a zone is read in `zone`; a date is the beginning of its day there. Of an hour
    that occurs twice, the first is taken, and the second answer is True. Raises IntakeError without
    any zone, ValueError for what is no time, or never was one in `zone`.
    """
    found = TIME.fullmatch(text)
    if found is None:
        return _since_epoch(text), False
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        naive = datetime(  # noqa: DTZ001 - the zone is added below
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            micros,
        )
        written = _offset(offset)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a time: {error}") from None
    if written is not None:
        return _in_utc(naive, written, text), False
    if zone is None:
        raise IntakeError(
            f"the time {shown(text)} has no zone; say which it is in: --time-zone UTC, or"
            " --time-zone Europe/Berlin"
        )
    instant = _in_utc(naive, zone, text)
    if hour is None:
        return instant, False
    if instant.astimezone(zone).replace(tzinfo=None) != naive:
        raise ValueError(f"{shown(text)} never was: the clocks were put forward over it")
    return instant, zone.utcoffset(naive) != zone.utcoffset(naive.replace(fold=1))


def _in_utc(naive: datetime, zone: tzinfo, text: str) -> datetime:
    if zone is UTC:
        return naive.replace(tzinfo=UTC)
    try:
        return naive.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{shown(text)} is out of range") from None


def _since_epoch(text: str) -> datetime:
    found = SINCE_EPOCH.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{shown(text)} is not a time: seconds since 1970 have 10 digits, milliseconds 13"
            if DIGITS.fullmatch(text)
            else f"{shown(text)} is not a time like 2026-01-31T12:00:00Z"
        )
    seconds, _, _ = found.groups()
    scale = 1_000_000 if seconds else 1_000
    return EPOCH + timedelta(microseconds=int(Decimal(text) * scale))


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in {"Z", "z", "UTC"}:
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise ValueError("minutes of an offset go to 59")
    length = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-length if text[0] == "-" else length)
