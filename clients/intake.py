"""Usage out of files: CSV and JSON lines to records, line by line. Pure: bytes in, values out.

A record is one line. Nothing is guessed: a line that cannot be read exactly becomes a BadLine with
its number, and the lines behind it are read as if it were not there.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

BOM = b"\xef\xbb\xbf"
OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
NUMBER = re.compile(r"(0|[1-9][0-9]{0,25})(\.[0-9]{1,12})?")
MOST_EXPONENT = 40
RECORD_ID = re.compile(r"[\x21-\x7e]{1,128}")
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?"
    r" ?([Zz]|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)


class IntakeError(Exception):
    """The file cannot be read as asked: another option or another file is needed."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A column and the resource whose quantity it holds."""

    column: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a line. `digest` identifies the file where no column identifies the record."""

    time_column: str
    measures: tuple[Measure, ...]
    digest: str
    id_column: str | None = None
    zone: tzinfo | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that must be there."""
        ids = (self.id_column,) if self.id_column else ()
        return (self.time_column, *(measure.column for measure in self.measures), *ids)

    def record_id(self, line: int, given: str | None, resource: str) -> str:
        """The id of a record: stable over tries, and never made of what may be corrected."""
        if given is None:
            return f"{self.digest}-{line}-{resource}"
        return given if len(self.measures) == 1 else f"{given}-{resource}"

    def line_id(self, line: int, given: str | None) -> str:
        """Return the column that gives the records of a line the same ids again."""
        if given is not None:
            return given
        if len(self.measures) == 1:
            return self.record_id(line, None, self.measures[0].resource)
        return f"{self.digest}-{line}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity of one resource, as it will be sent."""

    record_id: str
    resource: str
    quantity: str
    usage_time: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read; `zeros` quantities were zero, which is no usage."""

    number: int
    raw: bytes
    line_id: str
    readings: tuple[Reading, ...]
    zeros: int = 0


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read, and why."""

    number: int
    raw: bytes
    line_id: str
    reason: str


class _Fault(Exception):
    """The fault of one line."""


_Row = dict[str, Any]


def read_csv(lines: Iterable[bytes], layout: Layout) -> Iterator[Line | BadLine]:
    """Read CSV with a header. Raises IntakeError when the header or the times' zone will not do."""
    numbered = _numbered(lines)
    _, raw = next(numbered, (1, b""))
    header = _header(raw, layout)

    def cells(text: str) -> _Row:
        fields = _fields(text)
        if len(fields) != len(header):
            raise _Fault(f"has {_count(len(fields), 'field')}, the header has {len(header)}")
        return dict(zip(header, fields, strict=True))

    yield from _read(numbered, layout, cells)


def read_json(lines: Iterable[bytes], layout: Layout) -> Iterator[Line | BadLine]:
    """Read JSON lines, an object each. Raises IntakeError when the times have no zone."""
    yield from _read(_numbered(lines), layout, _object)


def header_line(lines: Iterable[bytes]) -> bytes:
    """The first line that is not empty, without byte order mark and line end."""
    return next((raw for _, raw in _numbered(lines)), b"")


def moment(text: str, zone: tzinfo | None) -> datetime:
    """The instant an ISO 8601 text names, in UTC, cut to microseconds.

    A text without a zone is read in `zone`; an hour that comes twice there is the first. Raises
    IntakeError without any zone, ValueError for what is no time, or never was one in `zone`.
    """
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{_shown(text)} is not a time like 2026-01-31T12:00:00Z")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        naive = datetime(  # noqa: DTZ001 - its zone comes next
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micros
        )
        written = _offset(offset)
    except ValueError as error:
        raise ValueError(f"{_shown(text)} is not a time: {error}") from None
    if written is None and zone is None:
        raise IntakeError(
            f"the time {_shown(text)} has no zone; say which it is in: --time-zone UTC, or"
            " --time-zone Europe/Berlin"
        )
    return _in_utc(naive, written or zone, text)


def _in_utc(naive: datetime, zone: tzinfo | None, text: str) -> datetime:
    try:
        instant = naive.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{_shown(text)} is out of range") from None
    if instant.astimezone(zone).replace(tzinfo=None) != naive:
        raise ValueError(f"{_shown(text)} never was: the clocks were put forward over it")
    return instant


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


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, without their ends; empty ones count but are left out."""
    for number, line in enumerate(lines, 1):
        raw = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            if raw.startswith(OTHER_BOMS):
                raise IntakeError("the file is UTF-16; save it as UTF-8")
            raw = raw.removeprefix(BOM)
        if raw.strip():
            yield number, raw


def _read(
    numbered: Iterable[tuple[int, bytes]], layout: Layout, cells: Callable[[str], _Row]
) -> Iterator[Line | BadLine]:
    for number, raw in numbered:
        line_id = layout.line_id(number, None)
        try:
            row = cells(_text(raw))
            line_id = layout.line_id(number, _given(row, layout))
            yield _line(number, raw, row, layout)
        except _Fault as fault:
            yield BadLine(number, raw, line_id, str(fault))
        except IntakeError as error:
            raise IntakeError(f"line {number}: {error}") from None


def _line(number: int, raw: bytes, row: _Row, layout: Layout) -> Line:
    given = _given(row, layout)
    try:
        at = moment(_cell(row, layout.time_column), layout.zone)
    except ValueError as error:
        raise _Fault(f"{layout.time_column}: {error}") from None
    quantities = [(measure, _quantity(row, measure.column)) for measure in layout.measures]
    readings = tuple(
        Reading(_checked(layout.record_id(number, given, one.resource)), one.resource, value, at)
        for one, value in quantities
        if Decimal(value) > 0
    )
    return Line(
        number, raw, layout.line_id(number, given), readings, len(quantities) - len(readings)
    )


def _given(row: _Row, layout: Layout) -> str | None:
    if layout.id_column is None:
        return None
    return _checked(_cell(row, layout.id_column))


def _checked(record_id: str) -> str:
    if not RECORD_ID.fullmatch(record_id):
        raise _Fault(
            f"the id {_shown(record_id)} is not 1 to 128 printable ASCII characters without spaces"
        )
    return record_id


def _cell(row: _Row, column: str) -> str:
    if column not in row:
        raise _Fault(f"has no `{column}`")
    value = row[column]
    if isinstance(value, Decimal):
        if abs(value.adjusted()) > MOST_EXPONENT:
            raise _Fault(f"{column}: {value} is out of range")
        return f"{value:f}"
    if not isinstance(value, str):
        raise _Fault(f"{column}: {_shown(json.dumps(value))} is neither a text nor a number")
    if not value.strip():
        raise _Fault(f"{column} is empty")
    return value.strip()


def _quantity(row: _Row, column: str) -> str:
    text = _cell(row, column)
    if text.startswith("-") and NUMBER.fullmatch(text[1:]):
        raise _Fault(f"{column}: {_shown(text)} is below zero")
    if not NUMBER.fullmatch(text):
        raise _Fault(
            f"{column}: {_shown(text)} is not a number of at most 26 digits and 12 decimals"
        )
    return text


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Fault(f"is not UTF-8 at byte {error.start + 1}") from None
    if "\0" in text:
        raise _Fault("has a NUL in it")
    return text


def _fields(text: str) -> list[str]:
    if "\r" in text:
        raise _Fault("has a carriage return in the middle")
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        broken = "unexpected end of data" in str(error)
        raise _Fault("a quoted field does not end on its line" if broken else str(error)) from None
    return rows[0]


def _header(raw: bytes, layout: Layout) -> list[str]:
    try:
        names = [name.strip() for name in _fields(_text(raw))]
    except _Fault as fault:
        raise IntakeError(f"the header {fault}") from None
    if not names:
        raise IntakeError("the file is empty")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise IntakeError(f"the header has two columns `{twice[0]}`")
    for column in layout.columns:
        if column not in names:
            raise IntakeError(f"there is no column `{column}`; there are: {', '.join(names)}")
    return names


def _object(text: str) -> _Row:
    def once(pairs: list[tuple[str, Any]]) -> _Row:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _Fault("has a key twice")
        return found

    def refuse(word: str) -> Any:
        raise _Fault(f"{word} is not a number")

    try:
        found = json.loads(
            text,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=refuse,
            object_pairs_hook=once,
        )
    except (json.JSONDecodeError, InvalidOperation, RecursionError) as error:
        raise _Fault(f"is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _Fault("is not a JSON object")
    return found


def _shown(text: str) -> str:
    cut = text if len(text) <= 40 else f"{text[:39]}…"
    return repr(cut)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
