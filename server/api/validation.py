"""The rules in the protos, checked before a request is read; one table maps rules to reasons.

A custom rule has its reason as its id. Paths are those of the request, as in `account.labels` or
`lines[2].product`.
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
    "repeated.unique": "RANGE",
    "string.min_len": "FIELD_REQUIRED",
    "string.max_len": "TEXT_TOO_LONG",
    "string.max_bytes": "TEXT_TOO_LONG",
    "enum.not_in": "ENUM_UNSPECIFIED",
    "enum.defined_only": "ENUM_UNKNOWN",
    "int32.gte_lte": "RANGE",
}

_validator = Validator()

Check = Callable[[Any], bool]


def validate(request: Message) -> None:
    """Raise InvalidArgument, with every faulty field, if a request violates its proto's rules."""
    refusal = refusal_of(request)
    if refusal is not None:
        raise refusal


def refusal_of(request: Message) -> InvalidArgument | None:
    """Return the refusal with every field that violates a rule of its proto, or None."""
    faults = _validator.collect_violations(request)
    if not faults:
        return None
    named = (_violation(item.proto, request.DESCRIPTOR) for item in faults)
    # A text may be too long both in characters and in bytes; that is one fault.
    violations = tuple(
        {(violation.field, violation.reason): violation for violation in named}.values()
    )
    refusal = InvalidArgument.of(violations)
    if refusal.reason == "TOO_MANY_ITEMS":
        refusal.facts |= {"got": str(len(getattr(request, violations[0].field, ())))}
    return refusal


def surely_valid(message: Descriptor) -> Check:
    """Return a fast check of a message type that is True only for valid messages.

    It covers required fields, enums and the lengths of lists, which are all the rules of hot
    methods. For a type with other rules it is always False, so such a message is validated in full.
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
    """Return the checks of one field; None if it has a rule that they do not cover."""
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
        left.repeated.ClearField("items")  # `_is_free_of_rules` checks the rules of items
        if not left.repeated.ByteSize():
            left.ClearField("repeated")
    if left.enum.defined_only and not left.enum.not_in:
        assert field.enum_type is not None, field
        known = frozenset(field.enum_type.values_by_number)
        checks.append(lambda m: getattr(m, name) in known)
        left.ClearField("enum")
    return None if left.SerializeToString() else checks


def _is_free_of_rules(message: Descriptor | None, seen: frozenset[str]) -> bool:
    """Return True if no field of a message, nor of its nested messages, has a rule."""
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


def _violation(fault: Any, message: Any) -> Violation:
    rule: str = fault.rule_id
    reason = rule if OUR_OWN.fullmatch(rule) else REASONS[rule]
    description = fault.message
    if rule.startswith("enum."):
        description = f"must be one of {', '.join(_choices(fault.field, message))}"
    return Violation(_path(fault.field), reason, description)


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
    """Return a path as text; a oneof has its own name in it."""
    steps = []
    for element in field.elements:
        place = element.subscript
        steps.append(element.field_name + (f"[{place.value}]" if place is not None else ""))
    return ".".join(steps)
