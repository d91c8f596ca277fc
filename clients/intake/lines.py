"""Rows to lines: the records of each row, or what is wrong with it."""

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from clients.intake import cells
from clients.intake.cells import NotNumber, Row
from clients.intake.diagnosis import csv_lines, explain, json_pieces
from clients.intake.layout import BadLine, Fault, IntakeError, Layout, Line, Reading, shown
from clients.intake.rows import cleaned, csv_rows, json_rows
from clients.intake.times import read_time

_Content = TypeVar("_Content")


def read_csv(lines: Iterable[bytes], layout: Layout) -> Iterator[Line | BadLine]:
    """Read CSV with a header. Raises IntakeError when the header or the times' zone will not do,
    and where a quote does not end.
    """
    clean = csv_lines(cleaned(lines), layout.delimiter)
    rows = csv_rows(clean, layout.delimiter)
    width, places = _header(rows, clean, layout)

    def row_of(fields: list[str]) -> Row:
        if len(fields) != width:
            raise Fault(f"has {_count(len(fields), 'field')}, the header has {width}")
        return {name: fields[place] for name, place in places}

    yield from _read(_trimmed(rows, width, layout.delimiter.encode()), layout, row_of)


def read_json(lines: Iterable[bytes], layout: Layout) -> Iterator[Line | BadLine]:
    """Read JSON objects, one a line or in one array. Raises IntakeError when the times have no
    zone, and if the array does not end.
    """
    # Keys that are read may occur once; those of other parts are nobody's concern.
    keys = {key for column in layout.columns for key in (column, *column.split("."))}
    pieces = json_pieces(cleaned(lines), layout.columns)
    yield from _read(json_rows(pieces), layout, lambda text: _object(text, keys))


def header_line(lines: Iterable[bytes], delimiter: str = ",") -> bytes:
    """The first row that is not empty, without byte order mark and line end."""
    rows = csv_rows(csv_lines(cleaned(lines), delimiter), delimiter)
    return next((raw for _, raw, _ in rows), b"")


def _read(
    rows: Iterable[tuple[int, bytes, _Content | Fault]],
    layout: Layout,
    row_of: Callable[[_Content], Row],
) -> Iterator[Line | BadLine]:
    for number, raw, content in rows:
        line_id = None
        try:
            if isinstance(content, Fault):
                raise content
            row = row_of(content)
            if layout.id_column is not None:
                line_id = cells.record_id_of(cells.text_of(row, layout.id_column))
            yield _line(number, raw, row, line_id, layout)
        except Fault as fault:
            yield BadLine(number, raw, layout.line_id(number, line_id), str(fault))
        except IntakeError as error:
            raise IntakeError(f"{layout.place} {number}: {error}") from None


def _line(number: int, raw: bytes, row: Row, given: str | None, layout: Layout) -> Line:
    try:
        at, is_ambiguous = read_time(cells.text_of(row, layout.time_column), layout.zone)
    except ValueError as error:
        raise Fault(f"{layout.time_column}: {error}") from None
    readings = tuple(
        Reading(
            cells.record_id_of(layout.record_id(number, given, one.resource)),
            one.resource,
            cells.quantity_of(row, one.column, decimal_comma=layout.decimal_comma),
            at,
        )
        for one in layout.measures
    )
    account = _account(row, layout)
    return Line(
        number,
        raw,
        layout.line_id(number, given),
        readings,
        account,
        _asset(row, account, layout),
        _unit(row, layout),
        _labels(row, layout),
        is_ambiguous,
    )


def _account(row: Row, layout: Layout) -> str:
    if layout.account_column is None:
        return layout.account
    text = cells.text_of(row, layout.account_column)
    return cells.id_of(text, layout.account_column, "accounts")


def _asset(row: Row, account: str, layout: Layout) -> str:
    if layout.asset_column is None:
        return layout.asset
    text = cells.text_of(row, layout.asset_column)
    of_account, found, asset = text.removeprefix("accounts/").partition("/assets/")
    if not found:
        return cells.asset_of(text, layout.asset_column)
    if of_account != account:
        owner = shown(f"accounts/{account}")
        raise Fault(f"{layout.asset_column}: {shown(text)} is not of {owner}")
    return cells.asset_of(asset, layout.asset_column)


def _unit(row: Row, layout: Layout) -> str:
    if layout.unit_column is None:
        return layout.unit
    text = cells.label_of(row, layout.unit_column)
    return cells.id_of(text, layout.unit_column, "unitsOfMeasure") if text else layout.unit


def _labels(row: Row, layout: Layout) -> tuple[tuple[str, str], ...]:
    if not layout.labels:
        return ()
    pairs = ((one.key, cells.label_of(row, one.column)) for one in layout.labels)
    return tuple((key, value) for key, value in pairs if value)


def _header(
    rows: Iterator[tuple[int, bytes, list[str] | Fault]], rest: Iterable[bytes], layout: Layout
) -> tuple[int, list[tuple[str, int]]]:
    """Return the number of columns, and the places of those that are read."""
    number, raw, content = next(rows, (1, b"", []))
    if isinstance(content, Fault):
        raise IntakeError(f"the header, line {number}, {content}")
    names = [name.strip() for name in content]
    if not any(names):
        raise IntakeError("the file is empty")
    for column in layout.columns:
        if column not in names:
            raise IntakeError(explain(column, names, raw, rest, layout))
        if names.count(column) > 1:
            raise IntakeError(f"the header has two columns `{column}`")
    return len(names), [(column, names.index(column)) for column in layout.columns]


def _trimmed(
    rows: Iterable[tuple[int, bytes, list[str] | Fault]], width: int, delimiter: bytes
) -> Iterator[tuple[int, bytes, list[str] | Fault]]:
    """Yield the rows without empty fields behind the last column, which spreadsheets write.

    They go from the bytes too, so that a column can be added to them.
    """
    for number, raw, fields in rows:
        if isinstance(fields, list) and len(fields) > width:
            empty = delimiter * (len(fields) - width)
            if raw.endswith(empty) and not any(fields[width:]):
                yield number, raw.removesuffix(empty), fields[:width]
                continue
        yield number, raw, fields


def _object(text: str, keys: set[str]) -> Row:
    def once(pairs: list[tuple[str, Any]]) -> Row:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs if name in keys]
            if len(names) != len(set(names)):
                raise Fault("has a key twice")
        return found

    try:
        found = json.loads(
            text,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=NotNumber,
            object_pairs_hook=once,
        )
    except (json.JSONDecodeError, InvalidOperation, RecursionError) as error:
        raise Fault(f"is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Fault(f"is {_kind(found)}, not a JSON object")
    return found


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "an array"
    return "a text" if isinstance(value, str) else "a single value"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
