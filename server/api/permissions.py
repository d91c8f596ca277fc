"""What each RPC requires, read from the protos' own options; a method without one is a mistake."""

from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from usage_management.v1 import annotations_pb2

from server.domain.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class Requirement:
    """The permission a method needs, and whether it changes anything."""

    permission: str
    is_mutation: bool


def requirement(method: MethodDescriptor) -> Requirement:
    """What a method's options say. Raises when they say nothing: the server must not start."""
    extensions = method.GetOptions().Extensions
    permission: str = extensions[annotations_pb2.permission]
    if not permission:
        raise LookupError(f"{method.full_name} declares no permission")
    return Requirement(permission, extensions[annotations_pb2.mutation])


def every_permission(services: list[ServiceDescriptor]) -> frozenset[str]:
    """All permissions the methods of these services ask for."""
    methods = (method for service in services for method in service.methods)
    return frozenset(requirement(method).permission for method in methods)


def refuse_without(permissions: frozenset[str], required: str) -> None:
    """Raise PERMISSION_MISSING, which names what is missing."""
    if required not in permissions:
        raise PermissionDenied(
            "PERMISSION_MISSING",
            f"this call needs the permission {required}, which none of your roles has",
            {"permission": required},
        )
