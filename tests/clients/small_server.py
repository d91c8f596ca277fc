"""A gRPC server of a few lines that answers as a test scripts it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2
from grpc_status import rpc_status

from clients import retry

Answer = (
    Message
    | status_pb2.Status
    | Callable[[Message], Message]
    | Callable[[Message], Awaitable[Message]]
)


@dataclass
class Script:
    """Answers by method, in order (the last one again and again), and what was asked.

    `trailers` go with the answers, one with each, while there are any.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    asked: list[Message] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)

    def next(self, method: str) -> Answer:
        left = self.answers[method]
        return left.pop(0) if len(left) > 1 else left[0]


def refusal(
    code: grpc.StatusCode, reason: str, *more: Message, after: float | None = None, **facts: str
) -> status_pb2.Status:
    """A status as the service makes them."""
    status = status_pb2.Status(code=code.value[0], message=f"because {reason}")
    found = [details.ErrorInfo(reason=reason, domain="usage", metadata=facts), *more]
    if after is not None:
        found.append(details.RetryInfo(retry_delay=Duration(nanos=int(after * 1e9))))
    for detail in found:
        packed = Packed()
        packed.Pack(detail)
        status.details.append(packed)
    return status


@asynccontextmanager
async def answering(script: Script) -> AsyncIterator[str]:
    """Serve the script on a free port; the address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handler(script),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, script: Script) -> None:
        self._script = script

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        method = retry.method(call.method)

        async def run(request: Message, context: Any) -> Message:
            self._script.asked.append(request)
            self._script.metadata.append(dict(context.invocation_metadata()))
            answer = self._script.next(method.name)
            if self._script.trailers:
                context.set_trailing_metadata((self._script.trailers.pop(0),))
            if isinstance(answer, status_pb2.Status):
                await context.abort_with_status(rpc_status.to_status(answer))
            if isinstance(answer, Message):
                return answer
            made = answer(request)
            return made if isinstance(made, Message) else await made

        return grpc.unary_unary_rpc_method_handler(
            run,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
