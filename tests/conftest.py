"""Servers and databases for tests: one Postgres a session (and worker), one database a test."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from server.local.postgres import Postgres
from server.store.migrate import migrate
from tests.logins import as_service

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

pytest_plugins = ["tests.service"]

TEMPLATE = "template_usage"
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_binaries() -> Path | None:
    """Return what USAGE_TEST_POSTGRES_BIN names; None is the Postgres that users get."""
    chosen = os.environ.get("USAGE_TEST_POSTGRES_BIN")
    return Path(chosen) if chosen else None


@pytest.fixture(scope="session")
def postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_binaries: Path | None
) -> Iterator[Postgres]:
    directory = tmp_path_factory.mktemp("postgres")
    server = Postgres.start(directory / "data", unsafe=True, binaries=postgres_binaries)
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def admin(postgres: Postgres) -> AsyncIterator["Connection"]:
    """A superuser's connection to no test's database, for making and dropping them."""
    connection = await asyncpg.connect(postgres.dsn())
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def template(postgres: Postgres, admin: "Connection") -> str:
    """The migrated database that every test's is a copy of."""
    await admin.execute(f"CREATE DATABASE {TEMPLATE}")
    connection = await asyncpg.connect(postgres.dsn(TEMPLATE))
    await migrate(connection)
    await connection.close()
    return TEMPLATE


@pytest.fixture
async def empty_database(postgres: Postgres, admin: "Connection") -> AsyncIterator[str]:
    """The DSN of a database without anything in it."""
    name = f"empty_{next(_numbers)}"
    await admin.execute(f"CREATE DATABASE {name}")
    yield postgres.dsn(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(postgres: Postgres, admin: "Connection", template: str) -> AsyncIterator[str]:
    """The DSN of a migrated database of the test's own, as its superuser."""
    name = f"test_{next(_numbers)}"
    # Copying files is several times quicker than writing a small database through the log.
    how = "STRATEGY file_copy" if admin.get_server_version().major >= 15 else ""
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} {how}")
    yield postgres.dsn(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def owner(database: str) -> AsyncIterator["Connection"]:
    """A superuser's connection: row-level security does not hold for it."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def app(database: str) -> AsyncIterator["Connection"]:
    """A connection as the service has it."""
    connection = await asyncpg.connect(as_service(database))
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def story_database(postgres: Postgres, admin: "Connection", template: str) -> str:
    """The DSN of a migrated database that many tests share, each with a tenant of its own."""
    name = f"stories_{next(_numbers)}"
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return postgres.dsn(name)
