"""Several server processes on one port: all answer, one that dies is replaced, all stop at once."""

import asyncio
import socket
import subprocess
import sys

import asyncpg
import psutil
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient
from clients.health import serving
from tests.processes.conftest import Program, Stack
from tests.stories.words import Metered, line, moment, usage

TOGETHER = ("server", "serve", "--processes", "2")


def members(program: Program) -> list[psutil.Process]:
    assert program.process is not None
    return psutil.Process(program.process.pid).children()


async def answers(address: str, key: str) -> bool:
    async with UsageClient(address, key) as client:  # a connection of its own, to either of them
        listed = await client.access.ListTenants(access.ListTenantsRequest())
        return len(listed.tenants) > 0


async def member_is_back(program: Program, gone: int) -> None:
    for _ in range(400):
        if len([one for one in members(program) if one.pid != gone]) == 2:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(members(program))


async def test_two_processes_share_a_port_and_outlive_each_other(
    durable: str, operator_key: str, settings
):
    environment = settings(durable) | {"USAGE_METRICS_PORT": "0"}
    address = f"127.0.0.1:{environment['USAGE_PORT']}"
    program = Program(TOGETHER, environment)
    program.start()
    try:
        await serving(address, 30)
        assert all([await answers(address, operator_key) for _ in range(10)])

        victim = members(program)[0]
        victim.kill()
        await member_is_back(program, victim.pid)
        await serving(address, 30)
        assert all([await answers(address, operator_key) for _ in range(10)])

        left = members(program)
        assert await asyncio.to_thread(program.stop) == 0
        assert not any(one.is_running() for one in left)
    finally:
        program.end()


def test_a_port_that_somebody_else_has_is_not_shared_with_them(durable: str, settings):
    environment = settings(durable)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", int(environment["USAGE_PORT"])))
        other.listen()

        command = [sys.executable, "-m", *TOGETHER]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "USAGE_PORT" in done.stderr


async def test_a_batch_is_cut_by_accounts_where_a_transaction_may_have_only_one(
    durable: str, operator_key: str, settings
):
    environment = settings(durable) | {"USAGE_RECORD_ACCOUNTS_PER_TRANSACTION": "1"}
    server = Program(("server", "serve"), environment)
    stack = Stack(f"127.0.0.1:{environment['USAGE_PORT']}", operator_key, server, server)
    try:
        await stack.serve()
        async with stack.world(moment("2024-01-15")) as world:
            await world.product("plan", Metered(resource="calls", grant="100", rate="1"))
            sold = [
                (await world.sell(await world.account(f"cut-{n}"), line("plan", "2024-01-01")))[0]
                for n in range(3)
            ]
            batch = [
                usage(sold[n % 3], "calls", "2024-01-10", 1 + n, f"cut-{n}") for n in range(30)
            ]
            batch[7].quantity.value = "many"
            outcomes = await world.record(batch)
    finally:
        server.end()

    accepted, rejected = consumption.RecordOutcome.ACCEPTED, consumption.RecordOutcome.REJECTED
    assert [one.code for one in outcomes] == [rejected if n == 7 else accepted for n in range(30)]
    store = await asyncpg.connect(durable)
    kept = await store.fetch(
        "SELECT account_id, count(*), count(DISTINCT xmin::text) AS parts, min(xmin::text) AS part"
        " FROM usage_records WHERE account_id LIKE 'cut-%' GROUP BY account_id ORDER BY account_id"
    )
    await store.close()
    assert [(row["count"], row["parts"]) for row in kept] == [(10, 1), (9, 1), (10, 1)]
    assert len({row["part"] for row in kept}) == 3
