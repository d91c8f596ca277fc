"""Migrations apply once, and the schema they make keeps the rules that its header states."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from server.store.migrate import MIGRATIONS, MigrationError, migrate, read, rotate_token_secrets
from tests.schema import FILE, dumped

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

PREFIX = {
    "catalog": ["tenant_id"],
    "run-time": ["tenant_id", "account_id"],
    "control": ["tenant_id"],
}
# Unique over all tenants on purpose: who calls is found by the first, and ids of tenants are names.
ACROSS_TENANTS = {"credential_key_taken", "tenant_id_taken"}

TABLES = """
SELECT c.relname AS name, split_part(coalesce(obj_description(c.oid), ''), ':', 1) AS kind,
       c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
       pg_get_userbyid(c.relowner) AS owner,
       (SELECT count(*) FROM pg_policy p
         WHERE p.polrelid = c.oid AND p.polname = 'own_tenant') AS policies
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
   AND c.relname NOT IN ('schema_migrations', 'token_secrets')
"""
KEYS = """
SELECT t.relname AS table, i.relname AS name,
       array_agg(coalesce(a.attname, pg_get_indexdef(i.oid, k.n::int, true)) ORDER BY k.n)::text[]
       AS columns
  FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
 CROSS JOIN LATERAL unnest(x.indkey::smallint[]) WITH ORDINALITY AS k (attnum, n)
  LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum AND k.attnum > 0
 WHERE t.relnamespace = 'public'::regnamespace AND (x.indisunique OR x.indisexclusion)
   AND t.relname NOT IN ('schema_migrations', 'token_secrets')
 GROUP BY t.relname, i.relname
"""
FOREIGN_KEYS = """
SELECT f.conname AS name, t.relname AS source, r.relname AS target,
       (SELECT array_agg(a.attname ORDER BY k.n)
          FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum)::text[]
       AS columns,
       (SELECT array_agg(a.attname ORDER BY k.n)
          FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum)::text[]
       AS targets
  FROM pg_constraint f
  JOIN pg_class t ON t.oid = f.conrelid
  JOIN pg_class r ON r.oid = f.confrelid
 WHERE f.contype = 'f'
"""


async def kinds(owner: "Connection") -> dict[str, str]:
    return {row["name"]: row["kind"] for row in await owner.fetch(TABLES)}


async def test_migrations_apply_once(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)

    first = await migrate(connection)
    second = await migrate(connection)

    await connection.close()
    assert first == [migration.name for migration in read()]
    assert second == []


async def test_runners_at_once_wait_for_each_other(empty_database: str) -> None:
    connections = [await asyncpg.connect(empty_database) for _ in range(4)]

    applied = await asyncio.gather(*(migrate(connection) for connection in connections))

    for connection in connections:
        await connection.close()
    assert sorted(map(len, applied)) == [0, 0, 0, len(read())]


async def test_a_migration_that_changed_after_it_was_applied_is_refused(
    tmp_path: Path, owner: "Connection"
) -> None:
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    changed = tmp_path / "migrations" / f"{read()[0].name}.sql"
    changed.write_text(changed.read_text() + "-- A word more.\n")

    with pytest.raises(MigrationError, match="has changed"):
        await migrate(owner, tmp_path / "migrations")


async def test_a_migration_that_is_gone_or_late_is_refused(
    tmp_path: Path, owner: "Connection"
) -> None:
    with pytest.raises(MigrationError, match="not among these files"):
        await migrate(owner, tmp_path)

    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "migrations" / "0000_late.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="comes before"):
        await migrate(owner, tmp_path / "migrations")


async def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, owner: "Connection") -> None:
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    broken = tmp_path / "migrations" / "9999_broken.sql"
    broken.write_text("CREATE TABLE half (n int); SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(owner, tmp_path / "migrations")

    assert await owner.fetchval("SELECT to_regclass('half') IS NULL")
    assert await owner.fetchval("SELECT current_user") == "postgres"
    broken.write_text("CREATE TABLE whole (n int)")
    assert await migrate(owner, tmp_path / "migrations") == ["9999_broken"]


async def test_the_roles_can_do_no_more_than_they_must(owner: "Connection") -> None:
    roles = await owner.fetch(
        "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles"
        " WHERE rolname IN ('usage_owner', 'usage_app', 'usage_service')"
    )
    memberships = await owner.fetch(
        "SELECT roleid::regrole::text AS role, member::regrole::text FROM pg_auth_members"
        " WHERE member::regrole::text LIKE 'usage%'"
    )

    assert {role["rolname"]: role["rolcanlogin"] for role in roles} == {
        "usage_owner": False,
        "usage_app": False,
        "usage_service": True,
    }
    rights = ("rolsuper", "rolbypassrls", "rolcreaterole")
    assert not any(role[right] for role in roles for right in rights)
    assert [tuple(row.values()) for row in memberships] == [("usage_app", "usage_service")]


async def test_every_table_says_its_kind_and_is_walled(owner: "Connection") -> None:
    tables = await owner.fetch(TABLES)

    assert len(tables) > 30
    for table in tables:
        assert table["kind"] in PREFIX, table
        assert table["enabled"], table
        assert table["forced"], table
        assert table["policies"] == 1, table
        assert table["owner"] == "usage_owner", table


async def test_every_key_begins_as_its_kind_demands(owner: "Connection") -> None:
    kind = await kinds(owner)
    keys = await owner.fetch(KEYS)

    assert {key["table"] for key in keys} == set(kind)
    for key in keys:
        prefix = PREFIX[kind[key["table"]]]
        # Exclusion constraints compare ids as text: their domain has no operators in gist.
        columns = [re.sub(r"^\((\w+)::text\)$", r"\1", column) for column in key["columns"]]
        if key["name"] not in ACROSS_TENANTS:
            assert columns[: len(prefix)] == prefix, key


async def test_the_secrets_of_tokens_are_read_by_their_function_only(
    owner: "Connection", app: "Connection"
) -> None:
    [first] = await app.fetch("SELECT token_secrets() AS secret")
    for statement in ("SELECT FROM token_secrets", "DELETE FROM token_secrets"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)

    older = "UPDATE token_secrets SET create_time = create_time - interval '1 minute'"
    await owner.execute(older)
    await rotate_token_secrets(owner)
    with pytest.raises(MigrationError, match="less than 15 s old"):
        await rotate_token_secrets(owner)
    # The new one seals only when every process has read it, and the old one stays valid.
    young = [row["secret"] for row in await app.fetch("SELECT token_secrets() AS secret")]
    await owner.execute(older)
    grown = [row["secret"] for row in await app.fetch("SELECT token_secrets() AS secret")]
    await rotate_token_secrets(owner)
    after = [row["secret"] for row in await app.fetch("SELECT token_secrets() AS secret")]

    assert young[0] == first["secret"]
    assert grown == young[::-1]
    assert (len(after), first["secret"] in after, after[0]) == (2, False, grown[0])


async def test_foreign_keys_go_only_where_they_may(owner: "Connection") -> None:
    kind = await kinds(owner)
    allowed = {
        ("catalog", "catalog"),
        ("run-time", "catalog"),
        ("run-time", "run-time"),
        ("control", "control"),
    }

    for key in await owner.fetch(FOREIGN_KEYS):
        pair = kind[key["source"]], kind[key["target"]]
        shared = PREFIX[pair[1]]
        assert key["target"] == "tenants" or pair in allowed, key
        assert key["columns"][: len(shared)] == key["targets"][: len(shared)] == shared, key


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_entries SET amount = 2",
        "DELETE FROM wallet_entries",
        "TRUNCATE wallet_entries",
        "TRUNCATE tenants CASCADE",
        "DROP TABLE wallet_entries",
        "ALTER TABLE wallet_entries DISABLE ROW LEVEL SECURITY",
        "DROP TRIGGER ledger_only_grows ON wallet_entries",
        "CREATE TABLE mine (n int)",
        "UPDATE schema_migrations SET name = ''",
    ],
)
async def test_the_service_may_not(app: "Connection", statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)


async def test_functions_that_cross_tenants_are_for_the_service_alone(owner: "Connection") -> None:
    functions = await owner.fetch(
        "SELECT p.proname, p.proconfig,"
        " has_function_privilege('usage_app', p.oid, 'EXECUTE') AS ours,"
        " has_function_privilege('public', p.oid, 'EXECUTE') AS everyones"
        " FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
    )

    assert len(functions) >= 4
    for function in functions:
        assert function["ours"], function
        assert not function["everyones"], function
        assert "search_path=public, pg_temp" in function["proconfig"], function


async def test_schema_sql_is_what_the_migrations_make(database: str, postgres_binaries):
    if postgres_binaries is not None:
        pytest.skip("another version of Postgres writes the same schema in other words")

    assert FILE.read_text() == await asyncio.to_thread(dumped, database)
