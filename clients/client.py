"""The client: every RPC by its name in the protos, with a deadline, a key, retries and one error.

    async with UsageClient("localhost:50051", key) as client:
        wallet = await client.wallets.GetWallet(GetWalletRequest(name="accounts/acme/wallets/…"))

The attributes are the stubs generated from the protos, so that requests and answers are typed.
After a change, `client.revision_token` is what `DiscoverRates` needs to see it at once (AT_LEAST).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import Message
from usage_management.v1 import (
    access_service_pb2_grpc,
    account_service_pb2_grpc,
    annotations_pb2,
    asset_service_pb2_grpc,
    catalog_service_pb2_grpc,
    consumption_service_pb2_grpc,
    order_service_pb2_grpc,
    policy_service_pb2_grpc,
    preview_service_pb2_grpc,
    procedure_service_pb2_grpc,
    quote_service_pb2_grpc,
    rate_service_pb2_grpc,
    reprice_service_pb2_grpc,
    setup_service_pb2_grpc,
    summary_service_pb2_grpc,
    usage_details_service_pb2_grpc,
    validation_service_pb2_grpc,
    wallet_service_pb2_grpc,
)

from clients import retry
from clients.errors import UsageError
from clients.service_config import timeouts
from clients.tls import Tls, open_channel

if TYPE_CHECKING:
    from typing import Self

OPTIONS = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 120_000),
    # Retries are ours (`clients.retry`): a policy found in DNS would multiply them.
    ("grpc.service_config_disable_resolution", 1),
)


REVISION_TOKEN = "usage-revision-token"


class UsageClient:
    """A connection to the service as one credential; opened by the first call.

    `timeout` is seconds for a whole call, its retries included, by default those of the method in
    the service config; a call may bring its own (`timeout=…`). `tls` makes the connection TLS;
    TlsError says that its files cannot be used. Every method raises UsageError.
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        timeout: float | None = None,
        tls: Tls | None = None,
    ) -> None:
        if tls is not None:
            tls.credentials()  # So that files that cannot be used are refused here.
        wires = _Wires(address, key, timeout, tls)
        channel = cast("grpc.aio.Channel", wires)
        self._wires = wires
        self.access = access_service_pb2_grpc.AccessServiceStub(channel)
        self.accounts = account_service_pb2_grpc.AccountServiceStub(channel)
        self.assets = asset_service_pb2_grpc.AssetServiceStub(channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self.consumption = consumption_service_pb2_grpc.ConsumptionServiceStub(channel)
        self.orders = order_service_pb2_grpc.OrderServiceStub(channel)
        self.policies = policy_service_pb2_grpc.PolicyServiceStub(channel)
        self.previews = preview_service_pb2_grpc.PreviewServiceStub(channel)
        self.procedures = procedure_service_pb2_grpc.ProcedureServiceStub(channel)
        self.quotes = quote_service_pb2_grpc.QuoteServiceStub(channel)
        self.rates = rate_service_pb2_grpc.RateServiceStub(channel)
        self.reprice = reprice_service_pb2_grpc.RepriceServiceStub(channel)
        self.setup = setup_service_pb2_grpc.SetupServiceStub(channel)
        self.summaries = summary_service_pb2_grpc.SummaryServiceStub(channel)
        self.usage_details = usage_details_service_pb2_grpc.UsageDetailsServiceStub(channel)
        self.validation = validation_service_pb2_grpc.ValidationServiceStub(channel)
        self.wallets = wallet_service_pb2_grpc.WalletServiceStub(channel)

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def revision_token(self) -> str:
        """The latest state of the rates that an answer to this client named; empty before any.

        Pass it on as `DiscoverRatesRequest.revision_token`, also to other processes.
        """
        return self._wires.revision_token

    async def close(self) -> None:
        """End the connection. A later call opens another."""
        await self._wires.close()


class _Wires:
    """A channel for the generated stubs, whose methods add retries and errors."""

    def __init__(
        self,
        address: str,
        key: str,
        timeout: float | None,
        tls: Tls | None,
    ) -> None:
        self._address = address
        self._tls = tls
        self._channel: grpc.aio.Channel | None = None
        self.timeout = timeout
        self.revision_token = ""
        self.metadata = (("authorization", f"Bearer {key}"),)

    def open(self) -> grpc.aio.Channel:
        """The channel, made at the first call because it belongs to the event loop of that."""
        if self._channel is None:
            self._channel = open_channel(self._address, self._tls, OPTIONS)
        return self._channel

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def note(self, trailers: Iterable[tuple[str, Any]]) -> None:
        """Remember the latest revision; of two tokens the later sorts later."""
        for key, value in trailers or ():
            if key == REVISION_TOKEN:
                self.revision_token = max(self.revision_token, value)

    def unary_unary(self, path: str, **codec: Any) -> "_Unary":
        return _Unary(self, path, codec)

    def unary_stream(self, path: str, **codec: Any) -> "_Stream":
        return _Stream(self, lambda channel: channel.unary_stream(path, **codec))

    def stream_stream(self, path: str, **codec: Any) -> "_Stream":
        return _Stream(self, lambda channel: channel.stream_stream(path, **codec))


class _Unary:
    """One method: a request in, an answer out, tried again where that is safe."""

    def __init__(self, wires: _Wires, path: str, codec: dict[str, Any]) -> None:
        self._wires = wires
        self._path = path
        self._codec = codec
        method = retry.method(path)
        self._is_safe = retry.is_safe(method)
        self._is_change = method.GetOptions().Extensions[annotations_pb2.mutation]
        self._usual_seconds = timeouts()[path]
        self._made: tuple[grpc.aio.Channel, Any] | None = None

    async def __call__(  # the time goes with the call, over the wire
        self,
        request: Message,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        usual = self._usual_seconds if self._wires.timeout is None else self._wires.timeout
        seconds = usual if timeout is None else timeout
        until = time.monotonic() + seconds
        request = retry.named(request)
        retries = 0
        while True:
            try:
                return await self._call(request, until - time.monotonic())
            except grpc.aio.AioRpcError as failure:
                error = UsageError.of_call(failure)
            retries += 1
            pause = retry.pause(error, retries) if self._is_safe else None
            if pause is None or time.monotonic() + pause >= until:
                raise error
            await asyncio.sleep(pause)

    async def _call(self, request: Message, seconds: float) -> Any:
        channel = self._wires.open()
        if self._made is None or self._made[0] is not channel:
            self._made = channel, channel.unary_unary(self._path, **self._codec)
        call = self._made[1](request, timeout=seconds, metadata=self._wires.metadata)
        answer = await call
        if self._is_change:
            self._wires.note(await call.trailing_metadata())
        return answer


class _Stream:
    """One streaming method. Never tried again: only its caller knows what it has seen."""

    def __init__(self, wires: _Wires, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._wires = wires
        self._make = make

    async def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncIterator[Any]:
        call = self._make(self._wires.open())
        try:
            async for answer in call(request, timeout=timeout, metadata=self._wires.metadata):
                yield answer
        except grpc.aio.AioRpcError as failure:
            raise UsageError.of_call(failure) from None
