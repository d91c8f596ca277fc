"""Rate snapshots: how long they take to make, what they hold, what a refresh does to the loop."""

import asyncio
import gc
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import psutil

from server.app import tune_garbage_collector
from server.domain.ids import TenantId
from server.domain.rating.rate_index import CatalogRates, Question
from server.runtime.rate_snapshots import RateSnapshots
from server.store.pool import open_pool
from server.store.rating.rate_snapshots import compiled, rows_of_tenant
from server.store.transaction import read, transact
from tests.bench.stack import Stack
from tests.logins import as_service

TICK_SECONDS = 0.001
REFRESHES = 5
FIRST, SPAN = date(2023, 1, 1), timedelta(days=100)

# An entry of the first card, so that all of it is another for a snapshot.
CHANGE = """
    WITH bumped AS (UPDATE tenants SET catalog_revision = catalog_revision + 1
                     WHERE tenant_id = current_setting('usage.tenant_id')::uuid
                 RETURNING tenant_id, catalog_revision)
    UPDATE rate_card_entries AS e SET catalog_revision = b.catalog_revision
      FROM bumped AS b
     WHERE e.tenant_id = b.tenant_id AND e.rate_card_id = 'base0' AND e.entry_id = 'e0'
"""

CATALOG = (
    "INSERT INTO tenants (tenant_id, id) SELECT $1, 'snap-' || $2::integer",
    """INSERT INTO unit_classes (tenant_id, unit_class_id, kind, default_unit_id)
       SELECT $1, 'count', 'USAGE', 'each' WHERE $2::integer > 0""",
    """INSERT INTO units_of_measure (tenant_id, unit_of_measure_id, unit_class_id, scale)
       SELECT $1, 'each', 'count', 0 WHERE $2::integer > 0""",
    """INSERT INTO usage_resources (tenant_id, usage_resource_id, category, unit_class_id, state)
       SELECT $1, 'r' || n, 'USAGE', 'count', 'ACTIVE'
         FROM generate_series(0, 4 + 0 * $2::integer) AS n""",
    """INSERT INTO products (tenant_id, product_id, usage_model_type, state)
       SELECT $1, 'p' || n, 'ANCHOR', 'ACTIVE' FROM generate_series(0, $2::integer / 20) AS n""",
    """INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id,
                                            usage_resource_id, state)
       SELECT $1, 'p' || n, 'r' || m, 'r' || m, 'ACTIVE'
         FROM generate_series(0, $2::integer / 20) AS n, generate_series(0, 4) AS m""",
    """INSERT INTO rate_cards (tenant_id, rate_card_id, type)
       SELECT $1, kind || n, upper(kind)
         FROM generate_series(0, $2::integer / 1200) AS n, unnest(ARRAY['base', 'tier']) AS kind""",
    """INSERT INTO price_books (tenant_id, price_book_id)
       SELECT $1, 'b' || n FROM generate_series(0, $2::integer / 1200) AS n""",
    """INSERT INTO price_book_rate_cards (tenant_id, price_book_id, rate_card_id, type)
       SELECT $1, 'b' || n, kind || n, upper(kind)
         FROM generate_series(0, $2::integer / 1200) AS n, unnest(ARRAY['base', 'tier']) AS kind""",
    # Every tenth is a tier entry; a product's resource has two spans of days on each card.
    """INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id,
                                      usage_resource_id, rate_unit_id, rate_value, start_date,
                                      end_date, state)
       SELECT $1, (CASE WHEN n % 10 = 9 THEN 'tier' ELSE 'base' END) || n / 1200, 'e' || n,
              'p' || n / 20, 'r' || n % 5, 'USD', CASE WHEN n % 10 = 9 THEN NULL ELSE 1 + n END,
              date '2023-01-01' + (n % 20) * 100, date '2023-01-01' + (n % 20) * 100 + 100, 'ACTIVE'
         FROM generate_series(0, $2::integer - 1) AS n""",
    """INSERT INTO rate_tiers (tenant_id, rate_card_id, entry_id, position, lower, upper, kind,
                               value)
       SELECT $1, 'tier' || n / 1200, 'e' || n, t, t, t + 1, 'PERCENTAGE', t
         FROM generate_series(0, $2::integer - 1) AS n, generate_series(0, 24) AS t
        WHERE n % 10 = 9""",
)


async def snapshots(stack: Stack, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Rows for catalogs of these sizes; one entry in ten has tiers, 25 of them."""
    tune_garbage_collector()  # as the server does
    rows: list[dict[str, Any]] = []
    pool = await open_pool(as_service(stack.dsn), size=3)
    try:
        for size in sizes:
            tenant_id = await _fill(stack, size)
            rows += await _measure(pool, tenant_id, size)
    finally:
        await pool.close()
    return rows


async def _fill(stack: Stack, size: int) -> TenantId:
    tenant_id = TenantId(uuid4())
    superuser = await asyncpg.connect(stack.dsn)
    try:
        for statement in CATALOG:
            await superuser.execute(statement, tenant_id, size, timeout=120)
        await superuser.execute("ANALYZE rate_card_entries; ANALYZE rate_tiers")
    finally:
        await superuser.close()
    return tenant_id


async def _measure(pool: asyncpg.Pool, tenant_id: TenantId, size: int) -> list[dict[str, Any]]:
    loaded = await read(pool, tenant_id, rows_of_tenant, seconds=30, snapshot=True)
    raw = loaded.rows
    tiers = len(raw[2])
    gc.collect()
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    made = compiled(raw)
    took = time.perf_counter() - started
    grown = psutil.Process().memory_info().rss - before
    each_find = _look_up(made, size)
    del made, raw, loaded
    gc.collect()
    kept = RateSnapshots(pool)
    await kept.of(tenant_id, fresh=True)
    idle = await _lateness(asyncio.sleep(0.5))
    started = time.perf_counter()
    late = await _lateness(_refreshed(pool, kept, tenant_id))
    each = (time.perf_counter() - started) / REFRESHES
    about = f"{size:,} entries, {tiers:,} tiers"
    return [
        _row(f"compiling {about}", took * 1000, "ms", "< 100 for 1,200" if size <= 1200 else "–"),
        _row("a look-up in it, seen before", each_find * 1e6, "µs", "1.3 × that in 1,200"),
        _row(f"refreshing {about}, one entry changed", each * 1000, "ms", "–"),
        _row(f"the loop held up meanwhile, p99 of {len(late):,}", _p(late, 0.99), "ms", "≤ 20"),
        _row("… at most", late[-1], "ms", "–"),
        _row("… while idle, p99", _p(idle, 0.99), "ms", "–"),
        _row("memory of a snapshot, for 100,000 entries", grown / 2**20 * 1e5 / size, "MiB", "–"),
    ]


def _look_up(made: CatalogRates, size: int) -> float:
    """Seconds a look-up takes, in the best of some rounds; as many are asked whatever the size."""
    every = max(1, size // 1_000)
    questions = [
        Question(f"b{n // 1200}", f"p{n // 20}", f"r{n % 5}", "USD", FIRST + (n % 20) * SPAN)
        for n in range(0, size, every)
        if n % 10 != 9
    ]
    for question in questions:
        made.find(question)
    rounds = []
    for _ in range(20):
        started = time.perf_counter()
        for question in questions:
            made.find(question)
        rounds.append((time.perf_counter() - started) / len(questions))
    return min(rounds)


async def _refreshed(pool: asyncpg.Pool, kept: RateSnapshots, tenant_id: TenantId) -> None:
    """A change of one entry, and its card read and compiled anew, a few times."""
    for _ in range(REFRESHES):
        before = (await kept.of(tenant_id, fresh=False)).revision
        await transact(pool, tenant_id, lambda tx: tx.execute(CHANGE))
        after = (await kept.of(tenant_id, fresh=True)).revision
        assert after > before, (before, after)


async def _lateness(work: Any) -> list[float]:
    """By how many milliseconds the loop was late for a tick while the work was done, sorted."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late.append(max(0.0, time.perf_counter() - due) * 1000)

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    return sorted(late)


def _p(values: list[float], share: float) -> float:
    return values[int(len(values) * share)]


def _row(what: str, value: float, unit: str, target: str) -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit, "target": target}
