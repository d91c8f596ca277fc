"""The schema keeps its own rules: three kinds of table, keys, walls between tenants."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class ForeignKey:
    name: str
    table: str
    columns: tuple[str, ...]
    target: str


@pytest.fixture
async def kinds(owner) -> dict[str, str]:
    """What the comment on each table says it is."""
    rows = await owner.fetch(
        "SELECT relname, split_part(obj_description(c.oid, 'pg_class'), ':', 1) AS kind"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'r' AND n.nspname = 'public'"
    )
    return {row["relname"]: row["kind"] for row in rows}


async def key_columns(owner, table: str) -> list[list[str]]:
    """The columns of the primary and unique constraints of a table."""
    rows = await owner.fetch(
        "SELECT (SELECT array_agg(a.attname::text ORDER BY k.n)"
        " FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, n)"
        " JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns"
        " FROM pg_constraint AS c WHERE c.conrelid = $1::regclass AND c.contype IN ('p', 'u')",
        table,
    )
    return [row["columns"] for row in rows]


async def foreign_keys(owner) -> list[ForeignKey]:
    rows = await owner.fetch(
        "SELECT c.conname, c.conrelid::regclass::text, c.confrelid::regclass::text,"
        " (SELECT array_agg(a.attname::text) FROM unnest(c.conkey) AS k (attnum)"
        " JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns"
        " FROM pg_constraint AS c WHERE c.contype = 'f'"
    )
    return [ForeignKey(row[0], row[1], tuple(row[3]), row[2]) for row in rows]


async def test_every_table_says_which_kind_it_is(kinds):
    assert {kind for kind in kinds.values()} == {"catalogue", "run-time", "control"}


async def test_keys_begin_with_the_tenant_and_at_run_time_with_the_account(owner, kinds):
    for table, kind in kinds.items():
        for columns in await key_columns(owner, table):
            if kind == "run-time":
                assert columns[:2] == ["tenant_id", "account_id"], table
            if kind == "catalogue":
                assert columns[0] == "tenant_id", table


async def test_foreign_keys_keep_to_their_side(owner, kinds):
    for key in await foreign_keys(owner):
        path = (kinds[key.table], kinds[key.target])
        if key.target == "tenants":
            continue
        assert path in {
            ("catalogue", "catalogue"),
            ("run-time", "catalogue"),
            ("run-time", "run-time"),
            ("control", "control"),
        }, key
        if path == ("run-time", "run-time"):
            assert {"tenant_id", "account_id"} <= set(key.columns), key


async def test_every_tenants_rows_are_behind_a_wall(owner, kinds):
    rows = await owner.fetch(
        "SELECT relname FROM pg_class AS c WHERE relname = ANY ($1::text[]) AND EXISTS ("
        " SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')"
        " AND NOT (relrowsecurity AND relforcerowsecurity)",
        list(kinds),
    )
    assert [row["relname"] for row in rows] == []


async def test_the_service_owns_nothing_and_cannot_change_the_ledger(owner):
    owned = await owner.fetchval(
        "SELECT count(*) FROM pg_class WHERE relowner = 'usage_app'::regrole"
    )
    rights = await owner.fetchrow(
        "SELECT has_table_privilege('usage_app', 'wallet_entries', 'UPDATE') AS change,"
        " has_table_privilege('usage_app', 'wallet_entries', 'DELETE') AS remove,"
        " has_table_privilege('usage_app', 'usage_records', 'UPDATE') AS edit"
    )

    assert owned == 0
    assert not any(rights)
