"""Raw calls: bytes or messages in, code, reason and details out."""

from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status
from usage_management.v1 import asset_service_pb2 as assets

from tests.stories.world import World


@dataclass(frozen=True)
class Refusal:
    """The refusal of a call."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    retry: bool = False
    size: int = 0


@dataclass(frozen=True)
class Wire:
    """A channel, a key, and something that was sold."""

    channel: grpc.aio.Channel
    key: str
    world: World
    account: str
    asset: assets.Asset

    async def call(
        self,
        method: str,
        request: Message | bytes,
        *,
        key: str | None = None,
        metadata: tuple[tuple[str, str], ...] = (),
        **options: Any,
    ) -> bytes | Refusal:
        """The answer's bytes, or why there is none. `method` is `Service/Method`."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        call = self.channel.unary_unary(f"/usage_management.v1.{method}")
        chosen = self.key if key is None else key
        with_key = (("authorization", f"Bearer {chosen}"), *metadata) if chosen else metadata
        try:
            return await call(
                data, metadata=with_key, timeout=options.pop("timeout", 10), **options
            )
        except grpc.aio.AioRpcError as error:
            return refusal(error)

    async def refused(self, method: str, request: Message | bytes, **options: Any) -> Refusal:
        """Why a call was refused; it must have been."""
        answer = await self.call(method, request, **options)
        assert isinstance(answer, Refusal), answer
        return answer


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(error)
    if status is None:
        return Refusal(error.code(), message=error.details() or "")
    info, bad = details.ErrorInfo(), details.BadRequest()
    retry = False
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        retry = retry or detail.Is(details.RetryInfo.DESCRIPTOR)
    assert info.domain == "usage-management", status
    return Refusal(
        error.code(),
        info.reason,
        status.message,
        dict(info.metadata),
        tuple(violation.field for violation in bad.field_violations),
        retry,
        status.ByteSize(),
    )
