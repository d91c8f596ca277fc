"""Server reflection by `buf curl` and by raw requests: every symbol of the API is found."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2 as rpc

from server.app import SERVICES
from server.runtime.reflection import NAMES
from tests.service import Service, serving

PROTOS = Path(__file__).parents[2] / "protos"
BUF = Path(sys.executable).with_name("buf")
Asked = rpc.ServerReflectionRequest
FILE = descriptor_pb2.FileDescriptorProto


class Asker:
    """Asks one version of reflection, raw."""

    def __init__(self, channel: grpc.aio.Channel, version: str) -> None:
        self._call = channel.stream_stream(
            f"/{version}/ServerReflectionInfo",
            request_serializer=Asked.SerializeToString,
            response_deserializer=rpc.ServerReflectionResponse.FromString,
        )

    async def __call__(self, *requests: rpc.ServerReflectionRequest):
        return [answer async for answer in self._call(iter(requests))]


@pytest.fixture(params=NAMES)
async def ask(service: Service, request) -> AsyncIterator[Asker]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield Asker(channel, request.param)


def parts(whole: str, message: descriptor_pb2.DescriptorProto) -> Iterator[str]:
    """The full names of all that a message declares, and its own."""
    name = f"{whole}.{message.name}"
    yield name
    inside = [*message.field, *message.extension, *message.oneof_decl]
    inside += [value for enum in message.enum_type for value in enum.value]
    yield from (f"{name}.{one.name}" for one in [*inside, *message.enum_type])
    for nested in message.nested_type:
        yield from parts(name, nested)


def symbols(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """The full names of all that a file declares."""
    for message in file.message_type:
        yield from parts(file.package, message)
    top = [*file.enum_type, *file.service, *file.extension]
    top += [value for enum in file.enum_type for value in enum.value]
    yield from (f"{file.package}.{one.name}" for one in top)
    for service in file.service:
        yield from (f"{file.package}.{service.name}.{method.name}" for method in service.method)


def files(answer: rpc.ServerReflectionResponse) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    found = [FILE.FromString(one) for one in answer.file_descriptor_response.file_descriptor_proto]
    return {file.name: file for file in found}


async def test_every_symbol_of_every_proto_is_found_with_all_that_its_file_imports(ask: Asker):
    names = [
        str(path.relative_to(PROTOS)) for path in sorted(PROTOS.glob("usage_management/v1/*.proto"))
    ]
    assert "usage_management/v1/errors.proto" in names

    for name, answer in zip(
        names, await ask(*(Asked(file_by_filename=name) for name in names)), strict=True
    ):
        found = files(answer)
        wanted = list(symbols(found[name]))
        assert wanted
        answers = await ask(*(Asked(file_containing_symbol=symbol) for symbol in wanted))
        missing = [
            symbol
            for symbol, one in zip(wanted, answers, strict=True)
            if one.WhichOneof("message_response") != "file_descriptor_response"
            or files(one).keys() != found.keys()
        ]
        assert missing == []
        pool = descriptor_pool.DescriptorPool()
        waiting = dict(found)
        while waiting:  # An import that is not there would leave files waiting for ever.
            ready = [n for n, one in waiting.items() if not set(one.dependency) & waiting.keys()]
            for each in ready:
                pool.Add(waiting.pop(each))
        pool.FindFileByName(name)


async def test_services_are_listed_with_reflection_and_health(ask: Asker):
    [answer] = await ask(Asked(list_services=""))

    listed = [one.name for one in answer.list_services_response.service]
    ours = [descriptor.full_name for descriptor, _ in SERVICES]
    assert listed == sorted([*ours, "grpc.health.v1.Health", *NAMES])
    answers = await ask(*(Asked(file_containing_symbol=name) for name in listed))
    assert all(files(one) for one in answers)


async def test_extensions_are_found_by_number(ask: Asker):
    options = "google.protobuf.MethodOptions"
    by_number, numbers, unknown = await ask(
        Asked(
            file_containing_extension={"containing_type": options, "extension_number": 431907201}
        ),
        Asked(all_extension_numbers_of_type=options),
        Asked(
            file_containing_extension={"containing_type": options, "extension_number": 431907299}
        ),
    )

    assert "usage_management/v1/annotations.proto" in files(by_number)
    found = numbers.all_extension_numbers_response
    assert found.base_type_name == options
    assert {431907201, 431907202} <= set(found.extension_number)
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_what_is_not_there_is_an_answer_and_the_stream_goes_on(ask: Asker):
    absent = [
        "",
        ".",
        "usage",
        "usage_management.v1.Nope",
        "usage_management.v1.WalletService.Nope",
        "x" * 5_000,
    ]
    answers = await ask(
        *(Asked(file_containing_symbol=name) for name in absent),
        Asked(file_by_filename="nope.proto"),
        Asked(all_extension_numbers_of_type="usage_management.v1.Nope"),
        Asked(host="h"),
        Asked(file_containing_symbol="usage_management.v1.ErrorDetails.Reason"),
    )

    codes = [one.error_response.error_code for one in answers]
    not_found, invalid = (
        code.value[0] for code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    )
    assert codes == [not_found] * 8 + [invalid, 0]
    assert answers[-2].original_request == Asked(host="h")


async def buf(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        BUF, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_curl_lists_methods_and_calls_one(service: Service, version: str):
    url = f"http://{service.address}"
    curl = ("curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", version)

    code, listed, err = await buf(*curl, "--list-methods", url)
    assert code == 0, err
    methods = {method.full_name for descriptor, _ in SERVICES for method in descriptor.methods}
    named = {name.replace("/", ".") for name in listed.split()}
    assert methods <= named
    code, out, err = await buf(
        *(*curl, "-H", f"authorization: Bearer {service.operator_key}", "-d", '{"pageSize": 1}'),
        f"{url}/usage_management.v1.AccessService/ListTenants",
    )
    assert code == 0, err
    assert "tenants" in json.loads(out)


async def test_a_refusal_is_shown_with_its_details(service: Service):
    code, _, err = await buf(
        *("curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", "{}"),
        f"http://{service.address}/usage_management.v1.AccessService/ListTenants",
    )

    assert code != 0
    [detail] = json.loads(err)["details"]
    info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(detail["value"] + "=="))
    assert (detail["type"], info.reason) == ("google.rpc.ErrorInfo", "CREDENTIAL_MISSING")


async def test_it_is_off_where_other_machines_listen_unless_it_is_switched_on(database: str):
    settings = {"host": "0.0.0.0", "allow_plaintext": True, "reflection": None}
    async with (
        serving(database, **settings) as found,
        grpc.aio.insecure_channel(found.address) as channel,
    ):
        for name in NAMES:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                # Without a request: grpc fails with INTERNAL to send one in a call that is over.
                await Asker(channel, name)()
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
