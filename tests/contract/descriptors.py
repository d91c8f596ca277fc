"""The contract with its comments, for the tests that hold it to its rules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as packaged
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from usage_management.v1 import annotations_pb2

PROTOS = Path(__file__).parents[2] / "protos"
FILE = descriptor_pb2.FileDescriptorProto
MESSAGE = descriptor_pb2.DescriptorProto
FIELD = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True, eq=False)
class Element:
    """A part of the contract: its name within the package, its comment, its descriptor."""

    name: str
    comment: str
    proto: Any
    # The message around it, if any.
    outer: "Element | None" = None

    def __repr__(self) -> str:
        return self.name


@cache
def files() -> tuple[descriptor_pb2.FileDescriptorProto, ...]:
    """Return the files of the contract, compiled with their comments."""
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("usage_management/v1/*"))
    with TemporaryDirectory() as directory:
        target = Path(directory) / "contract.binpb"
        shipped = packaged("grpc_tools") / "_proto"
        options = [f"-I{PROTOS}", f"-I{shipped}", "--include_source_info"]
        options += [f"--descriptor_set_out={target}"]
        assert protoc.main(["protoc", *options, *names]) == 0
        return tuple(descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file)


@cache
def elements() -> tuple[Element, ...]:
    """Return every message, field, oneof, enum, value and method of the contract."""
    return tuple(one for file in files() for one in _of_file(file))


def fields(message: Element) -> list[Element]:
    """Return the fields of a message."""
    return [one for one in of(FIELD) if one.outer is message]


def of(kind: type[Any]) -> list[Element]:
    """Return the elements of a kind of descriptor."""
    return [one for one in elements() if isinstance(one.proto, kind)]


def message(name: str) -> Element:
    """Return a message by its full name, as types of fields and methods have it."""
    own = name.removeprefix(".usage_management.v1.")
    return next(one for one in of(MESSAGE) if one.name == own)


def behaviors(field: Element) -> list[str]:
    """Return the field behaviors of a field."""
    numbers = field.proto.options.Extensions[field_behavior_pb2.field_behavior]
    return [field_behavior_pb2.FieldBehavior.Name(number) for number in numbers]


def reference(field: Element) -> str:
    """Return the type of resource that a field names; empty if it names none."""
    return str(field.proto.options.Extensions[resource_pb2.resource_reference].type)


def resource(message: Element) -> Any:
    """Return the resource descriptor of a message; its type is empty if it is no resource."""
    return message.proto.options.Extensions[resource_pb2.resource]


def is_mutation(method: Element) -> bool:
    """Return whether a method changes something."""
    return bool(method.proto.options.Extensions[annotations_pb2.mutation])


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[Element]:
    places = file.source_code_info.location
    comments = {tuple(place.path): place.leading_comments.strip() for place in places}
    for number, one in enumerate(file.message_type):
        yield from _of_message(one, (4, number), comments, "", None)
    for number, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, (5, number), comments, "", None)
    for number, service in enumerate(file.service):
        yield Element(service.name, comments.get((6, number), ""), service)
        for place, method in enumerate(service.method):
            comment = comments.get((6, number, 2, place), "")
            yield Element(f"{service.name}.{method.name}", comment, method)


def _of_message(
    proto: Any, path: tuple[int, ...], comments: dict[Any, str], scope: str, outer: Element | None
) -> Iterable[Element]:
    whole = Element(f"{scope}{proto.name}", comments.get(path, ""), proto, outer)
    if proto.options.map_entry:
        return
    yield whole
    inner = f"{whole.name}."
    for place, items in ((2, proto.field), (8, proto.oneof_decl)):
        for number, one in enumerate(items):
            comment = comments.get((*path, place, number), "")
            yield Element(f"{inner}{one.name}", comment, one, whole)
    for number, one in enumerate(proto.nested_type):
        yield from _of_message(one, (*path, 3, number), comments, inner, whole)
    for number, enum in enumerate(proto.enum_type):
        yield from _of_enum(enum, (*path, 4, number), comments, inner, whole)


def _of_enum(
    proto: Any, path: tuple[int, ...], comments: dict[Any, str], scope: str, outer: Element | None
) -> Iterable[Element]:
    enum = Element(f"{scope}{proto.name}", comments.get(path, ""), proto, outer)
    yield enum
    for number, value in enumerate(proto.value):
        comment = comments.get((*path, 2, number), "")
        yield Element(f"{enum.name}.{value.name}", comment, value, enum)
