"""Bytes to rows: CSV rows, JSON lines and the items of a JSON array, each with its first line.

Memory is bounded by the longest row. Rows that cannot be read are Faults in their place.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from operator import itemgetter

from clients.intake.layout import Fault, IntakeError

BOM = b"\xef\xbb\xbf"
OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
# A text longer than this is taken for a quote that does not end.
MOST_BYTES = 4 * 1024 * 1024
# Strings are tokens, so that nothing inside a string is taken for a bracket or a comma.
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|["\[\]{},]')


def cleaned(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines without a byte order mark. Raises IntakeError for UTF-16."""
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return
    if first.startswith(OTHER_BOMS):
        raise IntakeError("the file is UTF-16; save it as UTF-8")
    yield first.removeprefix(BOM)
    yield from rest


def csv_rows(
    lines: Iterable[bytes], delimiter: str
) -> Iterator[tuple[int, bytes, list[str] | Fault]]:
    """Yield the number of the first line, the bytes and the fields of each row of CSV.

    Raises IntakeError where the end of a row cannot be known: what follows may be the text of a
    quoted field, which must never be read as a row.
    """
    csv.field_size_limit(max(MOST_BYTES, csv.field_size_limit()))
    taken: list[bytes] = []
    # A space before a quote would otherwise make the quote, and line breaks behind it, plain text.
    reader = csv.reader(
        _texts(lines, taken), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    number = 1
    while True:
        content: list[str] | Fault
        try:
            content = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if any(b'"' in line for line in taken):
                raise IntakeError(_broken_quote(number, str(error))) from None
            content = Fault(_plain(str(error)))
        raw = without_end(taken[0] if len(taken) == 1 else b"".join(taken))
        # Blank lines count, as in an editor, and are left out.
        if raw.strip():
            yield number, raw, _text_fault(raw) or content
        number += len(taken)
        taken.clear()


def json_rows(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes, str | Fault]]:
    """Yield the number, the bytes and the text of each JSON value: a line, or an item of an array.

    The number is that of the line, or of the item. `pieces` are lines, or parts of lines, because
    an array may be one long line. Raises IntakeError if an array does not end.
    """
    for number, raw in _values(pieces):
        yield number, raw, _text_fault(raw) or raw.decode()


def is_array(pieces: Iterable[bytes]) -> bool:
    """Return whether JSON is one array, and not a value a line."""
    first = next((piece for piece in cleaned(pieces) if piece.strip()), b"")
    return first.lstrip().startswith(b"[")


def without_end(line: bytes) -> bytes:
    """Return a line without its line feed, and the carriage return before it."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _texts(lines: Iterable[bytes], taken: list[bytes]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line.decode("utf-8", "surrogateescape")


def _text_fault(raw: bytes) -> Fault | None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Fault(f"is not UTF-8 at byte {error.start + 1}")
    return Fault("has a NUL in it") if b"\0" in raw else None


def _broken_quote(number: int, error: str) -> str:
    if "expected after" in error:
        fault = 'has a quote inside of a quoted field; write it twice (""), or remove it'
    elif "field limit" in error:
        fault = f"has a quoted field that does not end within {MOST_BYTES // 1024**2} MiB"
    elif "new-line" in error:
        fault = "has a carriage return in the middle, and a quote"
    else:
        fault = "has a quoted field that does not end"
    return f"line {number} {fault}; what follows it cannot be told from rows and is not read"


def _plain(error: str) -> str:
    if "new-line" in error:
        return "has a carriage return in the middle"
    return f"is not CSV: {error}"


def _values(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    numbered = _numbered(pieces)
    for number, piece in numbered:
        if piece.lstrip().startswith(b"["):
            yield from _items(number, piece, numbered)
            return
        if piece.strip():
            yield from _whole_lines(itertools.chain([(number, piece)], numbered))
            return


def _numbered(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 1
    for piece in pieces:
        yield number, piece
        number += piece.endswith(b"\n")


def _whole_lines(numbered: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for number, group in itertools.groupby(numbered, key=itemgetter(0)):
        raw = without_end(b"".join(piece for _, piece in group))
        if raw.strip():
            yield number, raw


def _items(
    number: int, piece: bytes, rest: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """Yield the items of the array that begins here, with line breaks as spaces."""
    depth = 0
    item = _Item()
    while True:
        begin, end = 0, len(piece)
        for token in TOKEN.finditer(piece):
            mark = token[0]
            if mark == b'"':
                if piece.endswith(b"\n"):
                    raise IntakeError(f"line {number}: a text does not end on its line")
                end = token.start()
                break
            if mark in {b"[", b"{"}:
                if depth == 0:
                    begin = token.end()
                depth += 1
            elif mark in {b"]", b"}"}:
                depth -= 1
            if (depth == 1 and mark == b",") or depth == 0:
                item.add(number, piece[begin : token.start()])
                if item.parts:
                    yield item.taken()
                begin = token.end()
            if depth == 0:
                _check_end(number, piece[begin:], rest)
                return
        item.add(number, piece[begin:end])
        begun = piece[end:]
        number, piece = next(rest, (0, b""))
        if not number or item.size + len(begun) > MOST_BYTES:
            raise IntakeError(f"line {item.line}: the array, or an item of it, does not end")
        piece = begun + piece


class _Item:
    """The item of an array that is being read: its number, its first line and its parts."""

    def __init__(self) -> None:
        self.number = 0
        self.line = 1
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, line: int, part: bytes) -> None:
        if not self.parts:
            part = part.lstrip()
            self.line = line
        if part:
            self.parts.append(without_end(part) + b" " if part.endswith(b"\n") else part)
            self.size += len(part)

    def taken(self) -> tuple[int, bytes]:
        raw = b"".join(self.parts).rstrip()
        self.parts.clear()
        self.size = 0
        self.number += 1
        return self.number, raw


def _check_end(number: int, piece: bytes, rest: Iterator[tuple[int, bytes]]) -> None:
    while number:
        if piece.strip():
            raise IntakeError(
                f"line {number}: something follows the array; write an object a line, or one array"
            )
        number, piece = next(rest, (0, b""))
