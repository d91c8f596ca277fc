"""Short words for previews: what is asked, what is said, and what it comes to."""

from decimal import Decimal

import asyncpg
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import preview_service_pb2 as pb

from tests.stories.words import figure, moment, number, stamp, usage
from tests.stories.world import World


def lines(asset: assets.Asset, resource: str, *used: tuple[str, object]) -> list[pb.PreviewLine]:
    return [
        pb.PreviewLine(
            asset=asset.name,
            usage_resource=f"usageResources/{resource}",
            quantity=number(quantity),
            usage_time=stamp(moment(at)),
        )
        for at, quantity in used
    ]


async def preview(world: World, account: str, *asked: pb.PreviewLine) -> list[pb.UsagePreview]:
    request = pb.PreviewUsageRequest(parent=account, lines=asked)
    return list((await world.client.previews.PreviewUsage(request)).previews)


async def record_all(world: World, asked: list[pb.PreviewLine]) -> list[consumption.RecordOutcome]:
    """Record what was previewed, line by line."""
    outcomes = []
    for one in asked:
        at = one.usage_time.ToDatetime().isoformat()
        given = usage(assets.Asset(name=one.asset), "x", moment(at), one.quantity.value)
        given.usage_resource = one.usage_resource
        [outcome] = await world.record([given])
        assert outcome.code in (1, 4), outcome
        outcomes.append(outcome)
    return outcomes


def amounts(found: list[pb.UsagePreview], place: int = 0) -> list[Decimal]:
    return [figure(one.wallets[place].amount) for one in found]


def reason(one: pb.UsagePreview) -> str:
    return str(one.status)


def said(found: pb.UsagePreview) -> tuple[Decimal, ...]:
    """Return the usage, overage, drawdown and cost that a line was previewed with."""
    [wallet] = found.wallets
    drawn = sum((figure(one.quantity) for one in wallet.drawn_from), Decimal(0))
    rest = (wallet.used_quantity, wallet.overage_quantity, wallet.amount)
    used, overage, amount = map(figure, rest)
    return used, overage, drawn, amount


async def charged(world: World, account: str) -> tuple[Decimal, ...]:
    """Return the usage, overage and drawdown, and the amount before it is rounded."""
    found = await world.liable(account)
    used = sum((figure(one.used_quantity) for one in found), Decimal(0))
    overage = sum((figure(one.overage_quantity) for one in found), Decimal(0))
    exact = sum((figure(one.exact_amount) for one in found), Decimal(0))
    return used, overage, used - overage, exact


async def rows(database: str, world: World) -> dict[str, tuple[int, str]]:
    """Return the number of rows of an account in each table, and a digest of them."""
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetch(
            "SELECT DISTINCT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'account_id' ORDER BY 1"
        )
        found = {}
        for (table,) in tables:
            query = (
                "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '')"
                f' FROM "{table}" AS t'
            )
            found[table] = tuple(await connection.fetchrow(query))
        return found
    finally:
        await connection.close()
