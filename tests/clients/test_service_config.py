"""The service config: whole, fresh, understood by gRPC, and the source of the client's timeouts."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.message import Message
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import account_service_pb2_grpc as accounts_rpc
from usage_management.v1 import annotations_pb2
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import quote_service_pb2_grpc as quotes_rpc

from clients import UsageClient, retry, service_config
from server.app import SERVICES
from tests.clients.small_server import Script, answering, refusal

FILE = service_config.DIRECTORY / service_config.NAME
CONFIG = json.loads(FILE.read_text())
METHODS = {method.full_name: method for service, _ in SERVICES for method in service.methods}
BUSY = refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


def entries() -> list[tuple[str, dict]]:
    """Each method that is named, with its settings."""
    return [
        (f"{name['service']}.{name['method']}", entry)
        for entry in CONFIG["methodConfig"]
        for name in entry["name"]
    ]


def test_the_file_is_what_the_protos_say():
    assert service_config.made() == CONFIG, "make protos"


def test_every_method_is_in_it_once():
    assert Counter(name for name, _ in entries()) == Counter(list(METHODS))
    assert set(service_config.SLOW) <= {method.name for method in METHODS.values()}


def test_only_what_is_repeatable_whatever_the_request_says_is_retried():
    retried = {name for name, entry in entries() if "retryPolicy" in entry}
    for name in retried:
        method = METHODS[name]
        is_change = method.GetOptions().Extensions[annotations_pb2.mutation]
        assert retry.is_safe(method), name
        if is_change and method.name not in retry.REPEATABLE:
            assert method.name.startswith("Create"), name
            # The id is that of what is made, so that a second one is the first.
            kind = method.name.removeprefix("Create")
            own = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).lstrip("_") + "_id"
            assert own in method.input_type.fields_by_name, name
    assert "usage_management.v1.WalletService.GetWallet" in retried
    assert "usage_management.v1.ConsumptionService.RecordUsage" in retried
    assert "usage_management.v1.QuoteService.CreateQuote" not in retried, (
        "its request_id may be absent"
    )
    assert "usage_management.v1.AccessService.CreateCredential" not in retried
    codes = {code for _, e in entries() for code in e.get("retryPolicy", RETRY)[CODES]}
    assert codes == {"UNAVAILABLE"}


CODES = "retryableStatusCodes"
RETRY: dict = {CODES: []}


async def test_grpc_itself_retries_by_it(script: Script):
    """A client in another language: plain stubs, and the file as it is."""
    options = (("grpc.service_config", FILE.read_text()),)
    full = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", after=0.01)
    async with (
        answering(script) as address,
        grpc.aio.insecure_channel(address, options=options) as channel,
    ):
        reader, quoter = (
            accounts_rpc.AccountServiceStub(channel),
            quotes_rpc.QuoteServiceStub(channel),
        )
        script.answers["GetAccount"] = [BUSY, accounts.Account(name="accounts/a")]
        answer = await reader.GetAccount(accounts.GetAccountRequest(name="accounts/a"))
        assert (answer.name, len(script.asked)) == ("accounts/a", 2)

        script.answers["GetAccount"] = [full, accounts.Account()]
        assert await code(reader.GetAccount, accounts.GetAccountRequest()) == "RESOURCE_EXHAUSTED"
        script.answers["CreateQuote"] = [BUSY, quotes.Quote()]
        assert await code(quoter.CreateQuote, quotes.CreateQuoteRequest()) == "UNAVAILABLE"
    assert len(script.asked) == 4


async def code(call: Callable[[Message], Awaitable[Message]], request: Message) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(request)
    return refused.value.code().name


async def test_the_client_retries_once_for_each_of_its_own_retries(script: Script):
    script.answers["GetTenant"] = [BUSY]
    async with answering(script) as address, UsageClient(address, "k") as client:
        with pytest.raises(Exception, match="STORE_UNAVAILABLE"):
            await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))

    assert len(script.asked) == 1 + retry.MOST_RETRIES


@pytest.fixture
def script() -> Script:
    return Script()


@asynccontextmanager
async def noting_deadlines() -> AsyncIterator[tuple[str, list[float]]]:
    left: list[float] = []

    class Handler(grpc.GenericRpcHandler):
        def service(self, _: object):
            async def run(_request: bytes, context: grpc.aio.ServicerContext) -> bytes:
                left.append(context.time_remaining())
                return b""

            return grpc.unary_unary_rpc_method_handler(run)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", left
    finally:
        await server.stop(0)


async def test_a_call_has_the_timeout_of_its_method_of_the_client_or_its_own():
    record, tenant = consumption.RecordUsageRequest(), access.GetTenantRequest(name="tenants/-")
    async with noting_deadlines() as (address, left):
        async with UsageClient(address, "k") as client:
            await client.consumption.RecordUsage(record)
            await client.access.GetTenant(tenant)
            await client.access.GetTenant(tenant, timeout=200)
        async with UsageClient(address, "k", timeout=100) as client:
            await client.consumption.RecordUsage(record)
            await client.consumption.RecordUsage(record, timeout=300)

    asked = [30, 10, 200, 100, 300]
    # gRPC rounds them up on their way, and a busy machine takes a while to get there.
    assert all(most - 5 < one < most + 2 for one, most in zip(left, asked, strict=True)), left
