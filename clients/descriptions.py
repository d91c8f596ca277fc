"""Descriptions in files: YAML with the fields of a message, and where each of them stands.

A file is written as people write: numbers and dates as themselves, values of enums by name. Nothing
passes through a float. Every fault has the path of its field, as in `grants[0].quantity`, and the
line it stands in.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from clients.values import date_pb, decimal_pb

M = TypeVar("M", bound=Message)

DECIMAL, DATE = "google.type.Decimal", "google.type.Date"
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,39})")
FRACTION = re.compile(r"[-+]?(0|[1-9][0-9]{0,39})?\.[0-9]{1,40}")
BOOLEANS = {"true": True, "false": False}
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
        """The first line that has a text as a word of its own; 0 when none has."""
        lines = enumerate(self.text.splitlines(), start=1)
        whole = re.compile(rf"(?<![\w/.-]){re.escape(text)}(?![\w/.-])")
        return next((number for number, line in lines if whole.search(line)), 0)

    def into(self, message: M) -> M:
        """Fill a message. Raises DescriptionError for everything that does not fit."""
        filling = _Filling(self)
        filling.message(message, self.content, "")
        if filling.faults:
            raise DescriptionError(filling.faults)
        return message


def read(file: Path) -> Description:
    """Read a file. Raises DescriptionError, OSError."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DescriptionError([Fault(0, "", f"is not text in UTF-8: {error.reason}")]) from None
    return read_yaml(text)


def read_yaml(text: str) -> Description:
    """Read YAML, which JSON is too. Raises DescriptionError."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        said = f"{error.problem or error.context}"
        raise DescriptionError([Fault(mark.line + 1 if mark else 0, "", said)]) from None
    except yaml.YAMLError as error:  # a character that no text may have
        raise DescriptionError([Fault(0, "", str(error).splitlines()[0])]) from None
    if not isinstance(node, yaml.MappingNode):
        raise DescriptionError([Fault(1, "", "must have fields, such as `product:`")])
    reading = _Reading()
    content = reading.value(node, "")
    if reading.faults:
        raise DescriptionError(reading.faults)
    return Description(content, reading.lines, text)


@dataclass(slots=True)
class _Reading:
    """Makes values of the nodes of a file, and remembers the line of each."""

    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, path: str) -> Any:
        """The value of a node; None after a fault."""
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if id(node) in self.seen:
            self.faults.append(
                Fault(line, path, "is a reference (*); write out what it stands for")
            )
            return None
        self.seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._fields(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, f"{path}[{n}]") for n, one in enumerate(node.value)]
        return _scalar(node)

    def _fields(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            place = f"{path}.{name}" if path else name
            self.lines[place] = line
            if name in found:
                self.faults.append(Fault(line, place, "is there twice"))
            found[name] = self.value(value, place)
        return found


def _scalar(node: yaml.Node) -> Any:
    """Plain text as what it looks like; YAML's own guesses (`no`, `012`, `1:30`) are not made."""
    text = str(node.value)
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:  # in quotes, or a block
        return text
    if text in BOOLEANS:
        return BOOLEANS[text]
    if WHOLE.fullmatch(text):
        return int(text)
    if FRACTION.fullmatch(text):
        return Decimal(text)
    return None if text in ("", "~", "null") else text


@dataclass(slots=True)
class _Filling:
    """Fills messages out of a description, and keeps what does not fit."""

    description: Description
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: str, text: str) -> None:
        self.faults.append(Fault(self.description.line_of(path), path, text))

    def message(self, into: Message, content: Any, path: str) -> None:
        """Fill a message out of its fields."""
        if not isinstance(content, Mapping):
            self.fault(path, f"must have fields, not {content!r}")
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
            self.fault(path, f"must be text, not {value!r}")
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
