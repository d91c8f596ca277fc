"""Forms: a message read field by field; all its faults are kept, and refused together.

protovalidate has seen the message before (what is required, enums, bounds); a form reads what has a
meaning of its own: numbers, dates, names, texts. After a fault a reader answers with something
harmless of the right type, so that reading goes on; `done` raises before anything is made of it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from iso4217 import Currency

from server.api.names import BadName, Name, uuid
from server.api.values import enum_prefix
from server.domain.calendar import zone_info
from server.domain.errors import InvalidArgument, Violation
from server.domain.exact import ZERO, DecimalError, parse_decimal
from server.domain.ids import CODE
from server.domain.limits import value_of

E = TypeVar("E", bound=StrEnum)
# A form has a method called `date`, which hides the type from the annotations after it.
Day = date

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# -62135596800 is the first second of year 1, 253402300799 the last of year 9999.
SECONDS = range(-62_135_596_800, 253_402_300_800)
ETAG = re.compile(r'"([1-9][0-9]{0,17})"', re.ASCII)
# C0 and C1 controls, lone surrogates, and the marks that reorder text.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
MOST_LABELS = value_of("labels.count")
LONGEST_KEY, LONGEST_VALUE = value_of("labels.key"), value_of("labels.value")
# Codes of ISO 4217 that are no money anybody pays in: metals, tests, funds, nothing.
NO_MONEY = frozenset({"XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD"})

FAULTS = {
    "DECIMAL_FORMAT": "must be plain digits with an optional point, at most 40 characters",
    "DECIMAL_RANGE": "must have at most 26 digits before the point",
    "DECIMAL_SCALE": "must have at most 12 decimals",
}


class BadTime(ValueError):
    """A timestamp nobody can read, or that is out of range; `reason` is the code for the wire."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def instant(stamp: Timestamp) -> datetime:
    """A timestamp, cut to the microsecond. Raises BadTime."""
    if not 0 <= stamp.nanos < 1_000_000_000 or stamp.seconds not in SECONDS:
        raise BadTime("TIMESTAMP_FORMAT", "must be seconds of the years 1 to 9999 and nanos")
    value = EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    if not FIRST <= value < LAST:
        raise BadTime("TIMESTAMP_RANGE", "must be in the years 1990 to 2199")
    return value


@cache
def currencies() -> frozenset[str]:
    """The codes of all money of ISO 4217."""
    return frozenset(currency.code for currency in Currency) - NO_MONEY


def control_character(text: str) -> int | None:
    """The position of the first character that no text may have."""
    found = CONTROL.search(text)
    return found.start() if found else None


def labels_fault(labels: "dict[str, str] | Any") -> str | None:
    """What is wrong with a map of labels, if anything."""
    if len(labels) > MOST_LABELS:
        return f"at most {MOST_LABELS} labels, got {len(labels)}"
    for key, value in labels.items():
        if not 0 < len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE:
            return f"keys have 1 to {LONGEST_KEY} characters, values at most {LONGEST_VALUE}"
        if CONTROL.search(key) or CONTROL.search(value):
            return "keys and values have no control characters"
    return None


@dataclass(slots=True)
class RequestReader:
    """A message, the path to it in the request, and the faults found so far in all of it."""

    message: Any
    path: str = ""
    faults: list[Violation] = field(default_factory=list)

    def done(self) -> None:
        """Refuse the request if anything was wrong."""
        if self.faults:
            raise InvalidArgument.of(tuple(self.faults))

    def fault(self, name: str, reason: str, description: str) -> None:
        """Note that a field is wrong."""
        self.faults.append(Violation(self._path(name), reason, description))

    def has(self, name: str) -> bool:
        """Whether a field with presence is there."""
        return bool(self.message.HasField(name))

    def sub(self, name: str) -> "RequestReader":
        """The form of a message within this one."""
        return RequestReader(getattr(self.message, name), self._path(name), self.faults)

    def subs(self, name: str) -> list["RequestReader"]:
        """The forms of a repeated message within this one."""
        items = getattr(self.message, name)
        return [
            RequestReader(item, f"{self._path(name)}[{i}]", self.faults)
            for i, item in enumerate(items)
        ]

    def text(self, name: str, *, longest: int = 200) -> str:
        """Words for people, as NFC."""
        text: str = getattr(self.message, name)
        position = control_character(text)
        if position is not None:
            self.fault(name, "TEXT_CONTROL_CHARACTER", f"has a control character at {position}")
            return ""
        if len(text) > longest or len(text.encode()) > 4 * longest:
            self.fault(name, "TEXT_TOO_LONG", f"must have at most {longest} characters")
            return ""
        return unicodedata.normalize("NFC", text)

    def labels(self, name: str) -> dict[str, str]:
        """A map of the caller's own words."""
        labels = dict(getattr(self.message, name))
        fault = labels_fault(labels)
        if fault is not None:
            self.fault(name, "LABELS_INVALID", fault)
        return labels

    def code(self, name: str) -> str:
        """An id that its owner chooses."""
        text: str = getattr(self.message, name)
        if not text:
            self.fault(name, "FIELD_REQUIRED", "is required")
        elif CODE.fullmatch(text) is None:
            self.fault(name, "CODE_FORMAT", "must match [A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
        return text

    def name(self, name: str, pattern: Name) -> tuple[Any, ...]:
        """The ids in a resource name that has to be there."""
        found = self.optional_name(name, pattern)
        if found is not None:
            return found
        if not getattr(self.message, name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return tuple(UUID(int=0) if part is uuid else "" for part in pattern.parts)

    def optional_name(self, name: str, pattern: Name) -> tuple[Any, ...] | None:
        """The ids in a resource name; None when it is empty."""
        text: str = getattr(self.message, name)
        return self._parsed(name, text, pattern) if text else None

    def names(self, name: str, pattern: Name) -> list[tuple[Any, ...]]:
        """The ids in each of a list of resource names."""
        texts = enumerate(getattr(self.message, name))
        found = (self._parsed(f"{name}[{index}]", text, pattern) for index, text in texts)
        return [ids for ids in found if ids is not None]

    def optional_uuid(self, name: str) -> UUID | None:
        """An id of ours that is no name; None when it is empty."""
        text: str = getattr(self.message, name)
        if not text:
            return None
        try:
            return uuid(text)
        except BadName as error:
            self.fault(name, error.reason, str(error))
            return None

    def decimal(self, name: str, *, default: Decimal | None = None) -> Decimal:
        """A number; required when there is no default."""
        found = self.optional_decimal(name)
        if found is not None:
            return found
        if default is None and not self.has(name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return ZERO if default is None else default

    def optional_decimal(self, name: str) -> Decimal | None:
        """A number; None when it is absent."""
        if not self.has(name):
            return None
        try:
            return parse_decimal(getattr(self.message, name).value)
        except DecimalError as error:
            self.fault(name, error.reason, FAULTS[error.reason])
            return None

    def date(self, name: str) -> Day:
        """A civil date that has to be there."""
        if not self.has(name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return self.optional_date(name) or FIRST.date()

    def optional_date(self, name: str) -> Day | None:
        """A civil date; None when it is absent."""
        if not self.has(name):
            return None
        value = getattr(self.message, name)
        try:
            day = date(value.year, value.month, value.day)
        except ValueError:
            self.fault(name, "DATE_INVALID", "is not a day of the calendar")
            return None
        if not FIRST.date() <= day <= LAST.date():
            self.fault(name, "DATE_INVALID", "must be from 1990-01-01 to 2200-01-01")
            return None
        return day

    def time(self, name: str) -> datetime:
        """An instant that has to be there."""
        if not self.has(name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return self.optional_time(name) or FIRST

    def optional_time(self, name: str) -> datetime | None:
        """An instant; None when it is absent."""
        if not self.has(name):
            return None
        try:
            return instant(getattr(self.message, name))
        except BadTime as error:
            self.fault(name, error.reason, str(error))
            return None

    def choice(self, name: str, kind: type[E], *, default: E | None = None) -> E:
        """One of a closed set; `default` stands for the unspecified value."""
        number = getattr(self.message, name)
        enum = self.message.DESCRIPTOR.fields_by_name[name].enum_type
        value = enum.values_by_number.get(number)
        if number == 0 and default is not None:
            return default
        if number == 0:
            self.fault(name, "ENUM_UNSPECIFIED", "must be chosen")
        elif value is None:
            self.fault(name, "ENUM_UNKNOWN", f"{number} is not a value of it")
        else:
            return kind[value.name.removeprefix(enum_prefix(enum))]
        return next(iter(kind))

    def optional_choice(self, name: str, kind: type[E]) -> E | None:
        """One of a closed set; None when it is unspecified."""
        return self.choice(name, kind) if getattr(self.message, name) else None

    def currency(self, name: str) -> str:
        """An ISO 4217 code in capitals."""
        text: str = getattr(self.message, name)
        if not text:
            self.fault(name, "FIELD_REQUIRED", "is required")
        elif text not in currencies():
            self.fault(name, "CURRENCY_UNKNOWN", "must be an ISO 4217 currency code in capitals")
        return text

    def zone(self, name: str) -> str:
        """An IANA time zone. Aliases such as EST5EDT, which have no place, are refused."""
        text: str = getattr(self.message, name)
        if not text:
            self.fault(name, "FIELD_REQUIRED", "is required")
        elif not _is_zone(text):
            self.fault(name, "TIME_ZONE", "must be an IANA time zone such as Europe/Berlin, or UTC")
        return text

    def etag(self, name: str) -> int | None:
        """The revision in an etag; None when it is empty. One we never gave is merely stale: 0."""
        text: str = getattr(self.message, name)
        if not text:
            return None
        found = ETAG.fullmatch(text)
        return int(found[1]) if found else 0

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _parsed(self, name: str, text: str, pattern: Name) -> tuple[Any, ...] | None:
        try:
            return pattern.parse(text)
        except BadName as error:
            self.fault(name, error.reason, str(error))
            return None


def named(request: Message, name: str, pattern: Name) -> tuple[Any, ...]:
    """What the one name of a request says. Raises FIELD_REQUIRED, NAME_FORMAT."""
    reader = RequestReader(request)
    parts = reader.name(name, pattern)
    reader.done()
    return parts


@contextmanager
def placed_at(path: str, faults: list[Violation] | None = None) -> Iterator[None]:
    """Put the place of a record in a list before the fields that are found wrong in it.

    With `faults` they are added to these, so that the other records are looked at too.
    """
    try:
        yield
    except InvalidArgument as error:
        placed = [replace(one, field=f"{path}.{one.field}") for one in error.violations]
        if faults is None or not placed:
            raise (InvalidArgument.of(tuple(placed)) if placed else error) from error
        faults += placed


def all_faults(*readers: Callable[[], object]) -> InvalidArgument:
    """Return the refusal that names the faults of every reader, of which at least one raises.

    Items of hot batches are read without a form, which would keep a list for each; only one that
    is wrong is read again, by this.
    """
    found: list[Violation] = []
    for read in readers:
        try:
            read()
        except InvalidArgument as error:
            found += error.violations
    return InvalidArgument.of(tuple(found))


def refuse(faults: list[Violation]) -> None:
    """Raise what was found wrong in the items of a list, if anything."""
    if faults:
        raise InvalidArgument.of(tuple(faults))


def _is_zone(text: str) -> bool:
    if text != "UTC" and "/" not in text:
        return False
    try:
        zone_info(text)
    except InvalidArgument:
        return False
    return True


def fields_of(message: Message) -> dict[str, str]:
    """What is in a message, by top-level field, as text that equal messages share."""
    return {
        descriptor.name: _text(value)
        for descriptor, value in message.ListFields()
        if descriptor.name != "request_id"
    }


def _text(value: Any) -> str:
    if isinstance(value, Message):
        return value.SerializeToString(deterministic=True).hex()
    if hasattr(value, "items"):
        return str(sorted((str(key), _text(item)) for key, item in value.items()))
    if isinstance(value, str | bytes | int | float):
        return repr(value)
    return str([_text(item) for item in value])
