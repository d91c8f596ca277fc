"""Server reflection, `grpc.reflection.v1` and `v1alpha`, for methods, messages and fields.

grpcio-reflection has only v1alpha, and does not find methods and fields. The messages of both
versions have the same encoding, so one servicer answers both.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2 as rpc
from usage_management.v1 import errors_pb2  # noqa: F401 - puts the reasons into the pool

OLD, NEW = "grpc.reflection.v1alpha", "grpc.reflection.v1"
SERVICE = "ServerReflection"
NAMES = (f"{NEW}.{SERVICE}", f"{OLD}.{SERVICE}")
METHOD = "ServerReflectionInfo"


def add_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Serve reflection for `services`, and for reflection itself."""
    servicer = Reflection((*services, *NAMES))
    method = grpc.stream_stream_rpc_method_handler(
        servicer.answers,
        request_deserializer=rpc.ServerReflectionRequest.FromString,
        response_serializer=rpc.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, {METHOD: method}) for name in NAMES)
    )


class Reflection:
    """Answers requests for descriptors."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = sorted(services)
        # A pool of its own: another library may add the file of v1 to the default pool.
        new = descriptor_pool.DescriptorPool()
        new.Add(_file_of_v1())
        self._pools = (descriptor_pool.Default(), new)

    async def answers(
        self, requests: AsyncIterator[rpc.ServerReflectionRequest], _context: object
    ) -> AsyncIterator[rpc.ServerReflectionResponse]:
        """Answer each request of a stream."""
        async for request in requests:
            yield self.answer(request)

    def answer(self, request: rpc.ServerReflectionRequest) -> rpc.ServerReflectionResponse:
        """Return the answer to one request; NOT_FOUND and INVALID_ARGUMENT are answers too."""
        made = rpc.ServerReflectionResponse(valid_host=request.host, original_request=request)
        kind = request.WhichOneof("message_request")
        try:
            if kind == "list_services":
                made.list_services_response.service.extend(
                    rpc.ServiceResponse(name=name) for name in self._services
                )
            elif kind == "all_extension_numbers_of_type":
                self._number_extensions(request.all_extension_numbers_of_type, made)
            elif kind == "file_by_filename":
                _put(self._file_by_name(request.file_by_filename), made)
            elif kind == "file_containing_symbol":
                _put(self._file_of_symbol(request.file_containing_symbol), made)
            elif kind == "file_containing_extension":
                extension = request.file_containing_extension
                _put(
                    self._file_of_extension(extension.containing_type, extension.extension_number),
                    made,
                )
            else:
                _refuse(made, grpc.StatusCode.INVALID_ARGUMENT, "the request asks for nothing")
        except KeyError:
            _refuse(made, grpc.StatusCode.NOT_FOUND, "not found")
        return made

    def _file_by_name(self, name: str) -> FileDescriptor:
        for pool in self._pools:
            try:
                return pool.FindFileByName(name)
            except KeyError:
                continue
        raise KeyError(name)

    def _file_of_symbol(self, name: str) -> FileDescriptor:
        """Return the file of a message, enum, service or extension, or of a part of one."""
        name = name.removeprefix(".")
        for pool in self._pools:
            try:
                return pool.FindFileContainingSymbol(name)
            except KeyError:
                continue
        return self._file_of_part(*name.rpartition(".")[::2])

    def _file_of_part(self, whole: str, part: str) -> FileDescriptor:
        """Return the file of a method, a field, a oneof, or an enum value."""
        for pool in self._pools:
            try:
                service = pool.FindServiceByName(whole)
                if part in service.methods_by_name:
                    return service.file
            except KeyError:
                pass
            try:
                message = pool.FindMessageTypeByName(whole)
                if part in message.fields_by_name or part in message.oneofs_by_name:
                    return message.file
                # The full name of an enum value is in the scope that contains the enum.
                if part in message.enum_values_by_name:
                    return message.file
            except KeyError:
                pass
            try:
                # Clients use both spellings of an enum value.
                enum = pool.FindEnumTypeByName(whole)
                if part in enum.values_by_name:
                    return enum.file
            except KeyError:
                pass
        raise KeyError(f"{whole}.{part}")

    def _file_of_extension(self, containing: str, number: int) -> FileDescriptor:
        pool = descriptor_pool.Default()
        message = pool.FindMessageTypeByName(containing)
        extension: Any = pool.FindExtensionByNumber(message, number)
        file: FileDescriptor = extension.file
        return file

    def _number_extensions(self, containing: str, into: rpc.ServerReflectionResponse) -> None:
        pool = descriptor_pool.Default()
        message = pool.FindMessageTypeByName(containing)
        numbers = sorted(extension.number for extension in pool.FindAllExtensions(message))
        into.all_extension_numbers_response.base_type_name = message.full_name
        into.all_extension_numbers_response.extension_number.extend(numbers)


def _put(file: FileDescriptor, into: rpc.ServerReflectionResponse) -> None:
    """Add a file and all its imports to an answer."""
    files: dict[str, FileDescriptor] = {}
    waiting = [file]
    while waiting:
        next_file = waiting.pop()
        if next_file.name not in files:
            files[next_file.name] = next_file
            waiting += next_file.dependencies
    for file_ in files.values():
        into.file_descriptor_response.file_descriptor_proto.append(file_.serialized_pb)


def _refuse(into: rpc.ServerReflectionResponse, code: grpc.StatusCode, text: str) -> None:
    into.error_response.error_code = code.value[0]
    into.error_response.error_message = text


def _file_of_v1() -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of v1: that of v1alpha in another package."""
    made = descriptor_pb2.FileDescriptorProto()
    rpc.DESCRIPTOR.CopyToProto(made)
    made.name = made.name.replace("v1alpha", "v1")
    made.package = NEW
    for message in made.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(OLD, NEW)
    for service in made.service:
        for method in service.method:
            method.input_type = method.input_type.replace(OLD, NEW)
            method.output_type = method.output_type.replace(OLD, NEW)
    return made
