"""The programs: how they stop, what they refuse to start with, what they refuse to take in."""

import asyncio
import signal
import subprocess
import sys

import asyncpg
import pytest
from usage_management.v1 import account_service_pb2 as accounts

from clients import UsageClient, UsageError
from tests.processes.conftest import Program, Stack, migrated
from tests.service import Service, add_tenant
from tests.stories.words import moment


async def test_a_server_that_is_asked_to_stop_finishes_and_says_goodbye(stack: Stack):
    async with stack.world(moment("2024-01-01")) as world:
        making = [asyncio.create_task(world.account(f"last-{n}")) for n in range(20)]
        await asyncio.sleep(0.01)
        assert await asyncio.to_thread(stack.server.stop) == 0
        ended = await asyncio.gather(*making, return_exceptions=True)
        assert all(isinstance(one, str | UsageError) for one in ended), ended

        await stack.serve()
        kept = {account.name for account in await listed(world.client)}
        assert {one for one in ended if isinstance(one, str)} <= kept
    assert await asyncio.to_thread(stack.worker.stop) == 0


async def listed(client: UsageClient) -> list[accounts.Account]:
    return list((await client.accounts.ListAccounts(accounts.ListAccountsRequest())).accounts)


async def test_a_second_signal_ends_at_once(stack: Stack):
    assert stack.server.process is not None
    stack.server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.05)

    assert await asyncio.to_thread(stack.server.stop) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("module", "wrong", "named"),
    [
        (("server", "serve"), {"USAGE_PORT": "99999"}, "USAGE_PORT"),
        (("server", "serve"), {"USAGE_POOL_SIZE": "many"}, "USAGE_POOL_SIZE"),
        (("workers",), {"USAGE_SWEEP_SECONDS": "-1"}, "USAGE_SWEEP_SECONDS"),
        (("server", "migrate"), {"DATABASE_URL": ""}, "DATABASE_URL"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(settings, module, wrong, named):
    environment = settings("postgresql://nobody@nowhere.invalid/none") | wrong
    command = [sys.executable, "-m", *module]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


async def test_nothing_is_taken_in_while_the_store_could_lose_it(
    empty_database: str, settings, admin: asyncpg.Connection
):
    environment = settings(empty_database)
    assert await admin.fetchval("SHOW fsync") == "off"
    key = await asyncio.to_thread(migrated, environment)
    server = Program(("server", "serve"), environment)
    stack = Stack(f"127.0.0.1:{environment['USAGE_PORT']}", key, server, server)
    try:
        await stack.serve()
        with pytest.raises(UsageError) as refused:
            await add_tenant(Service(stack.address, key), None)
    finally:
        server.end()

    assert refused.value.reason == "UNSAFE_STORE"
    assert "fsync = off" in refused.value.facts["settings"]
