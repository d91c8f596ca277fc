"""The service's life through a real PgBouncer in transaction mode: `make test-pooler` runs it.

`make test` does not, by the file's name: PgBouncer is a program that pip cannot install. Servers
and a worker have 24 connections to the pooler, and the pooler has three to Postgres, so that
statements of one client run in turn on sessions that others use.
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient
from clients.health import serving
from clients.values import enum_name
from server.local import processes
from server.store.migrate import SERVICE
from tests.processes.conftest import READY_SECONDS, Program
from tests.service import Service, add_tenant
from tests.stories.bill_words import owed
from tests.stories.words import Metered, figure, line, moment, usage
from tests.stories.world import World

SERVER_CONNECTIONS = 3
TENANTS, RECORDS = 6, 300
CONFIGURATION = """
[databases]
* = host={host} port=5432
[pgbouncer]
pool_mode = transaction
default_pool_size = {size}
listen_addr =
unix_socket_dir = {directory}
listen_port = 6432
auth_type = trust
auth_file = {directory}/users
"""


@pytest.fixture(scope="module")
def pooler(tmp_path_factory: pytest.TempPathFactory, durable: str) -> Iterator[str]:
    """The service's DSN of the durable database, by way of PgBouncer."""
    program = os.environ.get("USAGE_TEST_PGBOUNCER") or shutil.which(
        "pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin"
    )
    assert program, "install pgbouncer, or name it in USAGE_TEST_PGBOUNCER"
    identity = processes.unprivileged()
    directory = processes.socket_directory(tmp_path_factory.mktemp("pooler"), identity)
    host = durable.partition("host=")[2].replace("%2F", "/")
    settings = CONFIGURATION.format(host=host, size=SERVER_CONNECTIONS, directory=directory)
    (directory / "pgbouncer.ini").write_text(settings)
    (directory / "users").write_text(f'"{SERVICE}" ""\n')
    with (directory / "log").open("wb") as log:
        command = [program, str(directory / "pgbouncer.ini")]
        process = processes.spawn(command, log, signal.SIGTERM, identity)
    ready = (directory / ".s.PGSQL.6432").exists
    processes.wait_until_ready(process, ready, directory / "log", READY_SECONDS)
    yield f"postgresql://{SERVICE}@/postgres?host={directory}&port=6432"
    processes.stop(process, signal.SIGKILL)
    shutil.rmtree(directory)


@pytest.fixture
async def addresses(
    pooler: str, operator_key: str, settings, tmp_path: Path
) -> AsyncIterator[list[str]]:
    """Two servers and a worker that know only the pooler. What they log is shown on a failure."""
    log = tmp_path / "log"
    common = {"DATABASE_URL": pooler, "DATABASE_POOLER": "transaction"}
    environments = [settings(pooler) | common for _ in range(3)]
    modules = (("server", "serve"), ("server", "serve"), ("workers",))
    programs = [
        Program(module, environment, log=log)
        for module, environment in zip(modules, environments, strict=True)
    ]
    for program in programs:
        program.start()
    try:
        found = [f"127.0.0.1:{environment['USAGE_PORT']}" for environment in environments[:2]]
        for address in found:
            await serving(address, READY_SECONDS)
        yield found
        assert [await asyncio.to_thread(program.stop) for program in programs] == [0, 0, 0]
    finally:
        for program in programs:
            program.end()
        print(log.read_text())


async def life(address: str, operator_key: str, number: int) -> tuple[object, ...]:
    """A month of a tenant: sold, recorded, read, closed by jobs. The answer is its figures."""
    _, key = await add_tenant(Service(address, operator_key), moment("2024-01-01"))
    async with UsageClient(address, key, timeout=30) as client:
        world = World(client)
        plan = Metered(resource="calls", grant="100", refresh="MONTH", rate="2")
        await world.product("plan", plan)
        account = await world.account("ann")
        [asset] = await world.sell(account, line("plan", "2024-01-01"))
        records = [usage(asset, "calls", "2024-01-10", 1 + number, f"r{n}") for n in range(RECORDS)]
        await world.advance("2024-01-20")
        await asyncio.gather(
            *(world.record(records[start : start + 50]) for start in range(0, RECORDS, 50))
        )
        used = figure((await world.wallet(account, "calls")).used_quantity)
        found = await world.discover("plan", "calls")
        assert enum_name(found, "source") == "CATALOG"
        run = await world.advance("2024-02-04")
        assert run.state == access.Run.DONE
        return used, await owed(world, account)


@pytest.mark.timeout(180)
async def test_tenants_live_side_by_side_through_the_pooler(
    addresses: list[str], operator_key: str, durable: str
):
    lives = [life(addresses[number % 2], operator_key, number) for number in range(TENANTS)]
    figures = await asyncio.gather(*lives)

    for number, (used, billed) in enumerate(figures):
        quantity = RECORDS * (1 + number)
        assert used == quantity
        assert billed == {"calls": (quantity - 100, 2 * (quantity - 100))}
    superuser = await asyncpg.connect(durable)
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
    assert 0 < await superuser.fetchval(sessions, SERVICE) <= SERVER_CONNECTIONS
    await superuser.close()


async def test_health_says_that_the_store_answers_for_longer_than_a_look(addresses: list[str]):
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for address in addresses:
            await serving(address, 0.5)
        await asyncio.sleep(0.1)
