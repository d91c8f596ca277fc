"""Short words for rates that are agreed with a target."""

from decimal import Decimal
from typing import Any

from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from tests.stories.rate_words import tier
from tests.stories.sale_words import bind, plan, to
from tests.stories.words import figure, money, number
from tests.stories.world import World

CREDITS = {"usage_resource": "usageResources/credits"}
DATA = {"usage_resource": "usageResources/data"}


def agreed(
    price: str | None = None, *steps: Any, unit: dict[str, str] | None = None, **of: str
) -> quotes.NegotiatedRate:
    """Return a negotiated rate: a price, tiers, or both."""
    made = quotes.NegotiatedRate(**(CREDITS | of))
    if price is not None:
        made.rate.CopyFrom(types.Rate(value=number(price), **(unit or {"currency_code": "USD"})))
    if steps:
        made.tiers.CopyFrom(types.RateTiers(tiers=[tier(*step) for step in steps]))
    return made


async def contract(sandbox: Any, now: str = "2024-01-31") -> tuple[World, str, str]:
    """A plan at ten a credit, and an account with a contract."""
    world = await sandbox(now)
    await plan(world)
    account = await world.account("ann")
    return world, account, await bind(world, account, "deal", "CONTRACT")


async def sell(world: World, target: str, *sold: Any) -> list[Any]:
    """Anchors of a contract, each from a day, perhaps to another, at what was negotiated."""
    made = []
    for start, end, *wishes in sold:
        wish = {"negotiated_rates": wishes}
        made.append(to(target, "plan", start, end, binding="CONTRACT", **wish))
    return await world.sell(target.partition("/bindingTargets")[0], *made)


async def owed(world: World, account: str) -> list[tuple[str, Decimal, Decimal]]:
    """Whose usage, how much, for how much: the lines of the bill that say so."""
    return sorted(
        (
            one.asset,
            figure(one.overage_quantity),
            money(one.amount),
        )
        for one in await world.liable(account)
        if figure(one.overage_quantity)
    )
