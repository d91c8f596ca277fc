"""Validating a whole catalog: how long a run takes, and what its worker holds in memory."""

import asyncio
import time
from typing import Any

from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import validation_service_pb2 as rpc

from tests.bench.stack import Stack, fill, world
from tests.stories.words import Metered

CATALOG = (
    """INSERT INTO products (tenant_id, product_id, usage_model_type, state)
       SELECT $1, 'v' || n, 'ANCHOR', 'ACTIVE' FROM generate_series(1, $2::integer) AS n""",
    """INSERT INTO usage_resources (tenant_id, usage_resource_id, category, unit_class_id, state)
       SELECT $1, 'v' || m, 'USAGE', 'looks-class', 'ACTIVE'
         FROM generate_series(1, 5 + $2::integer * 0) AS m""",
    """INSERT INTO product_usage_resources (tenant_id, product_id, product_usage_resource_id,
                                            usage_resource_id, state)
       SELECT $1, 'v' || n, 'v' || m, 'v' || m, 'ACTIVE'
         FROM generate_series(1, $2::integer) AS n, generate_series(1, 5) AS m""",
    """INSERT INTO rate_card_entries (tenant_id, rate_card_id, entry_id, product_id,
                                      usage_resource_id, rate_unit_id, rate_value, start_date,
                                      end_date, state)
       SELECT $1, 'base', format('v%s-%s-%s', n, m, k), 'v' || n, 'v' || m, 'USD', 1,
              date '2023-01-01' + k * 400, date '2023-01-01' + k * 400 + 400, 'ACTIVE'
         FROM generate_series(1, $2::integer) AS n, generate_series(1, 5) AS m,
              generate_series(0, 2) AS k""",
)


async def validation(stack: Stack, products: int) -> list[dict[str, Any]]:
    """One run over so many products of five resources with three entries each."""
    async with world(stack) as tenant:
        tenant.has_book = True  # the other benchmarks made it
        await tenant.product("looks", Metered(resource="looks", grant="100", rate="2.5"))
        await fill(stack, CATALOG, products)
        idle = _mebibytes(stack)
        started = time.perf_counter()
        run = await tenant.client.validation.ValidateCatalog(rpc.ValidateCatalogRequest())
        most = idle
        while run.state == access.Run.RUNNING:
            await asyncio.sleep(0.1)
            most = max(most, _mebibytes(stack))
            run = await tenant.client.access.GetRun(access.GetRunRequest(name=run.name))
        seconds = time.perf_counter() - started
    assert run.done_counts["products_done"] >= products, run
    return [
        {
            "what": f"validating {products:,} products × 5 resources × 3 entries",
            "value": seconds,
            "unit": "s",
            "target": "< 60 for 2,000",
        },
        {
            "what": "the worker's memory while it does",
            "value": most,
            "unit": "MiB",
            "target": "< 300",
        },
    ]


def _mebibytes(stack: Stack) -> float:
    return float(stack.worker.memory_info().rss) / 2**20
