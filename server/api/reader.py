"""Reads a request field by field, and refuses all its faults together.

protovalidate has checked required fields, enums and bounds before; a reader parses numbers, dates,
names and texts. After a fault it returns a harmless value of the right type, so that reading goes
on; `done` raises before any work begins.
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
# The reader's method `date` hides the type of that name from the annotations after it.
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
# Codes of ISO 4217 that are not used for payments: metals, tests, units of account, none.
NO_MONEY = frozenset({"XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD"})

FAULTS = {
    "DECIMAL_FORMAT": "must be plain digits with an optional point, at most 40 characters",
    "DECIMAL_RANGE": "must have at most 26 digits before the point",
    "DECIMAL_SCALE": "must have at most 12 decimals",
}


class BadTime(ValueError):
    """A timestamp that is malformed or out of range; `reason` is the reason for the status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def instant(stamp: Timestamp) -> datetime:
    """Return a timestamp, cut to the microsecond. Raises BadTime."""
    if not 0 <= stamp.nanos < 1_000_000_000 or stamp.seconds not in SECONDS:
        raise BadTime("TIMESTAMP_FORMAT", "must be seconds of the years 1 to 9999 and nanos")
    # Postgres stores microseconds.
    value = EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    if not FIRST <= value < LAST:
        raise BadTime("TIMESTAMP_RANGE", "must be in the years 1990 to 2199")
    return value


@cache
def currencies() -> frozenset[str]:
    """Return the codes of ISO 4217 that are used for payments."""
    return frozenset(currency.code for currency in Currency) - NO_MONEY


def control_character(text: str) -> int | None:
    """Return the position of the first control character; None if there is none."""
    match = CONTROL.search(text)
    return match.start() if match else None


def labels_fault(labels: "dict[str, str] | Any") -> str | None:
    """Return the fault of a map of labels; None if it is valid."""
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
    """A message, its path in the request, and the faults found so far in the request."""

    message: Any
    path: str = ""
    faults: list[Violation] = field(default_factory=list)

    def done(self) -> None:
        """Raise InvalidArgument if there are faults."""
        if self.faults:
            raise InvalidArgument.of(tuple(self.faults))

    def fault(self, name: str, reason: str, description: str) -> None:
        """Add a fault of a field."""
        self.faults.append(Violation(self._path(name), reason, description))

    def has(self, name: str) -> bool:
        """Return True if a field with presence is set."""
        return bool(self.message.HasField(name))

    def sub(self, name: str) -> "RequestReader":
        """Return the reader of a nested message."""
        return RequestReader(getattr(self.message, name), self._path(name), self.faults)

    def subs(self, name: str) -> list["RequestReader"]:
        """Return the readers of a repeated message."""
        items = getattr(self.message, name)
        return [
            RequestReader(item, f"{self._path(name)}[{i}]", self.faults)
            for i, item in enumerate(items)
        ]

    def text(self, name: str, *, longest: int = 200) -> str:
        """Return a text for people, in Unicode NFC."""
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
        """Return a map of caller-defined labels."""
        labels = dict(getattr(self.message, name))
        fault = labels_fault(labels)
        if fault is not None:
            self.fault(name, "LABELS_INVALID", fault)
        return labels

    def code(self, name: str) -> str:
        """Return an id that its owner chooses."""
        text: str = getattr(self.message, name)
        if not text:
            self.fault(name, "FIELD_REQUIRED", "is required")
        elif CODE.fullmatch(text) is None:
            self.fault(name, "CODE_FORMAT", "must match [A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
        return text

    def name(self, name: str, pattern: Name) -> tuple[Any, ...]:
        """Return the ids in a required resource name."""
        ids = self.optional_name(name, pattern)
        if ids is not None:
            return ids
        if not getattr(self.message, name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return tuple(UUID(int=0) if part is uuid else "" for part in pattern.parts)

    def optional_name(self, name: str, pattern: Name) -> tuple[Any, ...] | None:
        """Return the ids in a resource name; None if it is empty."""
        text: str = getattr(self.message, name)
        return self._parsed(name, text, pattern) if text else None

    def names(self, name: str, pattern: Name) -> list[tuple[Any, ...]]:
        """Return the ids in each of a list of resource names."""
        texts = enumerate(getattr(self.message, name))
        parsed = (self._parsed(f"{name}[{index}]", text, pattern) for index, text in texts)
        return [ids for ids in parsed if ids is not None]

    def optional_uuid(self, name: str) -> UUID | None:
        """Return a UUID that is not a name; None if it is empty."""
        text: str = getattr(self.message, name)
        if not text:
            return None
        try:
            return uuid(text)
        except BadName as error:
            self.fault(name, error.reason, str(error))
            return None

    def decimal(self, name: str, *, default: Decimal | None = None) -> Decimal:
        """Return a number; it is required if there is no default."""
        value = self.optional_decimal(name)
        if value is not None:
            return value
        if default is None and not self.has(name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return ZERO if default is None else default

    def optional_decimal(self, name: str) -> Decimal | None:
        """Return a number; None if it is absent."""
        if not self.has(name):
            return None
        try:
            return parse_decimal(getattr(self.message, name).value)
        except DecimalError as error:
            self.fault(name, error.reason, FAULTS[error.reason])
            return None

    def date(self, name: str) -> Day:
        """Return a required civil date."""
        if not self.has(name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return self.optional_date(name) or FIRST.date()

    def optional_date(self, name: str) -> Day | None:
        """Return a civil date; None if it is absent."""
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
        """Return a required time."""
        if not self.has(name):
            self.fault(name, "FIELD_REQUIRED", "is required")
        return self.optional_time(name) or FIRST

    def optional_time(self, name: str) -> datetime | None:
        """Return a time; None if it is absent."""
        if not self.has(name):
            return None
        try:
            return instant(getattr(self.message, name))
        except BadTime as error:
            self.fault(name, error.reason, str(error))
            return None

    def choice(self, name: str, kind: type[E], *, default: E | None = None) -> E:
        """Return the value of an enum; `default` stands for the unspecified value."""
        number = getattr(self.message, name)
        enum = self.message.DESCRIPTOR.fields_by_name[name].enum_type
        value = enum.values_by_number.get(number)
        if number == 0 and default is not None:
            return default
        if number == 0:
            self.fault(name, "ENUM_UNSPECIFIED", "must be chosen")
        elif value is None:
            self.fault(name, "ENUM_UNKNOWN", f"{number} is not one of its values")
        else:
            return kind[value.name.removeprefix(enum_prefix(enum))]
        # Any value will do, because `done` raises before it is used.
        return next(iter(kind))

    def optional_choice(self, name: str, kind: type[E]) -> E | None:
        """Return the value of an enum; None if it is unspecified."""
        return self.choice(name, kind) if getattr(self.message, name) else None

    def currency(self, name: str) -> str:
        """Return an ISO 4217 code in capitals."""
        text: str = getattr(self.message, name)
        if not text:
            self.fault(name, "FIELD_REQUIRED", "is required")
        elif text not in currencies():
            self.fault(name, "CURRENCY_UNKNOWN", "must be an ISO 4217 currency code in capitals")
        return text

    def zone(self, name: str) -> str:
        """Return an IANA time zone. Aliases without a place, such as EST5EDT, are refused."""
        text: str = getattr(self.message, name)
        if not text:
            self.fault(name, "FIELD_REQUIRED", "is required")
        elif not _is_zone(text):
            self.fault(name, "TIME_ZONE", "must be an IANA time zone such as Europe/Berlin, or UTC")
        return text

    def etag(self, name: str) -> int | None:
        """Return the revision in an etag; None if it is empty, 0 for an etag that is not ours.

        No record has revision 0, so such an etag is refused as stale.
        """
        text: str = getattr(self.message, name)
        return revision_of(text) if text else None

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _parsed(self, name: str, text: str, pattern: Name) -> tuple[Any, ...] | None:
        try:
            return pattern.parse(text)
        except BadName as error:
            self.fault(name, error.reason, str(error))
            return None


def revision_of(etag: str) -> int:
    """Return the revision in an etag; 0 for an etag that is not ours."""
    match = ETAG.fullmatch(etag)
    return int(match[1]) if match else 0


def named(request: Message, name: str, pattern: Name) -> tuple[Any, ...]:
    """Return the ids in the only name of a request. Raises FIELD_REQUIRED, NAME_FORMAT."""
    reader = RequestReader(request)
    parts = reader.name(name, pattern)
    reader.done()
    return parts


@contextmanager
def placed_at(path: str, faults: list[Violation] | None = None) -> Iterator[None]:
    """Prefix the fields of faults with the place of a record in a list.

    With `faults`, the faults are added to it instead of raised, so that the other records are read
    too.
    """
    try:
        yield
    except InvalidArgument as error:
        placed = [
            replace(violation, field=f"{path}.{violation.field}") for violation in error.violations
        ]
        if faults is None or not placed:
            raise (InvalidArgument.of(tuple(placed)) if placed else error) from error
        faults += placed


def all_faults(*readers: Callable[[], object]) -> InvalidArgument:
    """Return the refusal with the faults of every reader, of which at least one raises.

    Items of hot batches are read without a RequestReader, which would allocate a list for each.
    Only an invalid item is read again, by this function.
    """
    faults: list[Violation] = []
    for read in readers:
        try:
            read()
        except InvalidArgument as error:
            faults += error.violations
    return InvalidArgument.of(tuple(faults))


def refuse(faults: list[Violation]) -> None:
    """Raise InvalidArgument if there are faults."""
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
    """Return the content of a message by top-level field, as text that equal messages share."""
    return {
        descriptor.name: _text(value)
        for descriptor, value in message.ListFields()
        # The key itself is no content: a repeat must be recognized by the other fields.
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
