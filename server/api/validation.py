"""The rules written in the protos, checked before anything is looked at; one table to our reasons.

Formats of our own are custom rules whose id is the reason. Paths are those of the request, as in
`account.labels` or `lines[2].product`.
"""

import re
from typing import Any

from google.protobuf.message import Message
from protovalidate import Validator

from server.domain.errors import InvalidArgument, Violation

OUR_OWN = re.compile(r"[A-Z][A-Z0-9_]*")

REASONS = {
    "required": "FIELD_REQUIRED",
    "repeated.min_items": "FIELD_REQUIRED",
    "repeated.max_items": "TOO_MANY_ITEMS",
    "string.max_len": "TEXT_TOO_LONG",
    "string.max_bytes": "TEXT_TOO_LONG",
    "enum.not_in": "ENUM_UNSPECIFIED",
    "enum.defined_only": "ENUM_UNKNOWN",
    "int32.gte_lte": "RANGE",
}

_validator = Validator()


def validate(request: Message) -> None:
    """Refuse a request that breaks a rule of its proto, naming every field that does."""
    found = _validator.collect_violations(request)
    if not found:
        return
    violations = tuple(_violation(item.proto) for item in found)
    refusal = InvalidArgument.of(violations)
    if refusal.reason == "TOO_MANY_ITEMS":
        refusal.facts |= {"got": str(len(getattr(request, violations[0].field, ())))}
    raise refusal


def _violation(found: Any) -> Violation:
    rule: str = found.rule_id
    reason = rule if OUR_OWN.fullmatch(rule) else REASONS[rule]
    return Violation(_path(found.field), reason, found.message)


def _path(field: Any) -> str:
    """A path as text. What only groups other fields (a oneof) is named by its own name."""
    steps = []
    for element in field.elements:
        place = element.subscript
        steps.append(element.field_name + (f"[{place.value}]" if place is not None else ""))
    return ".".join(steps)
