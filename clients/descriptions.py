"""Descriptions in files: TOML or JSON with the fields of a message, and where each of them stands.

A file is written as people write: numbers and dates as themselves, values of enums by name. Nothing
passes through a float. Every fault has the path of its field, as in `grants[0].quantity`, and the
line it stands in.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from clients.values import date_pb, decimal_pb

M = TypeVar("M", bound=Message)

DECIMAL, DATE = "google.type.Decimal", "google.type.Date"
HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?")
KEY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
LAST_PART = re.compile(r"(\.[^.\[\]]+|\[\d+\]|^[^.\[\]]+)$")
INTEGERS = frozenset(
    {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT32}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a file."""

    line: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: {self.text}" if self.path else f"{where}{self.text}"


class DescriptionError(Exception):
    """A file that says what nobody can read; `faults` has everything that was found."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says, and the lines of its fields by their paths."""

    content: Mapping[str, Any]
    lines: Mapping[str, int]
    text: str = ""

    def line_of(self, path: str) -> int:
        """The line of a field, or of what it is part of; 0 when that is the whole file."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = LAST_PART.sub("", path)
        return 0

    def line_of_text(self, text: str) -> int:
        """The first line that has a text in quotes, as it has a name; 0 when none has."""
        lines = enumerate(self.text.splitlines(), start=1)
        return next((number for number, line in lines if f'"{text}"' in line), 0)

    def into(self, message: M) -> M:
        """Fill a message. Raises DescriptionError for everything that does not fit."""
        filling = _Filling(self)
        filling.message(message, self.content, "")
        if filling.faults:
            raise DescriptionError(filling.faults)
        return message


def read(file: Path) -> Description:
    """Read a file, as JSON if it is called so, else as TOML. Raises DescriptionError, OSError."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DescriptionError([Fault(0, "", f"is not text in UTF-8: {error.reason}")]) from None
    if file.suffix.lower() in {".yaml", ".yml"}:
        raise DescriptionError([Fault(0, "", "YAML is not read; write TOML or JSON")])
    return read_json(text) if file.suffix.lower() == ".json" else read_toml(text)


def read_toml(text: str) -> Description:
    """Read TOML. Raises DescriptionError."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        said = str(error)[: found.start()] if found else str(error)
        raise DescriptionError([Fault(line, "", said)]) from None
    return Description(content, dict(_lines_of_toml(text)), text)


def read_json(text: str) -> Description:
    """Read JSON. Raises DescriptionError."""
    try:
        content = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise DescriptionError([Fault(error.lineno, "", error.msg)]) from None
    if not isinstance(content, dict):
        raise DescriptionError([Fault(1, "", "must be an object")])
    return Description(content, dict(_lines_of_json(text)), text)


@dataclass(slots=True)
class _Filling:
    """Fills messages out of a description, and keeps what does not fit."""

    description: Description
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: str, text: str) -> None:
        self.faults.append(Fault(self.description.line_of(path), path, text))

    def message(self, into: Message, content: Any, path: str) -> None:
        """Fill a message out of a table."""
        if not isinstance(content, Mapping):
            self.fault(path, f"must be a table, not {content!r}")
            return
        into.SetInParent()
        known: Mapping[str, Any] = into.DESCRIPTOR.fields_by_name
        for name, value in content.items():
            place = f"{path}.{name}" if path else name
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; {near[0]}?" if near else f"; known are {', '.join(known)}"
                self.fault(place, f"there is no such field{hint}")
            elif known[name].is_repeated:
                self._list(into, known[name], value, place)
            else:
                self._field(into, known[name], value, place)

    def _list(self, into: Message, kind: FieldDescriptor, value: Any, path: str) -> None:
        if not isinstance(value, list):
            self.fault(path, f"must be a list, not {value!r}")
            return
        items = getattr(into, kind.name)
        for index, item in enumerate(value):
            place = f"{path}[{index}]"
            if kind.message_type is not None:
                self.message(items.add(), item, place)
            else:
                found = self._plain(kind, item, place)
                if found is not None:
                    items.append(found)

    def _field(self, into: Message, kind: FieldDescriptor, value: Any, path: str) -> None:
        if kind.message_type is None:
            found = self._plain(kind, value, path)
            if found is not None:
                setattr(into, kind.name, found)
        elif kind.message_type.full_name == DECIMAL:
            getattr(into, kind.name).CopyFrom(self._decimal(value, path))
        elif kind.message_type.full_name == DATE:
            getattr(into, kind.name).CopyFrom(self._date(value, path))
        else:
            self.message(getattr(into, kind.name), value, path)

    def _plain(self, kind: FieldDescriptor, value: Any, path: str) -> Any:
        """A value that is no message; None after a fault."""
        if kind.enum_type is not None:
            names = [one.name for one in kind.enum_type.values if one.number]
            if value in names:
                return kind.enum_type.values_by_name[value].number
            self.fault(path, f"must be one of {', '.join(names)}, not {value!r}")
        elif kind.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            if isinstance(value, str):
                return value
            self.fault(path, f"must be text in quotes, not {value!r}")
        elif kind.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            if isinstance(value, bool):
                return value
            self.fault(path, f"must be true or false, not {value!r}")
        elif kind.cpp_type in INTEGERS:
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
                return value
            self.fault(path, f"must be a whole number, not {value!r}")
        else:
            self.fault(path, "cannot be said in a file")
        return None

    def _decimal(self, value: Any, path: str) -> Any:
        """A number; text is sent as it is, for the service to read."""
        if isinstance(value, str):
            made = decimal_pb(0)
            made.value = value
            return made
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number or (isinstance(value, Decimal) and value.is_finite()):
            return decimal_pb(value)
        self.fault(path, f"must be a number, not {value!r}")
        return decimal_pb(0)

    def _date(self, value: Any, path: str) -> Any:
        if isinstance(value, date) and not isinstance(value, datetime):
            return date_pb(value)
        try:
            return date_pb(date.fromisoformat(value))
        except (TypeError, ValueError):
            self.fault(path, f"must be a date such as 2026-01-31, not {value!r}")
            return date_pb(date.min)


def _lines_of_toml(text: str) -> Iterator[tuple[str, int]]:
    """The line of every header, and of every key that begins a line."""
    prefix, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        header = HEADER.match(line)
        key = KEY.match(line)
        if header:
            *parents, last = header[2].split(".")
            prefix = ""
            for word in parents:
                prefix = _joined(prefix, word)
                prefix += f"[{counts[prefix]}]" if prefix in counts else ""
            prefix = _joined(prefix, last)
            if header[1] == "[[":
                yield prefix, number
                counts[prefix] = counts.get(prefix, -1) + 1
                prefix += f"[{counts[prefix]}]"
            yield prefix, number
        elif key:
            yield _joined(prefix, key[1]), number


def _lines_of_json(text: str) -> Iterator[tuple[str, int]]:
    """The line of every key and of every item of a list."""
    stack: list[tuple[str, int | str]] = []  # the path of each open thing; its index, or its key
    line, position, path = 1, 0, ""
    for token in TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        mark = token[0]
        if mark in "{[":
            stack.append((path, 0 if mark == "[" else ""))
            path = f"{path}[0]" if mark == "[" else path
        elif mark in "}]":
            stack.pop()
        elif mark == "," and stack:
            parent, place = stack[-1]
            if isinstance(place, int):
                stack[-1] = (parent, place + 1)
                path = f"{parent}[{place + 1}]"
            else:
                stack[-1] = (parent, "")
        elif stack and stack[-1][1] == "" and mark.startswith('"'):
            parent, _ = stack[-1]
            word = str(json.loads(mark))
            stack[-1] = (parent, word)
            path = _joined(parent, word)
        if mark not in "}],:":
            yield path, line


def _joined(prefix: str, word: str) -> str:
    return f"{prefix}.{word}" if prefix else word
