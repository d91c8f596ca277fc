"""Selling: the activation of a large order, and one-line orders on one server."""

import asyncio
import time
from typing import Any

from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from tests.bench.stack import Stack, world
from tests.stories.words import Metered, line
from tests.stories.world import World

LINES, CALLERS = 200, 8
PLAN = Metered(resource="sold", grant="100", refresh="MONTH", rate="0.5")
START = "2026-01-01"


async def selling(running: Stack, count_: int) -> list[dict[str, Any]]:
    """Rows for an order of 200 lines, and for so many orders of one line."""
    async with world(running) as tenant:
        await tenant.product("sold", PLAN)
        big = await _big(tenant)
        at_once = await _small(tenant, count_, at_once=True)
        in_turn = await _small(tenant, count_, at_once=False)
    return [
        _row(f"activation of an order with {LINES} lines", big * 1000, "ms", "< 2,000 ms"),
        _row("orders of one line, created and activated in one call", at_once, "orders/s", "≥ 100"),
        _row("orders of one line, created and activated in two calls", in_turn, "orders/s", "–"),
    ]


async def _big(tenant: World) -> float:
    """The seconds of the activation of a large order."""
    account = await tenant.account("big-buyer")
    made = await _order(tenant, account, [line("sold", START) for _ in range(LINES)])
    started = time.perf_counter()
    active = await _activate(tenant, made)
    took = time.perf_counter() - started
    assert len(active.assets) == LINES
    return took


async def _small(tenant: World, wanted: int, *, at_once: bool) -> float:
    """The orders that some callers create and activate in a second, each for its own account."""
    prefix = "one-call" if at_once else "two-calls"
    accounts = [await tenant.account(f"{prefix}-{number}") for number in range(CALLERS)]
    turns = iter(range(wanted))

    async def sell(account: str) -> None:
        for _ in turns:
            made = await _order(tenant, account, [line("sold", START)], activate=at_once)
            if not at_once:
                await _activate(tenant, made)

    started = time.perf_counter()
    await asyncio.gather(*map(sell, accounts))
    return wanted / (time.perf_counter() - started)


async def _order(
    tenant: World, account: str, lines: list[quotes.SaleLine], *, activate: bool = False
) -> orders.Order:
    asked = orders.Order(price_book="priceBooks/book", lines=lines)
    request = orders.CreateOrderRequest(parent=account, order=asked, activate=activate)
    return await tenant.client.orders.CreateOrder(request)


async def _activate(tenant: World, order: orders.Order) -> orders.Order:
    return await tenant.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=order.name))


def _row(what: str, value: float, unit: str, target: str) -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit, "target": target}
