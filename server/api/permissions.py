"""The permission of each RPC, read from the options in the protos; every method must have one."""

from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor
from usage_management.v1 import annotations_pb2

from server.domain.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class Requirement:
    """The permission that a method requires; `is_mutation` is True if it changes data."""

    permission: str
    is_mutation: bool


def requirement(method: MethodDescriptor) -> Requirement:
    """Return the requirement of a method.

    Raises LookupError without a permission, so that the server does not start.
    """
    extensions = method.GetOptions().Extensions
    permission: str = extensions[annotations_pb2.permission]
    if not permission:
        raise LookupError(f"{method.full_name} declares no permission")
    return Requirement(permission, extensions[annotations_pb2.mutation])


def refuse_without(permissions: frozenset[str], required: str) -> None:
    """Raise PERMISSION_MISSING, with the missing permission, unless it is granted."""
    if required not in permissions:
        raise PermissionDenied(
            "PERMISSION_MISSING",
            f"this call needs the permission {required}, which none of your roles has",
            {"permission": required},
        )
