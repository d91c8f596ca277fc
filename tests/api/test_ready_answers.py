"""Answers that are ready: the same bytes asked again, still only for whoever may ask them."""

import asyncio
from typing import Any

import grpc
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient
from clients.values import decimal
from server import metrics
from server.runtime.rate_snapshots import RateSnapshots
from tests.api.wire import Refusal, refusal
from tests.service import Service, add_tenant
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.words import Metered, day, moment
from tests.stories.world import World

METHOD = "RateService/DiscoverRates"
REQUEST = rates.DiscoverRatesRequest(
    questions=[
        rates.RateQuestion(
            price_book="priceBooks/book",
            product="products/plan",
            usage_resource="usageResources/data",
            currency_code="USD",
            date=day("2024-01-15"),
        )
    ]
)


async def tenant_with_rate(service: Service, rate: str) -> tuple[str, str]:
    """A tenant whose data costs `rate`, and the key of its administrator."""
    tenant, key = await add_tenant(service, moment("2024-01-15"))
    async with UsageClient(service.address, key) as client:
        world = World(client)
        await world.product("plan", Metered(resource="data"))
        await put(world, "base/data", priced("data", rate))
    return tenant, key


async def call(channel: grpc.aio.Channel, key: str) -> bytes | Refusal:
    """Send the request with a key; the answer is its bytes, or the refusal."""
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    method = channel.unary_unary(f"/usage_management.v1.{METHOD}")
    try:
        return await method(REQUEST.SerializeToString(), metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        return refusal(error)


async def asked(service: Service, key: str, times: int = 4) -> list[object]:
    """The rates that the same request is answered with; a refusal as its reason."""
    found: list[object] = []
    async with grpc.aio.insecure_channel(service.address) as channel:
        for _ in range(times):
            answer = await call(channel, key)
            if isinstance(answer, Refusal):
                found.append(answer.reason)
            else:
                [only] = rates.DiscoverRatesResponse.FromString(answer).answers
                found.append(decimal(only.terms.rate.value))
    return found


async def test_the_same_bytes_are_answered_for_each_tenant_and_only_with_the_permission(
    service: Service,
):
    _, one = await tenant_with_rate(service, "1")
    tenant, two = await tenant_with_rate(service, "2")
    async with UsageClient(service.address, service.operator_key) as operator:
        credential = access.Credential(tenant=f"tenants/{tenant}", roles=["WALLET_USER"])
        made = await operator.access.CreateCredential(
            access.CreateCredentialRequest(credential=credential)
        )

    assert await asked(service, one) == [1, 1, 1, 1]
    assert await asked(service, two) == [2, 2, 2, 2]
    assert await asked(service, made.key, 2) == ["PERMISSION_MISSING"] * 2
    assert await asked(service, "wrong", 1) == ["CREDENTIAL_INVALID"]
    assert await asked(service, "", 1) == ["CREDENTIAL_MISSING"]


async def test_a_ready_answer_is_counted_like_others_and_costs_no_discovery(
    service: Service, monkeypatch
):
    _, key = await tenant_with_rate(service, "3")
    looks: list[object] = []
    whole = RateSnapshots.of

    async def counted(self: RateSnapshots, *arguments: Any) -> object:
        looks.append(arguments)
        return await whole(self, *arguments)

    monkeypatch.setattr(RateSnapshots, "of", counted)
    before = metrics.CALLS.of("DiscoverRates").by_code["OK"]

    assert await asked(service, key, 20) == [3] * 20

    assert metrics.CALLS.of("DiscoverRates").by_code["OK"] == before + 20
    # The first is answered by discovery, the second is kept; a stale snapshot costs one more.
    assert 2 <= len(looks) <= 4


async def test_a_ready_answer_ends_with_the_rate_it_tells(service: Service):
    _, key = await tenant_with_rate(service, "5")
    assert await asked(service, key) == [5] * 4
    async with UsageClient(service.address, key) as client:
        world = World(client)
        await move(world, INACTIVE, "rateCards/base/entries/data")
        await put(world, "base/dearer", priced("data", "7"))
    await asyncio.sleep(1)  # an answer may be as old as this, and no older

    assert await asked(service, key, 2) == [7, 7]
