"""The reason why a header does not have a column, and the options that read the file."""

import csv
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from shlex import quote

from clients.intake.layout import IntakeError, Layout
from clients.intake.rows import without_end

# Delimiters by the names that --delimiter takes, with the words for a message.
DELIMITERS = {
    "comma": (",", "commas"),
    "semicolon": (";", "semicolons"),
    "tab": ("\t", "tabs"),
    "pipe": ("|", "vertical bars"),
}
DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]+")
JSON_START = re.compile(rb'\s*(?:\{\s*(?:"|$)|\[\s*(?:\{|$))')
SEPARATOR = re.compile(rb"sep=([\t !#-~])")
ROWS_TO_LOOK_AT = 1_000


def csv_lines(lines: Iterator[bytes], delimiter: str) -> Iterator[bytes]:
    """Yield the lines of CSV, blank in place of a first line `sep=;`, which spreadsheets write.

    Raises IntakeError if that line names another delimiter, or if the file holds JSON.
    """
    first = next(lines, b"")
    if JSON_START.match(first):
        raise IntakeError("the file holds JSON; add --format json")
    separator = SEPARATOR.fullmatch(without_end(first))
    if separator is not None:
        if separator[1] != delimiter.encode():
            raise IntakeError(
                f"the file is separated by {separator[1].decode()}, as its first line says; add"
                f" --delimiter {quote(separator[1].decode())}"
            )
        first = b"\n"
    yield first
    yield from lines


def json_pieces(pieces: Iterator[bytes], columns: Collection[str]) -> Iterator[bytes]:
    """Yield the pieces of JSON. Raises IntakeError if they begin with a header of CSV."""
    first = next(pieces, b"")
    if not first.lstrip().startswith((b"{", b"[")):
        for option, (delimiter, _) in DELIMITERS.items():
            if set(columns) <= set(_fields(without_end(first), delimiter)):
                chosen = "" if option == "comma" else f" --delimiter {option}"
                raise IntakeError(f"the file is CSV, not JSON; add --format csv{chosen}")
    yield first
    yield from pieces


def explain(
    column: str, names: Sequence[str], raw: bytes, rest: Iterable[bytes], layout: Layout
) -> str:
    """Return why there is no such column; `rest` are the lines behind the header."""
    missing = f"there is no column `{column}`"
    for option, (delimiter, plural) in DELIMITERS.items():
        others = _fields(raw, delimiter)
        if delimiter == layout.delimiter or len(others) <= len(names):
            continue
        commas = not layout.decimal_comma and _has_commas(others, rest, delimiter, layout)
        said = f"{missing}: the file is separated by {plural}"
        said += (
            f", decimals with commas; add --delimiter {option} --decimal-comma"
            if commas
            else (f"; add --delimiter {option}")
        )
        if set(layout.columns) <= set(others):
            return said
        return f"{said}. There are then: {_listed(others)}"
    return f"{missing}; there are: {_listed(names)}"


def _fields(raw: bytes, delimiter: str) -> list[str]:
    text = raw.decode("utf-8", "replace")
    rows = csv.reader([text], delimiter=delimiter, skipinitialspace=True)
    try:
        return [name.strip() for name in next(rows, [])]
    except csv.Error:
        return []


def _has_commas(
    names: Sequence[str], rest: Iterable[bytes], delimiter: str, layout: Layout
) -> bool:
    places = [names.index(one.column) for one in layout.measures if one.column in names]
    for line in itertools.islice(rest, ROWS_TO_LOOK_AT):
        fields = _fields(line.rstrip(b"\r\n"), delimiter)
        cells = (fields[place].strip() for place in places if place < len(fields))
        if any(DECIMAL_COMMA.fullmatch(cell) for cell in cells):
            return True
    return False


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name for name in names if name)
