"""Short words for what is sold onto a target or an anchor: packs, commitments and their targets."""

from typing import Any

from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import day, line, number
from tests.stories.world import World

PACKS = (
    ("eight", "8", "2024-01-15", "2024-03-16"),
    ("nine", "9", "2024-01-15", "2024-04-01"),
    ("seven", "7", "2024-02-01", "2024-05-01"),
    ("six", "6", "2024-06-01", "2024-09-01"),
)


def to(target: str, product: str, start: str, end: str | None = None, **more: Any) -> Any:
    """A line that is bound to a target."""
    made = quotes.SaleLine(
        product=f"products/{product}",
        quantity=number(1),
        start_date=day(start),
        binding_target=target,
        **more,
    )
    if end is not None:
        made.end_date.CopyFrom(day(end))
    return made


async def bind(world: World, account: str, target: str, kind: str) -> str:
    """Make a target; the answer is its name."""
    made = await world.client.accounts.CreateBindingTarget(
        accounts.CreateBindingTargetRequest(
            parent=account, binding_target_id=target, binding_target={"kind": kind}
        )
    )
    return made.name


async def plan(world: World, price: str = "10", grant: str | None = None) -> None:
    """A plan that sells one resource, called credits, for money."""
    await set_up(world, described("plan", {}, Credits(price=price, grant=grant), category="USAGE"))


def linked(product: str, start: str, asset: Any, **more: Any) -> quotes.SaleLine:
    """A line of a commitment to an anchor."""
    return quotes.SaleLine(
        product=f"products/{product}",
        quantity=number(1),
        start_date=day(start),
        linked_asset=asset.name,
        **more,
    )


async def platform(world: World, policy: str | None) -> tuple[str, Any]:
    """X13, X15: minutes at 5 tokens, terabytes at 10; 10,000 granted, 25,000 committed at −10 %."""
    costs = {"minutes": "5", "storage": "10"}
    await set_up(world, described("plan", costs, Credits(price="0.50", grant="10000")))
    await set_up(world, commitment("commit", "credits", "25000", discount="10", policy=policy))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))
    return account, asset
