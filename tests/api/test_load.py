"""Under load: many calls at once, little time, too much of it; every answer says what happened."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import grpc
import pytest
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageClient
from server import metrics
from server.usecases.wallets import wallets as wallet_usecase
from tests.api.wire import Refusal, Wire
from tests.service import Service, add_tenant, serving
from tests.stories.words import Metered, moment
from tests.stories.world import World

QUESTION = rates.DiscoverRatesRequest(
    questions=[
        rates.RateQuestion(
            price_book="priceBooks/book",
            product="products/plan",
            usage_resource="usageResources/calls",
            currency_code="USD",
            date={"year": 2024, "month": 1, "day": 15},
        )
    ]
)
DISCOVER, LIST = "RateService/DiscoverRates", "WalletService/ListWallets"


async def codes(calls: list) -> Counter[str]:
    """Count the codes of the answers; `OK` for one that is no refusal."""
    answers = await asyncio.gather(*calls)
    return Counter("OK" if isinstance(one, bytes) else one.code.name for one in answers)


@pytest.mark.parametrize("method", [DISCOVER, LIST])
async def test_300_calls_at_once_on_one_connection_all_succeed(
    service: Service, wire: Wire, method
):
    request = QUESTION if method == DISCOVER else _wallets(wire)
    # A connection of its own, whose client does not know the server's settings yet.
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(service.address, options=options) as channel:
        fresh = Wire(channel, wire.key, wire.world, wire.account, wire.asset)
        found = await codes([fresh.call(method, request, timeout=30) for _ in range(300)])

    assert found == {"OK": 300}


def _wallets(wire: Wire) -> wallets.ListWalletsRequest:
    return wallets.ListWalletsRequest(parent=wire.account)


async def test_a_call_starts_whatever_time_is_left_and_ends_without_an_incident(wire: Wire, caplog):
    before = metrics.INCIDENTS._value.get()
    await wire.call(DISCOVER, QUESTION)

    tight = [await codes([wire.call(DISCOVER, QUESTION, timeout=0.045)]) for _ in range(20)]
    with caplog.at_level(logging.ERROR):
        storm = await codes(
            [wire.call(LIST, _wallets(wire), timeout=0.001 * (1 + n % 20)) for n in range(200)]
        )

    # At 28698be none of the first was begun.
    assert sum(tight, Counter())["OK"] > 10
    assert set(storm) <= {"OK", "DEADLINE_EXCEEDED"}
    assert [one for one in caplog.records if not one.name.startswith("grpc.")] == []
    assert metrics.INCIDENTS._value.get() == before


@pytest.mark.parametrize("fault", [TimeoutError(), asyncpg.QueryCanceledError("statement timeout")])
async def test_a_method_that_runs_out_of_time_says_so(wire: Wire, monkeypatch, fault):
    async def slow(*_args: object, **_named: object) -> None:
        raise fault

    monkeypatch.setattr(wallet_usecase, "list_wallets", slow)
    before = metrics.INCIDENTS._value.get()

    refused = await wire.refused(LIST, _wallets(wire))

    assert (refused.code.name, refused.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert metrics.INCIDENTS._value.get() == before


async def test_a_call_without_a_deadline_is_ended_when_its_usual_time_is_up(
    wire: Wire, monkeypatch
):
    async def hang(*_args: object, **_named: object) -> None:
        await asyncio.Event().wait()

    await wire.call(LIST, _wallets(wire))
    monkeypatch.setattr("server.api.interceptors.USUAL_SECONDS", 0.3)
    monkeypatch.setattr(wallet_usecase, "list_wallets", hang)
    started = time.monotonic()

    refused = await wire.refused(LIST, _wallets(wire), timeout=None)

    assert (refused.code.name, refused.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert 0.3 <= time.monotonic() - started < 3


async def test_a_full_disk_is_told_apart_from_a_fault(wire: Wire, monkeypatch):
    async def full(*_args: object, **_named: object) -> None:
        raise asyncpg.DiskFullError("no space left on device")

    monkeypatch.setattr(wallet_usecase, "list_wallets", full)

    refused = await wire.refused(LIST, _wallets(wire))

    assert (refused.code.name, refused.reason) == ("RESOURCE_EXHAUSTED", "STORE_FULL")


@pytest.fixture
async def narrow(database: str) -> AsyncIterator[Service]:
    """A service with one connection and few calls in flight."""
    settings = {"pool_size": 1, "tenant_calls_in_flight": 3, "calls_in_flight": 5}
    async with serving(database, **settings) as found:
        yield found


async def test_a_tenant_and_a_server_with_too_many_calls_in_flight_refuse_more(
    narrow: Service, monkeypatch
):
    go = asyncio.Event()

    async def wait(*_args: object, **_named: object) -> list[object]:
        await go.wait()
        return []

    keys = [(await add_tenant(narrow, moment("2024-01-15")))[1] for _ in range(2)]
    method, request = "AccountService/ListAccounts", accounts.ListAccountsRequest()
    async with grpc.aio.insecure_channel(narrow.address) as channel:
        one, other = [Wire(channel, key, None, "", None) for key in keys]  # type: ignore[arg-type]
        # So that the keys are known: looking one up takes the only connection.
        for wire in (one, other):
            assert isinstance(await wire.call(method, request), bytes)
        monkeypatch.setattr("server.api.services.selling.accounts.store.list_accounts", wait)
        calls = [asyncio.create_task(one.call(method, request)) for _ in range(4)]
        await asyncio.sleep(0.2)
        calls += [asyncio.create_task(other.call(method, request)) for _ in range(3)]
        await asyncio.sleep(0.2)
        go.set()
        ended = await asyncio.gather(*calls)

    refused = [one for one in ended if isinstance(one, Refusal)]
    assert sorted(one.reason for one in refused) == ["OVERLOADED", "TENANT_BUSY"]
    assert {(one.code.name, one.retry) for one in refused} == {("RESOURCE_EXHAUSTED", True)}


async def test_a_store_without_a_free_connection_is_overloaded_and_says_when_to_try_again(
    narrow: Service, monkeypatch
):
    _, key = await add_tenant(narrow, moment("2024-01-15"))
    go = asyncio.Event()

    async def hold(*_args: object, **_named: object) -> list[object]:
        await go.wait()
        return []

    monkeypatch.setattr("server.api.services.selling.accounts.store.list_accounts", hold)
    async with grpc.aio.insecure_channel(narrow.address) as channel:
        wire = Wire(channel, key, None, "", None)  # type: ignore[arg-type]
        request = accounts.ListAccountsRequest()
        holding = asyncio.create_task(wire.call("AccountService/ListAccounts", request))
        await asyncio.sleep(0.1)
        refused = await wire.refused("AccountService/ListAccounts", request, timeout=1)
        go.set()
        await holding

    assert (refused.code.name, refused.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    assert refused.retry


async def test_a_noisy_tenant_leaves_a_connection_to_others(service: Service, monkeypatch):
    """A hundred calls that hold their connections for a while, and one call of another tenant."""
    keys = [(await add_tenant(service, moment("2024-01-15")))[1] for _ in range(2)]

    async def slow(*_args: object, **_named: object) -> list[object]:
        await asyncio.sleep(0.1)
        return []

    monkeypatch.setattr("server.api.services.selling.accounts.store.list_accounts", slow)
    async with (
        UsageClient(service.address, keys[0], timeout=30) as noisy,
        UsageClient(service.address, keys[1]) as quiet,
    ):
        await World(quiet).product("plan", Metered(resource="calls"))
        request = accounts.ListAccountsRequest()
        flood = [asyncio.create_task(noisy.accounts.ListAccounts(request)) for _ in range(100)]
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        await World(quiet).account("ann")
        took = time.perf_counter() - started
        await asyncio.gather(*flood)
        flooded = time.perf_counter() - started

    # Before, it waited for its turn behind the hundred.
    assert took < flooded / 2
