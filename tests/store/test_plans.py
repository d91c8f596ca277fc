"""No query reads a run-time table from end to end: each finds its rows by tenant and account."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from server.store import sql
from tests.logins import as_service
from tests.store.plan_nodes import condition, run_time_nodes

FOLDER = Path(sql.__file__).parent
QUERIES = [
    (str(path.relative_to(FOLDER)), name, text)
    for path in sorted(FOLDER.rglob("*.sql"))
    for name, text in sql.load(str(path.relative_to(FOLDER))).items()
]
FORBIDDEN = (
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    " SET plan_cache_mode = force_generic_plan"
)
ORDERED = {"list_liable_of_all"}
SOME = {"assets", "asset_resources", "rating_periods", "usage_records"}
# Two tenants of ten thousand accounts each, as far as the planner has to know.
FILLED = """
CREATE TEMP TABLE filled AS
SELECT md5(n % 2 || 't')::uuid AS tenant_id, 'a' || n AS account_id, md5(n || 'x')::uuid AS id,
       '2024-01-01'::timestamptz + n * interval '1 hour' AS at
  FROM generate_series(1, 20000) AS n;
INSERT INTO assets (tenant_id, account_id, asset_id, line_version, number, product_id, quantity,
                    start_date)
SELECT DISTINCT tenant_id, account_id, id, 1, 1, 'p', 1, '2024-01-01'::date FROM filled;
INSERT INTO asset_resources (tenant_id, account_id, asset_id, usage_resource_id, wallet_id, overage,
                             start_time, policies, is_fixed)
SELECT DISTINCT tenant_id, account_id, id, 'r', id, 'CHARGE', at, '{}'::jsonb, false FROM filled;
INSERT INTO rating_periods (tenant_id, account_id, wallet_id, start_time, end_time, freeze_time)
SELECT DISTINCT tenant_id, account_id, id, at, at + interval '1 day', at FROM filled;
INSERT INTO usage_records (tenant_id, account_id, record_id, usage_summary_id, asset_id,
                           usage_resource_id, quantity, unit_of_measure_id, counted_quantity,
                           usage_time, content_hash)
SELECT tenant_id, account_id, row_number() OVER (), id, id, 'r', 1, 'u', 1, at, '' FROM filled;
"""
COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@pytest.fixture(scope="module")
async def planner(story_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the service has it, to a database that these tests only ask for plans."""
    connection = await asyncpg.connect(as_service(story_database))
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def run_time(planner) -> set[str]:
    rows = await planner.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r'"
        " AND obj_description(oid, 'pg_class') LIKE 'run-time:%'"
    )
    return {row["relname"] for row in rows}


@pytest.mark.parametrize(
    ("file", "name", "query"), QUERIES, ids=[f"{f}:{n}" for f, n, _ in QUERIES]
)
async def test_every_query_finds_its_rows_by_an_index(planner, run_time, file, name, query):
    if not query.split("--")[-1].strip() or not any(word in query for word in COMMANDS):
        pytest.skip("not a query that is planned")
    await planner.execute(f"SELECT set_config('usage.tenant_id', '{uuid4()}', false)")
    # Empty tables are always read from end to end, unless that is forbidden; what is left of it
    # then has no index to go by. Plans are those that serve any value.
    await planner.execute(FORBIDDEN)
    # The store itself forbids sorts before it asks for a page in order.
    await planner.execute(f"SET enable_sort = {'off' if name in ORDERED else 'on'}")

    for node in await run_time_nodes(planner, query, run_time):
        assert node["Node Type"] != "Seq Scan", (file, name, node["Relation Name"])
        assert "account_id" in condition(node) or "unnest" in query, (file, name, node)


async def test_keys_that_come_as_lists_are_looked_up_one_by_one(owner, app, run_time):
    """Joined to a list of keys, a table that is not small is not read for the whole tenant."""
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(FILLED)
    await owner.execute("ANALYZE")
    await app.execute(f"SELECT set_config('usage.tenant_id', '{uuid4()}', false)")
    await app.execute("SET plan_cache_mode = force_generic_plan")
    lists = [q for q in QUERIES if "FROM unnest" in q[2] and "INSERT" not in q[2]]
    for file, name, query in lists:
        for node in await run_time_nodes(app, query, run_time & SOME):
            assert "account_id" in condition(node), (file, name, node)
