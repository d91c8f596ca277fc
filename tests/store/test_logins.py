"""The service's login: what it cannot do even with free choice of SQL, and which are refused."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from server.domain.errors import FailedPrecondition
from server.store.migrate import APP, OWNER
from server.store.pool import open_pool
from server.store.service_login import as_login
from tests.logins import as_service

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

ADD = "INSERT INTO tenants (tenant_id, id, display_name) VALUES ($1, $2, '')"
_numbers = count(1)


@pytest.fixture
async def login(admin: "Connection") -> AsyncIterator[str]:
    """A login of the test's own, a member of `usage_app`; without it afterwards."""
    name = f"login_{uuid4().hex[:12]}"
    await admin.execute(f"CREATE ROLE {name} LOGIN IN ROLE {APP}")
    yield name
    await admin.execute(f"DROP ROLE {name}")


async def test_a_client_with_free_choice_of_sql_gets_no_further_than_the_service(
    owner: "Connection", app: "Connection", tmp_path: Path
) -> None:
    mine, other = uuid4(), uuid4()
    for tenant in (mine, other):
        await owner.execute(ADD, tenant, f"t-{tenant}")

    for escape in ("SET ROLE NONE", "RESET ROLE", "RESET SESSION AUTHORIZATION"):
        await app.execute(escape)
        assert await app.fetchval("SELECT session_user::text") == "usage_service"
        assert await app.fetchval("SELECT count(*) FROM tenants") == 0
        await app.execute("SELECT set_config('usage.tenant_id', $1, false)", str(mine))
        assert await app.fetchval("SELECT array_agg(tenant_id) FROM tenants") == [mine]
        assert await app.fetchval("SELECT count(*) FROM tenants WHERE tenant_id = $1", other) == 0
        await app.execute("SELECT set_config('usage.tenant_id', '', false)")
    proof = tmp_path / "proof"
    for refused in (
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE postgres",
        f"SET ROLE {OWNER}",
        "SET row_security = off; SELECT * FROM tenants",
        f"COPY (SELECT 1) TO PROGRAM 'touch {proof}'",
        f"COPY (SELECT 1) TO '{proof}'",
        "COPY tenants (id) FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_authid",
        "ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY",
        "CREATE ROLE mine",
        f"GRANT {OWNER} TO usage_service",
        "ALTER ROLE usage_service SUPERUSER",
        "CREATE FUNCTION public.tenant_now(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(refused)
        await app.execute("RESET ALL")
    assert not proof.exists()


# PgBouncer keeps these for each client, and refuses a client that sends any other.
TRACKED = {"client_encoding", "datestyle", "timezone", "standard_conforming_strings"}


async def test_a_pooler_accepts_all_start_up_parameters(tmp_path: Path) -> None:
    sent: list[dict[str, str]] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4), "big")
        # Four bytes of the version, then names and values, each ended by a zero byte.
        words = (await reader.readexactly(length - 4))[4:].decode().split("\0")
        sent.append(dict(zip(words[::2], words[1::2], strict=False)))
        writer.close()

    server = await asyncio.start_unix_server(listen, tmp_path / ".s.PGSQL.5432")
    async with server:
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await open_pool(f"postgresql://usage_service@/any?host={tmp_path}", size=1, pins=False)

    [parameters] = sent
    assert parameters["user"] == "usage_service"
    others = {name.lower() for name in parameters if name} - {"user", "database"}
    assert others <= TRACKED | {"application_name"}


async def test_the_login_of_the_service_is_let_in(database: str, login: str) -> None:
    for dsn in (as_service(database), as_login(database, login)):
        pool = await open_pool(dsn, size=1)
        await pool.close()


async def refusal(dsn: str) -> FailedPrecondition:
    with pytest.raises(FailedPrecondition) as refused:
        await open_pool(dsn, size=1)
    assert refused.value.reason == "UNSAFE_ROLE"
    return refused.value


async def test_a_superuser_is_refused_with_the_way_out(database: str) -> None:
    refused = await refusal(database)

    assert refused.facts == {"role": "postgres", "login": "postgres"}
    assert "the database login postgres is a superuser" in refused.message
    assert "ALTER ROLE usage_service LOGIN PASSWORD" in refused.message
    assert "DATABASE_OWNER_URL" in refused.message


@pytest.mark.parametrize("right", ["SUPERUSER", "BYPASSRLS", "REPLICATION", "CREATEROLE"])
async def test_a_login_with_a_dangerous_right_is_refused(
    database: str, admin: "Connection", login: str, right: str
) -> None:
    await admin.execute(f"ALTER ROLE {login} {right}")

    assert (await refusal(as_login(database, login))).facts == {"role": login, "login": login}


async def test_the_owner_of_the_database_who_may_drop_its_tables_is_refused(
    database: str, owner: "Connection", login: str
) -> None:
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f"ALTER DATABASE {name} OWNER TO {login}")
    try:
        refused = await refusal(as_login(database, login))
    finally:
        await owner.execute(f"ALTER DATABASE {name} OWNER TO postgres")

    assert refused.facts == {"role": "pg_database_owner", "login": login}
    assert "owns the database" in refused.message


@pytest.mark.parametrize("role", [OWNER, "pg_execute_server_program", "pg_read_server_files"])
async def test_a_login_that_can_become_a_dangerous_role_is_refused(
    database: str, admin: "Connection", login: str, role: str
) -> None:
    """By a role in between, and though the session acts as `usage_app`."""
    between = f"between_{next(_numbers)}_{uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {between} NOINHERIT IN ROLE {role}")
    await admin.execute(f"GRANT {between} TO {login}")
    await admin.execute(f"ALTER ROLE {login} SET role = {APP}")
    try:
        refused = await refusal(as_login(database, login))
    finally:
        await admin.execute(f"DROP ROLE {between}")

    assert refused.facts == {"role": role, "login": login}
    assert f"the database login {login} can become {role}" in refused.message


def test_another_login_keeps_nothing_of_the_one_before():
    kept = (
        "postgresql:///db?host=/tmp/x&user=postgres&password=topsecret&passfile=/f&sslmode=require"
    )

    named = as_login(kept, "usage_service", "PW")

    assert named == "postgresql://usage_service:PW@/db?host=/tmp/x&sslmode=require"
