"""The messages of kinds whose fields are texts and choices: read and written by their names."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Generic, TypeVar, get_type_hints

from google.protobuf.message import Message
from usage_management.v1 import policy_resources_pb2 as pb

from server.api.reader import RequestReader
from server.api.values import audit_pb, date_pb, enum_number, etag
from server.domain.modeling.catalog import StoredRecord
from server.store.modeling.records import Kind

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainMapping(Generic[T, M]):
    """The reader and the writer of a kind; `field` is the name of its message in a creation.

    The fields of `content` are an `id`, texts and enums, with the names of the message's fields.
    """

    kind: Kind[T]
    field: str
    content: type[T]
    message: type[M]

    def read(self, request: Any) -> T:
        """Return the content of a creation. Raises InvalidArgument."""
        reader = RequestReader(request)
        own = reader.sub(self.field)
        values: dict[str, Any] = {"id": reader.code(f"{self.field}_id")}
        for name, kind in self._fields():
            is_choice = isinstance(kind, type) and issubclass(kind, StrEnum)
            wire = self.kind.wire_name(name)
            values[name] = own.choice(wire, kind) if is_choice else own.text(wire)
        reader.done()
        return self.content(**values)

    def write(self, record: StoredRecord[T]) -> M:
        """Return the message of a record."""
        descriptor = self.message.DESCRIPTOR
        values: dict[str, Any] = {
            "name": self.kind.resource_name(*self.kind.key(record.content)),
            "state": enum_number(descriptor.fields_by_name["state"].enum_type, record.state),
            "etag": etag(record.revision),
            **audit_pb(record.audit),
        }
        if self.kind.is_versioned:
            values |= version_pb(record)
        for name, _ in self._fields():
            value, wire = getattr(record.content, name), self.kind.wire_name(name)
            enum = descriptor.fields_by_name[wire].enum_type
            values[wire] = value if enum is None else enum_number(enum, value)
        return self.message(**values)

    def _fields(self) -> list[tuple[str, Any]]:
        """Return the fields of the content without its id, each with its type."""
        hints = get_type_hints(self.content)
        names = [field.name for field in fields(self.content) if field.name != "id"]  # type: ignore[arg-type] # contents are dataclasses
        return [(name, hints[name]) for name in names]


def version_pb(record: StoredRecord[Any]) -> dict[str, Any]:
    """Return the fields with the version of a policy, and with the next one."""
    following = record.following
    pending = following and pb.PendingVersion(
        version=following.version, start_date=date_pb(following.start)
    )
    return {"version": record.version, "pending_version": pending}
