"""Messages as descriptions in files: the inverse of `clients.descriptions`."""

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from clients.descriptions import DATE, DECIMAL, plain_scalar
from clients.values import day

PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def write_yaml(message: Message) -> str:
    """Return a message as YAML, which `descriptions.read_yaml` reads as the same message."""
    text: str = yaml.dump(
        content(message), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return text


def write_json(message: Message) -> str:
    """Return a message as JSON with the same fields as the YAML; numbers are exact, as text."""
    return json.dumps(content(message), indent=2, ensure_ascii=False, default=_as_text)


def _as_text(value: Decimal | date) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else value.isoformat()


def content(message: Message) -> dict[str, Any]:
    """Return the fields that are set: numbers as Decimal, dates, values of enums by name."""
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def _field(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {key: value[key] for key in sorted(value)}
    if field.is_repeated:
        return [_value(field, item) for item in value]
    return _value(field, value)


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if field.message_type is None:
        return value
    if field.message_type.full_name == DECIMAL:
        is_plain = PLAIN_NUMBER.fullmatch(value.value)
        return Decimal(value.value) if is_plain else value.value
    if field.message_type.full_name == DATE:
        return day(value)
    return content(value)


class _Dumper(yaml.SafeDumper):
    """Writes numbers and dates as themselves, and quotes text that would be read as one."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if plain_scalar(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _number(dumper: yaml.SafeDumper, number: Decimal) -> yaml.Node:
    text = f"{number:f}"
    tag = "float" if "." in text else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{tag}", text)


def _date(dumper: yaml.SafeDumper, value: date) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", value.isoformat())


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _number)
_Dumper.add_representer(date, _date)
