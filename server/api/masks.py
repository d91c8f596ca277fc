"""Field masks: which fields an update names, of those that may change."""

from collections.abc import Set as AbstractSet

from google.protobuf.field_mask_pb2 import FieldMask

from server.domain.errors import InvalidArgument


def read_mask(mask: FieldMask, allowed: AbstractSet[str]) -> frozenset[str]:
    """The fields to change; `*` alone is all of them. Raises FIELD_MASK_INVALID."""
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
