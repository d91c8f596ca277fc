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
from itertools import takewhile
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
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
BOOLEANS = {"true": True, "false": False}
MOST_NESTED = 40  # a setup needs 9
LAST_PART = re.compile(r"(\.[^.\[\]]+|\[\d+\]|^[^.\[\]]+)$")
# What PyYAML says, and what that means to somebody who writes a file.
PLAINLY = (
    (r"found character '\\t'", "has a tab; indent with spaces"),
    ("found character", "begins with a sign that YAML uses itself; put the text in quotes"),
    ("mapping values are not allowed", "has a second `: `, or is indented too far; quote text"),
    ("but found another document", "begins a second document (---); a file has one"),
    ("expected <block end>", "does not belong to what is above; see how far it is indented"),
    ("could not find expected ':'", "is no field; write `name: value`"),
    ("unexpected end of stream", "has a quote that never ends"),
    ("stream end", "has a bracket that never ends"),
)
ENDLESS = ("could not find expected ':'", "unexpected end of stream", "stream end")
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
    """The content of a file, and the lines of its fields by their paths."""

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
    if file.suffix.lower() == ".toml":
        text = "is TOML; descriptions are YAML (.yaml, .yml) or JSON (.json)"
        raise DescriptionError([Fault(0, "", text)])
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DescriptionError([Fault(0, "", f"is not text in UTF-8: {error.reason}")]) from None
    return read_yaml(text)


def read_yaml(text: str) -> Description:
    """Read YAML, which JSON is too unless tabs indent it. Raises DescriptionError."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise DescriptionError([_broken(error)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        said = f"has a character that no text may have: #x{ord(text[error.position]):04x}"
        raise DescriptionError([Fault(line, "", said)]) from None
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node else 1
        raise DescriptionError([Fault(line, "", "must have fields, such as `product:`")])
    reading = _Reading()
    content = reading.value(node, "")
    if reading.faults:
        raise DescriptionError(reading.faults)
    return Description(content, reading.lines, text)


def _broken(error: yaml.MarkedYAMLError) -> Fault:
    """Return the line of a syntax error; of something without an end, the line where it begins."""
    said = f"{error.problem or error.context}"
    mark = error.problem_mark
    if any(sign in said for sign in ENDLESS):
        mark = error.context_mark or mark
    plainly = next((text for pattern, text in PLAINLY if re.search(pattern, said)), said)
    return Fault(mark.line + 1 if mark else 0, "", plainly)


class _Loader(yaml.SafeLoader):
    """Composes nodes of what can be seen: nothing stands for something that is elsewhere."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        fault = None
        if isinstance(event, yaml.AliasEvent):
            fault = "is a reference (*); write out what it stands for"
        elif event.anchor is not None:
            fault = "has an anchor (&); write it out wherever it is needed"
        elif event.tag is not None:
            fault = "has a tag (!); write the value alone"
        elif self.depth == MOST_NESTED:
            fault = f"is nested more than {MOST_NESTED} deep"
        if fault:
            raise yaml.composer.ComposerError(None, None, fault, event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass(slots=True)
class _Reading:
    """Makes values of the nodes of a file, and remembers the line of each."""

    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def value(self, node: yaml.Node, path: str) -> Any:
        """The value of a node; what it is worth after a fault does not matter."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._fields(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, f"{path}[{n}]") for n, one in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            raise TypeError(f"YAML has no {type(node).__name__}")
        text = self._text(node, path)
        return text if node.style is not None else plain_scalar(text)  # in quotes, or a block

    def _fields(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(Fault(line, path, "has a field whose name is no text"))
                continue
            name = self._text(key, path)
            place = f"{path}.{name}" if path else name
            if name in found:
                first = self.lines[place]
                self.faults.append(Fault(line, place, f"is there twice, first in line {first}"))
                continue
            self.lines[place] = line
            found[name] = self.value(value, place)
        return found

    def _text(self, node: yaml.ScalarNode, path: str) -> str:
        """The text of a node; JSON writes characters beyond 16 bits as two halves."""
        try:
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            text = "has half of a character (\\ud800 to \\udfff)"
            self.faults.append(Fault(node.start_mark.line + 1, path, text))
            return ""


def plain_scalar(text: str) -> Any:
    """Plain text as what it looks like; YAML's own guesses (`no`, `012`, `1:30`) are not made."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    if WHOLE.fullmatch(text):
        return int(text)
    if FRACTION.fullmatch(text):
        return Decimal(text)
    if DAY.fullmatch(text):
        return _day(text) or text
    return None if text in ("", "~", "null") else text


def _is_map(kind: FieldDescriptor) -> bool:
    return kind.message_type is not None and kind.message_type.GetOptions().map_entry


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def _shown(value: Any) -> str:
    """A value as people write it, in short."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:60]}…")
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, list):
        return "a list"
    return "fields" if isinstance(value, Mapping) else str(value)


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
            self.fault(path, f"must have fields, not {_shown(content)}")
            return
        into.SetInParent()
        known: Mapping[str, Any] = into.DESCRIPTOR.fields_by_name
        for name, value in content.items():
            place = f"{path}.{name}" if path else name
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; {near[0]}?" if near else f"; known are {', '.join(known)}"
                self.fault(place, f"there is no such field{hint}")
            elif other := _rival(known[name], content):
                self.fault(place, f"cannot be there together with {other}")
            elif _is_map(known[name]):
                self._map(into, known[name], value, place)
            elif known[name].is_repeated:
                self._list(into, known[name], value, place)
            else:
                self._field(into, known[name], value, place)

    def _map(self, into: Message, kind: FieldDescriptor, value: Any, path: str) -> None:
        """Fill a map of texts."""
        if not isinstance(value, Mapping):
            self.fault(path, f"must have fields, not {_shown(value)}")
            return
        assert kind.message_type is not None, "a map has entries"
        texts = kind.message_type.fields_by_name["value"]
        for key, text in value.items():
            found = self._plain(texts, text, f"{path}.{key}")
            if found is not None:
                getattr(into, kind.name)[key] = found

    def _list(self, into: Message, kind: FieldDescriptor, value: Any, path: str) -> None:
        if not isinstance(value, list):
            self.fault(path, f"must be a list, not {_shown(value)}")
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
            self.fault(path, f"must be one of {', '.join(names)}, not {_shown(value)}")
        elif kind.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            if isinstance(value, str):
                return value
            quoted = isinstance(value, (int, Decimal, date))
            hint = f'; write "{_shown(value)}", in quotes' if quoted else ""
            self.fault(path, f"must be text, not {_shown(value)}{hint}")
        elif kind.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            if isinstance(value, bool):
                return value
            self.fault(path, f"must be true or false, not {_shown(value)}")
        elif kind.cpp_type in INTEGERS:
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
                return value
            self.fault(path, f"must be a whole number, not {_shown(value)}")
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
        self.fault(path, f"must be a number, not {_shown(value)}")
        return decimal_pb(0)

    def _date(self, value: Any, path: str) -> Any:
        if isinstance(value, date) and not isinstance(value, datetime):
            return date_pb(value)
        if isinstance(value, str) and (day := _day(value)):
            return date_pb(day)
        self.fault(path, f"must be a date such as 2026-01-31, not {_shown(value)}")
        return date_pb(date.min)


def _rival(kind: FieldDescriptor, content: Mapping[str, Any]) -> str | None:
    """A field before this one that a message can only have instead of it."""
    rivals = {one.name for one in kind.containing_oneof.fields} if kind.containing_oneof else set()
    before = takewhile(lambda name: name != kind.name, content)
    return next((name for name in before if name in rivals), None)
