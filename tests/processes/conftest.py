"""A durable Postgres, migrated, and the programs as processes of their own."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import asyncpg
import psutil
import pytest

from clients import UsageClient
from clients.health import serving
from server.local.postgres import Postgres
from server.store.service_login import as_login
from tests.logins import as_service
from tests.service import Service, add_tenant
from tests.stories.world import World

READY_SECONDS = 30
PASSWORD = "as strong/as it gets: @?"
ASKS = "local all all scram-sha-256\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """`python -m …` with settings of its own; killed and started again as often as a test wants."""

    module: tuple[str, ...]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None)
    log: Path | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", *self.module]
        with (self.log or Path(os.devnull)).open("ab") as out:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=out, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; the answer is its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(40)
        return self.process.returncode

    def mebibytes(self) -> float:
        """Return the resident memory in mebibytes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


@dataclass
class Stack:
    """A server and a worker on one durable database."""

    address: str
    operator_key: str
    server: Program
    worker: Program

    async def serve(self) -> None:
        self.server.start()
        await serving(self.address, READY_SECONDS)

    @asynccontextmanager
    async def world(self, clock: datetime) -> AsyncIterator[World]:
        """A sandbox tenant of its own."""
        _, key = await add_tenant(Service(self.address, self.operator_key), clock)
        async with UsageClient(self.address, key, timeout=30) as client:
            yield World(client)


@pytest.fixture(scope="session")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a migrated database that keeps what it acknowledges."""
    directory = tmp_path_factory.mktemp("durable")
    server = Postgres.start(directory / "data")
    yield server.dsn()
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The superuser's DSN of an empty database whose server asks for passwords."""
    directory = tmp_path_factory.mktemp("guarded")
    server = Postgres.start(directory / "data")
    connection = await asyncpg.connect(server.dsn())
    await connection.execute(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")
    (server.data_dir / "pg_hba.conf").write_text(ASKS)
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    yield as_login(server.dsn(), "postgres", PASSWORD)
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def settings() -> Callable[[str], dict[str, str]]:
    """The environment of a program on a database."""

    def make(dsn: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("USAGE_", "REDIS_"))}
        return kept | {
            "DATABASE_URL": as_service(dsn),
            "DATABASE_OWNER_URL": dsn,
            "USAGE_PORT": str(free_port()),
            "USAGE_METRICS_PORT": str(free_port()),
            "USAGE_SWEEP_SECONDS": "0.05",
            "USAGE_DRAIN_SECONDS": "0.2",
            "USAGE_LOG_LEVEL": "warning",
        }

    return make


def migrated(environment: dict[str, str]) -> str:
    """Migrate an empty database; the answer is the operator's key, which is printed once."""
    command = [sys.executable, "-m", "server", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"usage_\S+", done.stdout.splitlines()[-1])
    assert found, done.stdout
    return found[0]


@pytest.fixture(scope="session")
def operator_key(durable: str, settings: Callable[[str], dict[str, str]]) -> str:
    """The first key of the durable database."""
    return migrated(settings(durable))


@pytest.fixture
async def stack(durable: str, operator_key: str, settings) -> AsyncIterator[Stack]:
    environment = settings(durable)
    found = Stack(
        address=f"127.0.0.1:{environment['USAGE_PORT']}",
        operator_key=operator_key,
        server=Program(("server", "serve"), environment),
        worker=Program(("workers",), environment),
    )
    await found.serve()
    found.worker.start()
    yield found
    found.server.end()
    found.worker.end()
    await asyncio.sleep(0)
