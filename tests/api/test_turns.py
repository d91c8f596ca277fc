"""Large calls take turns: they are answered in order, or refused before their work is begun."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2
from usage.v1 import rate_service_pb2 as rates

from clients import UsageError
from server.api import admission
from server.api.admission import Turns
from server.domain.errors import ResourceExhausted
from tests.api.test_load import DISCOVER, QUESTION
from tests.api.wire import Wire
from tests.service import Service

BATCH = rates.DiscoverRatesRequest(questions=[QUESTION.questions[0]] * 1_000)


async def test_a_large_call_that_would_wait_too_long_is_refused_and_told_when_to_come_back():
    turns = Turns()
    size = int(2 * admission.MOST_WAIT_SECONDS / admission.BYTE_SECONDS)
    async with turns.of(size, 30.0):
        with pytest.raises(ResourceExhausted) as refused:
            async with turns.of(1_000, 30.0):
                pass
    async with turns.of(1_000, 30.0):
        pass

    assert refused.value.reason == "OVERLOADED"
    assert refused.value.retry_after_seconds == pytest.approx(1.0)


async def test_a_large_call_with_little_time_is_refused_earlier():
    turns = Turns()
    size = int(0.2 / admission.BYTE_SECONDS)
    async with turns.of(size, 30.0):
        async with turns.of(1_000, 1.0):
            pass
        with pytest.raises(ResourceExhausted):
            async with turns.of(1_000, 0.3):
                pass


async def test_a_few_large_calls_work_at_once_and_the_others_wait_whatever_becomes_of_them():
    turns, go, working = Turns(), asyncio.Event(), []

    async def one(number: int) -> None:
        async with turns.of(1_000, 30.0):
            working.append(number)
            await go.wait()
            if number % 2:
                raise ValueError

    calls = [asyncio.create_task(one(number)) for number in range(2 * admission.SLOTS)]
    await asyncio.sleep(0.1)
    begun = len(working)
    calls[-1].cancel()
    go.set()
    await asyncio.gather(*calls, return_exceptions=True)

    assert begun == admission.SLOTS
    assert len(working) == 2 * admission.SLOTS - 1
    async with turns.of(1_000, 30.0):
        assert turns._bytes_ahead == 1_000


async def test_a_flood_of_batches_is_answered_or_refused_and_health_answers(
    service: Service, wire: Wire
):
    await wire.call(DISCOVER, BATCH, timeout=30)
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with (
        grpc.aio.insecure_channel(service.address, options=options) as channel,
        grpc.aio.insecure_channel(service.address, options=options) as other,
    ):
        flooding = Wire(channel, wire.key, wire.world, wire.account, wire.asset)
        flood = [
            asyncio.create_task(flooding.call(DISCOVER, BATCH, timeout=30)) for _ in range(100)
        ]
        check = other.unary_unary(
            "/grpc.health.v1.Health/Check",
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        health = [(await check(b"", timeout=10)).status for _ in range(5)]
        ended = await asyncio.gather(*flood)

    refused = [one for one in ended if isinstance(one, UsageError)]
    assert set(health) == {health_pb2.HealthCheckResponse.SERVING}
    assert {(one.reason, one.retry_after_seconds is not None) for one in refused} <= {
        ("OVERLOADED", True)
    }
    assert len(refused) < len(ended)
