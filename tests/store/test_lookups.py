"""Statements read a few pages however large their tables are, whatever the statistics say.

Counted in pages of 8 KiB that a statement asks for, which is the same on every machine. A table
that was never analyzed, or only when it was all but empty, is what a new or growing service has.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from server.store import sql
from server.store.billing.summary_reads import FIRST, LAST
from server.store.jobs import MOST_ATTEMPTS

TENANT = UUID(int=1)
NAMES = """
tenants jobs assets asset_resources wallets wallet_entries grants usage_records usage_summaries
rating_periods ratable_summaries liable_summaries
"""
TABLES = NAMES.split()

ONE_OF_EACH = """
INSERT INTO tenants (tenant_id, id) VALUES (md5('other')::uuid, 'other');
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time)
SELECT md5('other')::uuid, md5('other')::uuid, 'note', 0, 'ann', '{}', now();
"""

FILL = (Path(__file__).parent / "lookups.sql").read_text()
LATE = (Path(__file__).parent / "late_usage.sql").read_text()


@pytest.fixture(params=["never analyzed", "analyzed when empty", "analyzed with one row", "known"])
async def filled(request: pytest.FixtureRequest, owner: asyncpg.Connection) -> str:
    """A filled database, and what its statistics know; returns the latter."""
    await owner.execute("SET session_replication_role = replica")
    for table in TABLES:
        await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    if request.param == "analyzed with one row":
        await owner.execute(ONE_OF_EACH)
    if request.param.startswith("analyzed"):
        await owner.execute("ANALYZE")
    await owner.execute(FILL)
    if request.param == "known":
        await owner.execute("ANALYZE")
    return request.param


async def pages(app: asyncpg.Connection, query: str, *args: object) -> int:
    """Return the pages a statement asks for, by a plan for these values and one for any."""
    await app.execute(f"SELECT set_config('usage.tenant_id', '{TENANT}', false)")
    most = 0
    for mode in ("force_custom_plan", "force_generic_plan"):
        await app.execute(f"SET plan_cache_mode = {mode}")
        text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.rstrip(';')}"
        # The first run also reads what the catalogs say.
        found = [json.loads(await app.fetchval(text, *args))[0]["Plan"] for _ in range(2)][-1]
        most = max(most, found["Shared Hit Blocks"] + found["Shared Read Blocks"])
    return most


@pytest.mark.planner
async def test_statements_read_a_few_pages_whatever_the_statistics_say(owner, app, filled):
    """One test for all, because a database is filled for each kind of statistics."""
    await claims_and_writes_go_by_key(owner, app, filled)
    await a_wallet_costs_the_same_at_one_period_and_at_36(owner, app, filled)
    await a_state_costs_the_records_that_are_in_it(owner, app, filled)


MILLION = """
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time)
SELECT $1, lpad(to_hex(n), 32, '0')::uuid, 'note', 0, 'a' || n % 1000, '{}',
       now() + interval '1 day' + n * interval '1 second'
  FROM generate_series(1, 1000000) AS n
"""


async def test_a_million_open_jobs_of_which_none_is_due_cost_a_look_at_an_index(owner, app):
    """At 28698be it read them all, at every sweep of every worker: 1.2 s."""
    work = sql.load("jobs.sql")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("ALTER TABLE jobs SET (autovacuum_enabled = false)")
    await owner.execute("INSERT INTO tenants (tenant_id, id) VALUES ($1, 'one')", TENANT)
    await owner.execute(MILLION, TENANT)

    look = await pages(app, work["due_tenants"], ["note"])
    async with app.transaction():
        await app.execute(work["plan_by_index"])
        claim = await pages(app, work["claim_jobs"], TENANT, ["note"], 8, MOST_ATTEMPTS)

    assert look <= 40
    assert claim <= 120


async def claims_and_writes_go_by_key(owner, app, filled):
    work = sql.load("jobs.sql")
    recording = sql.load("consumption/recording.sql")
    summaries = sql.load("billing/summaries.sql")
    kinds = ["note"]

    found = {"due_tenants": await pages(app, work["due_tenants"], kinds)}
    async with app.transaction():
        await app.execute(work["plan_by_index"])
        claim = (work["claim_jobs"], TENANT, kinds, 8, MOST_ATTEMPTS)
        found["claim_jobs, nothing due"] = await pages(app, *claim)
        await owner.execute(
            "UPDATE jobs SET fire_time = now() - interval '1 minute', available_time = CASE"
            " WHEN account_id = 'a2' THEN now() END"
            " WHERE account_id IN ('a1', 'a2') AND end_time IS NULL"
        )
        found["claim_jobs"] = await pages(app, *claim)
    job_id = await owner.fetchval("SELECT job_id FROM jobs WHERE account_id = 'a77' LIMIT 1")
    found["lock_job"] = await pages(app, work["lock_job"], TENANT, job_id, 0)
    found["end_job"] = await pages(app, work["end_job"], TENANT, job_id, 0, "DONE", "")
    ids = await owner.fetchval(
        "SELECT array_agg(record_id) FROM (SELECT * FROM usage_records LIMIT 9) r"
    )
    found["find_records"] = await pages(app, recording["find_records"], TENANT, ["ann"] * 9, ids)
    cells = await owner.fetchval(
        "SELECT array_agg(usage_summary_id) FROM (SELECT * FROM usage_summaries"
        " WHERE account_id = 'old7' LIMIT 9) s"
    )
    zeros = [0] * 9
    args = (TENANT, "old7", cells, zeros, zeros, cells)
    found["save_drawn"] = await pages(app, summaries["save_drawn"], *args)

    # A look-up is a few pages of an index, three or four levels deep, and one of the table.
    bounds = {"find_records": 100 * 5, "save_drawn": 9 * 25, "claim_jobs": 120, "due_tenants": 40}
    over = {name: n for name, n in found.items() if n > bounds.get(name, 25)}
    assert not over, (filled, found)


async def a_wallet_costs_the_same_at_one_period_and_at_36(owner, app, filled):
    query = sql.load("settlement/wallets.sql")["wallet_states"]

    async def cost(account: str, *, owing: bool = False) -> int:
        wallet = await owner.fetchval("SELECT md5($1 || 'w')::uuid", account)
        asked = (True, [], [], None, owing)
        args = (TENANT, account, wallet, None, None, 1, False, *[None] * 4, *asked)
        return await pages(app, query, *args)

    young, old, owing = await cost("young"), await cost("old7"), await cost("old7", owing=True)
    await owner.execute(LATE)
    late, late_owing = await cost("old7"), await cost("old7", owing=True)

    # Each page that an old wallet asks for beyond a young one's is one more level of an index.
    assert old <= young + 10, (filled, young, old)
    # With the final period that late usage changes, whose cells and entries are read.
    assert late <= 3 * old, (filled, old, late)
    # What is not billed is one line, and what was booked for that period is another.
    assert owing <= old + 6, (filled, old, owing)
    assert late_owing <= late + 12, (filled, late, late_owing)


# Of each day of an old account 30 records, but in its open period one.
RECORDS = """
INSERT INTO usage_records (tenant_id, account_id, record_id, usage_summary_id, asset_id,
                           usage_resource_id, quantity, unit_of_measure_id, counted_quantity,
                           usage_time, content_hash)
SELECT s.tenant_id, s.account_id, s.usage_summary_id::text || n, s.usage_summary_id, s.asset_id,
       'r', 1, 'u', 1, s.start_time + n * interval '1 minute', ''
  FROM usage_summaries AS s
  JOIN rating_periods AS p USING (tenant_id, account_id, wallet_id),
       generate_series(1, CASE p.state WHEN 'OPEN' THEN 1 ELSE 30 END) AS n
 WHERE s.account_id = 'old8' AND p.start_time = s.period_start_time
"""


async def a_state_costs_the_records_that_are_in_it(owner, app, filled):
    reads = sql.load("consumption/usage_records.sql")
    await owner.execute(RECORDS)
    if filled == "known":
        await owner.execute("ANALYZE usage_records")

    async def cost(period_state: str, *more: object) -> tuple[int, int]:
        standing = (period_state, False)
        bounds = (reads["find_state_bounds"], TENANT, "old8", *standing)
        looked = await pages(app, *bounds)
        start, end = await app.fetchrow(*bounds)
        only = (None, None, None, 51, *more, None, None, *standing)
        args = (TENANT, "old8", start, end, "", *only, "ACTIVE")
        return looked, await pages(app, reads["list_records"], *args)

    found = {
        "the few that are pending": await cost("OPEN", None),
        "those of a product": await cost("OPEN", "p"),
        "a page of the many before them": await cost("FINAL", None),
    }

    # A record is read, and looked up in three tables.
    assert max(listed for _, listed in found.values()) <= 51 * 30, (filled, found)
    # Of what is rated each cell is read, of which there are a thousand.
    assert found["the few that are pending"][0] <= 200, (filled, found)


LINES = """
INSERT INTO liable_summaries (tenant_id, account_id, liable_summary_id, entitlement_account_id,
                              wallet_id, asset_id, product_id, usage_resource_id,
                              unit_of_measure_id, start_time, end_time, origin_start_time,
                              origin_end_time, segment_start_time, is_correction, state,
                              used_quantity, overage_quantity, exact_amount, amount, currency_code,
                              create_time)
SELECT $1, 'a' || n % 1000, lpad(to_hex(n), 32, '0')::uuid, w.id, w.id, w.id, 'p', 'r', 'u',
       '2024-01-01', '2024-02-01', '2024-01-01', '2024-02-01',
       '2024-01-01'::timestamptz + n * interval '1 second', false,
       'READY_FOR_INVOICING', 1, 1, 1, 1, 'USD',
       '2024-02-04'::timestamptz + n / 100 * interval '1 second'
  FROM generate_series($2::bigint, $3::bigint) AS n,
       LATERAL (SELECT md5('w' || n % 1000)::uuid AS id) AS w
"""


async def fill_lines(owner: asyncpg.Connection, known: str) -> None:
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("ALTER TABLE liable_summaries SET (autovacuum_enabled = false)")
    await owner.execute("INSERT INTO tenants (tenant_id, id) VALUES ($1, 'one')", TENANT)
    await owner.execute(LINES, TENANT, 1, 1)
    if known == "analyzed with one row":
        await owner.execute("ANALYZE liable_summaries")
    await owner.execute(LINES, TENANT, 2, 50_000)
    if known == "known":
        await owner.execute("ANALYZE liable_summaries")


STATISTICS = pytest.mark.parametrize("known", ["never analyzed", "analyzed with one row", "known"])


@pytest.mark.planner
@STATISTICS
async def test_what_was_billed_before_costs_the_lines_of_one_asset_and_origin(owner, app, known):
    """50 of 50,000 lines are of the asset, all of January; of February there are none."""
    await fill_lines(owner, known)
    wallet_id = await owner.fetchval("SELECT md5('w5')::uuid")
    query = sql.load("billing/summaries.sql")["billed_before"]

    async def cost(month: int) -> int:
        ends = [datetime(2024, month, 1, tzinfo=UTC)]
        return await pages(app, query, TENANT, "a5", wallet_id, [wallet_id], ends)

    # A row is a page of the table; the way to it is three of the index.
    assert await cost(2) <= 60, known
    assert await cost(3) <= 6, known


@pytest.mark.planner
@STATISTICS
async def test_a_page_of_the_liable_lines_of_all_accounts_costs_its_own_lines(owner, app, known):
    """The first page, one far behind, and what was created since a poller saw the last."""
    reads = sql.load("billing/summary_reads.sql")
    await fill_lines(owner, known)
    times = await owner.fetch(
        "SELECT create_time FROM liable_summaries"
        " WHERE liable_summary_id IN (lpad(to_hex(25000), 32, '0')::uuid,"
        " lpad(to_hex(49900), 32, '0')::uuid) ORDER BY create_time"
    )
    middle, last = (row["create_time"] for row in times)

    async def cost(*after: object, **only: object) -> int:
        filters = [only.get(name) for name in ("state", "asset", "product", "resource")]
        bounds = [None, None, only.get("end", LAST)]
        args = (TENANT, None, *after, 51, *filters, *bounds)
        async with app.transaction():
            await app.execute(reads["plan_by_order"])
            return await pages(app, reads["list_liable_of_all"], *args)

    nil = UUID(int=0)
    found = {
        "the first page": await cost(FIRST, "", nil),
        "one far behind": await cost(middle, "a5", UUID(int=25_000)),
        "since the last": await cost(last, "", nil),
        "with filters": await cost(middle, "", nil, state="READY_FOR_INVOICING", product="p"),
        "an empty window": await cost(middle, "", nil, end=middle),
    }

    # A row is a page of the table and two of the index of what was superseded.
    assert max(found.values()) <= 400, (known, found)
