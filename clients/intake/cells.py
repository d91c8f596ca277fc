"""Cells of a row: texts, ids and quantities, checked one by one."""

import json
import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from clients.intake.layout import Fault, shown

# Values of the columns that are read, or a whole JSON object.
Row = Mapping[str, Any]

NUMBER = re.compile(r"(0|[1-9][0-9]{0,25})(\.[0-9]{1,12})?")
SCIENTIFIC = re.compile(r"(?:0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?[eE][+-]?[0-9]{1,3}")
MANY_DECIMALS = re.compile(r"(0|[1-9][0-9]{0,25})\.[0-9]{12}0{1,40}")
WITH_COMMA = re.compile(r"[0-9]+,[0-9]+")
# More digits than a text that is read may have, so that nothing is rounded.
EXACT = Context(prec=100)
MOST_DECIMALS = 12
MOST_EXPONENT = 40
RECORD_ID = re.compile(r"[\x21-\x7e]{1,128}")
EXTERNAL = "external:"
UUID_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RESOURCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


MISSING = object()


class NotNumber:
    """A word that JSON of some programs has for a number: NaN, Infinity."""

    def __init__(self, word: str) -> None:
        self.word = word


def text_of(row: Row, column: str) -> str:
    """Return the text of a cell. Raises Fault if it is not there, or empty."""
    value = optional_text(row, column)
    if value is None:
        raise Fault(f"has no `{column}`")
    if not value:
        raise Fault(f"{column} is empty")
    return value


def optional_text(row: Row, column: str) -> str | None:
    """Return the text of a cell, empty if it is blank, None if it is not there. Raises Fault."""
    value = _value(row, column)
    if isinstance(value, str):
        return value.strip()
    if value is MISSING:
        return None
    if isinstance(value, Decimal):
        if abs(value.adjusted()) > MOST_EXPONENT:
            raise Fault(f"{column}: {value} is out of range")
        return f"{value:f}"
    if isinstance(value, NotNumber):
        raise Fault(f"{column}: {value.word} is not a number")
    raise Fault(f"{column}: {shown(json.dumps(value, default=str))} is neither a text nor a number")


def label_of(row: Row, column: str) -> str:
    """Return the value of a label; an empty one is the same as none."""
    value = _value(row, column)
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return optional_text(row, column) or ""


def record_id_of(record_id: str) -> str:
    """Return the id of a record. Raises Fault if it cannot be one."""
    if not RECORD_ID.fullmatch(record_id):
        raise Fault(
            f"the id {shown(record_id)} is not 1 to 128 printable ASCII characters without spaces"
        )
    return record_id


def id_of(text: str, column: str, collection: str) -> str:
    """Return the id in a cell that holds it, or its resource name. Raises Fault otherwise."""
    found = text.removeprefix(f"{collection}/")
    if not RESOURCE_ID.fullmatch(found):
        raise Fault(f"{column}: {shown(text)} is not an id, or {collection}/ and an id")
    return found


def asset_of(text: str, column: str) -> str:
    """Return the last part of an asset's name. Raises Fault if the text is no id.

    A UUID is the asset's own id; any other id, or one after `external:`, is the caller's own.
    """
    found = text.removeprefix("assets/")
    own = found.removeprefix(EXTERNAL)
    if not RESOURCE_ID.fullmatch(own):
        raise Fault(f"{column}: {shown(text)} is not the id of an asset")
    return found if UUID_ID.fullmatch(found) else f"{EXTERNAL}{own}"


def quantity_of(row: Row, column: str, *, decimal_comma: bool) -> str:
    """Return a quantity without an exponent. Raises Fault for what cannot be counted exactly."""
    text = text_of(row, column)
    if decimal_comma and isinstance(_value(row, column), str):
        if "." in text:
            raise Fault(f"{column}: {shown(text)} has a point, and decimals are after commas here")
        text = text.replace(",", ".", 1)
    if NUMBER.fullmatch(text):
        return text
    return _unusual(text, column)


def _unusual(text: str, column: str) -> str:
    if text.startswith("-") and (NUMBER.fullmatch(text[1:]) or SCIENTIFIC.fullmatch(text[1:])):
        raise Fault(
            f"{column}: {shown(text)} is below zero; void the record that recorded too much"
        )
    if MANY_DECIMALS.fullmatch(text):
        return text.rstrip("0").rstrip(".")
    if SCIENTIFIC.fullmatch(text):
        plain = f"{EXACT.create_decimal(text).normalize(EXACT):f}"
        if NUMBER.fullmatch(plain):
            return plain
        decimals = len(plain.partition(".")[2])
        raise Fault(
            f"{column}: {shown(text)} has an exponent and is a number of {decimals} decimals; at"
            f" most {MOST_DECIMALS} are counted"
            if decimals > MOST_DECIMALS
            else f"{column}: {shown(text)} has an exponent and more than 26 digits"
        )
    if WITH_COMMA.fullmatch(text):
        raise Fault(
            f"{column}: {shown(text)} is not a number: it has a comma. If commas separate the"
            " decimals, add --decimal-comma; if they separate thousands, remove them"
        )
    raise Fault(f"{column}: {shown(text)} is not a number of at most 26 digits and 12 decimals")


def _value(row: Row, column: str) -> Any:
    """Return the cell of that name, else the one at that path, else MISSING."""
    if column in row:
        return row[column]
    value: Any = row
    for key in column.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return MISSING
        value = value[key]
    return value
