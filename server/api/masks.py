"""Field masks: the fields that an update may name, and copying those that it names."""

from collections.abc import Set as AbstractSet

from google.api import field_behavior_pb2 as behavior
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from server.domain.errors import InvalidArgument

FIXED = frozenset({behavior.IDENTIFIER, behavior.OUTPUT_ONLY, behavior.IMMUTABLE})


def changeable(message: type[Message]) -> frozenset[str]:
    """Return the fields of a message that may change, by their field behaviors."""
    return frozenset(
        field.name
        for field in message.DESCRIPTOR.fields
        if not FIXED & set(field.GetOptions().Extensions[behavior.field_behavior])
    )


def read_mask(mask: FieldMask, allowed: AbstractSet[str]) -> frozenset[str]:
    """Return the fields to change; `*` alone means all. Raises FIELD_MASK_INVALID."""
    paths = list(mask.paths)
    if paths == ["*"]:
        return frozenset(allowed)
    wrong = next((path for path in paths if path not in allowed), None)
    if not paths or wrong is not None:
        may = ", ".join(sorted(allowed))
        text = f"names {wrong}, but only {may} may change" if wrong else f"must name some of {may}"
        raise InvalidArgument.at(
            "update_mask", "FIELD_MASK_INVALID", text, named=(wrong or "")[:64]
        )
    return frozenset(paths)


def overlay(mask: AbstractSet[str], given: Message, whole: Message) -> None:
    """Copy the fields that the mask names from `given` to `whole`."""
    for name in mask:
        whole.ClearField(name)
        _copy_field(given, whole, name)


def _copy_field(source: Message, target: Message, name: str) -> None:
    field = source.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        getattr(target, name).MergeFrom(getattr(source, name))
    elif field.has_presence and not source.HasField(name):
        # Absent in the source: `overlay` has cleared it.
        return
    elif field.message_type is None:
        setattr(target, name, getattr(source, name))
    else:
        getattr(target, name).CopyFrom(getattr(source, name))
