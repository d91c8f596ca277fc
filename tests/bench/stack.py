"""The stack to be measured: a durable Postgres, the server and the yardsticks, each a process."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc
import psutil
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient
from server.local.postgres import Postgres
from tests.logins import as_service
from tests.stories.words import moment, stamp
from tests.stories.world import World

READY_SECONDS = 30


@dataclass(frozen=True)
class Stack:
    """Addresses and keys, and the processes whose time and memory are looked at."""

    dsn: str
    address: str
    yardsticks: str
    key: str
    server: psutil.Process
    worker: psutil.Process

    def members(self) -> list[psutil.Process]:
        """Return the processes that answer calls: the server, or those that it started."""
        return self.server.children() or [self.server]

    def server_seconds(self) -> float:
        """The processor time the server has used."""
        times = self.server.cpu_times()
        return float(times.user + times.system)

    def server_mebibytes(self) -> float:
        """Return the server's resident memory."""
        return float(self.server.memory_info().rss) / 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def stack(processes: int = 1) -> AsyncIterator[Stack]:
    """All of it, and a sandbox tenant whose clock shows 2024-01-15."""
    with tempfile.TemporaryDirectory(prefix="usage-bench-") as directory:
        postgres = Postgres.start(Path(directory) / "data")
        children: list[subprocess.Popen[bytes]] = []
        try:
            dsn = postgres.dsn()
            environment = os.environ | {
                "DATABASE_URL": as_service(dsn),
                "DATABASE_OWNER_URL": dsn,
                "USAGE_PORT": str(free_port()),
                "USAGE_METRICS_PORT": str(free_port()),
                "USAGE_LOG_LEVEL": "warning",
                # `fill` writes more entries than a card may have; products are added after it.
                "USAGE_RATE_CARD_ENTRIES": "100000",
            }
            environment.pop("REDIS_URL", None)
            operator = _migrate(environment)
            together = ("--processes", str(processes))
            children.append(_start(environment, "server", "serve", *together))
            worker = _start(environment | {"USAGE_METRICS_PORT": str(free_port())}, "workers")
            children.append(worker)
            port = str(free_port())
            children.append(_start(environment, "tests.bench.yardsticks", port, dsn))
            address, yardsticks = f"127.0.0.1:{environment['USAGE_PORT']}", f"127.0.0.1:{port}"
            await _ready(address)
            await _ready(yardsticks)
            key = await _tenant(address, operator)
            server = psutil.Process(children[0].pid)
            yield Stack(dsn, address, yardsticks, key, server, psutil.Process(worker.pid))
        finally:
            for child in children:
                child.terminate()
                child.wait(30)
            postgres.stop()


@asynccontextmanager
async def world(stack: Stack) -> AsyncIterator[World]:
    """The stack's tenant, as its administrator sees it."""
    async with UsageClient(stack.address, stack.key) as client:
        yield World(client)


async def fill(stack: Stack, statements: Iterable[str], products: int) -> None:
    """Write a catalog of so many products past the service, which would take its time."""
    connection = await asyncpg.connect(stack.dsn)
    tenant_id = await connection.fetchval("SELECT tenant_id FROM tenants WHERE id = 'bench'")
    for statement in statements:
        await connection.execute(statement, tenant_id, products)
    await connection.execute("ANALYZE")
    await connection.close()


def _migrate(environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "server", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"usage_\S+", done.stdout)
    assert found, done.stdout
    return found[0]


def _start(environment: dict[str, str], *module: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *module], env=environment)


async def _ready(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        async with asyncio.timeout(READY_SECONDS):
            await channel.channel_ready()


async def _tenant(address: str, operator_key: str) -> str:
    async with UsageClient(address, operator_key) as operator:
        tenant = access.Tenant(clock_start_time=stamp(moment("2024-01-15")))
        made = await operator.access.CreateTenant(
            access.CreateTenantRequest(tenant_id="bench", tenant=tenant)
        )
        answer = await operator.access.CreateCredential(
            access.CreateCredentialRequest(
                credential=access.Credential(tenant=made.name, roles=["ADMIN"])
            )
        )
    return answer.key
