"""The rules written in the protos, checked before anything is looked at; one table to our reasons.

Formats of our own are custom rules whose id is the reason. Paths are those of the request, as in
`account.labels` or `lines[2].product`.
"""

import re
from collections.abc import Callable
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from protovalidate import Validator

from server.domain.errors import InvalidArgument, Violation

OUR_OWN = re.compile(r"[A-Z][A-Z0-9_]*")

REASONS = {
    "required": "FIELD_REQUIRED",
    "repeated.min_items": "FIELD_REQUIRED",
    "repeated.max_items": "TOO_MANY_ITEMS",
    "map.min_pairs": "FIELD_REQUIRED",
    "map.max_pairs": "TOO_MANY_ITEMS",
    "string.max_len": "TEXT_TOO_LONG",
    "string.max_bytes": "TEXT_TOO_LONG",
    "enum.not_in": "ENUM_UNSPECIFIED",
    "enum.defined_only": "ENUM_UNKNOWN",
    "int32.gte_lte": "RANGE",
}

_validator = Validator()

Check = Callable[[Any], bool]


def validate(request: Message) -> None:
    """Refuse a request that breaks a rule of its proto, naming every field that does."""
    refusal = refusal_of(request)
    if refusal is not None:
        raise refusal


def refusal_of(request: Message) -> InvalidArgument | None:
    """Return the refusal of a request, with every field that breaks a rule of its proto."""
    found = _validator.collect_violations(request)
    if not found:
        return None
    named = (_violation(item.proto, request.DESCRIPTOR) for item in found)
    # A text may be too long in characters and in bytes, which is one fault.
    violations = tuple({(one.field, one.reason): one for one in named}.values())
    refusal = InvalidArgument.of(violations)
    if refusal.reason == "TOO_MANY_ITEMS":
        refusal.facts |= {"got": str(len(getattr(request, violations[0].field, ())))}
    return refusal


def surely_valid(message: Descriptor) -> Check:
    """A quick look at the messages of a type: True only for those that break no rule.

    It knows what is required and how long lists may be, which is all that the requests of hot
    methods ask for. A type with other rules is never sure, and is validated in full every time.
    """
    checks: list[Check] = []
    for field in message.fields:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        quick = _quick(field, rules)
        if quick is None or not _is_free_of_rules(field.message_type, frozenset()):
            return _never
        checks += quick

    def is_valid(request: Message) -> bool:
        for check in checks:  # noqa: SIM110 - a generator costs as much as the checks themselves
            if not check(request):
                return False
        return True

    return is_valid


def _quick(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> list[Check] | None:
    """The checks of one field; None when it has a rule that this does not know."""
    name, left = field.name, type(rules)()
    left.CopyFrom(rules)
    checks: list[Check] = []
    if left.required:
        has_presence = field.message_type is not None and not field.is_repeated
        checks.append(
            (lambda m: m.HasField(name)) if has_presence else (lambda m: bool(getattr(m, name)))
        )
        left.ClearField("required")
    if left.repeated.HasField("max_items"):
        most = left.repeated.max_items
        checks.append(lambda m: len(getattr(m, name)) <= most)
        left.repeated.ClearField("max_items")
        left.repeated.ClearField("items")  # rules of items are looked for below
        if not left.repeated.ByteSize():
            left.ClearField("repeated")
    if left.enum.defined_only and not left.enum.not_in:
        assert field.enum_type is not None, field
        known = frozenset(field.enum_type.values_by_number)
        checks.append(lambda m: getattr(m, name) in known)
        left.ClearField("enum")
    return None if left.SerializeToString() else checks


def _is_free_of_rules(message: Descriptor | None, seen: frozenset[str]) -> bool:
    """Whether nothing is said of the fields of a message, nor of those within."""
    if message is None or message.full_name in seen:
        return True
    beyond = seen | {message.full_name}
    return all(
        not field.GetOptions().HasExtension(validate_pb2.field)
        and _is_free_of_rules(field.message_type, beyond)
        for field in message.fields
    )


def _never(_request: Any) -> bool:
    return False


def _violation(found: Any, message: Any) -> Violation:
    rule: str = found.rule_id
    reason = rule if OUR_OWN.fullmatch(rule) else REASONS[rule]
    description = found.message
    if rule.startswith("enum."):
        description = f"must be one of {', '.join(_choices(found.field, message))}"
    return Violation(_path(found.field), reason, description)


def _choices(path: Any, message: Any) -> list[str]:
    """Return the values of the enum at a path that a caller may choose."""
    field: FieldDescriptor | None = None
    for element in path.elements:
        field = message.fields_by_number[element.field_number]
        message = field.message_type or message
    assert field is not None, path
    assert field.enum_type is not None, path
    rules = field.GetOptions().Extensions[validate_pb2.field]
    refused = {*rules.enum.not_in, *rules.repeated.items.enum.not_in}
    return [value.name for value in field.enum_type.values if value.number not in refused]


def _path(field: Any) -> str:
    """A path as text. What only groups other fields (a oneof) is named by its own name."""
    steps = []
    for element in field.elements:
        place = element.subscript
        steps.append(element.field_name + (f"[{place.value}]" if place is not None else ""))
    return ".".join(steps)
