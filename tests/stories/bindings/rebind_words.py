"""Short words for assets that are bound to another target, and for what moves with them."""

from decimal import Decimal
from typing import Any

from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.values import enum_name
from tests.stories.words import Metered, day, figure, line
from tests.stories.world import World

CALLS = Metered(
    resource="calls", grant="100", refresh="MONTH", rate="2", max_rollovers=0, waiting_days=3
)


async def shop(
    sandbox: Any, metered: Metered = CALLS, *, start: str = "2024-01-20", binding: str = "SELF"
) -> tuple[World, str, assets.Asset]:
    """An account whose only asset has 100 calls a month and pays 2 for each more."""
    world = await sandbox(start)
    await world.product("plan", metered)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01", binding=binding))
    return world, account, asset


async def rebind(world: World, asset: assets.Asset, start: str | None, **to: Any) -> assets.Asset:
    """Bind an asset to another target from a day on."""
    request = assets.RebindAssetRequest(name=asset.name, **to)
    if start is not None:
        request.start_date.CopyFrom(day(start))
    return await world.client.assets.RebindAsset(request)


async def moves(world: World, wallet: wallets.Wallet) -> list[tuple[str, Decimal, str]]:
    """The moves out of a wallet or into it: kind, amount and day."""
    found = [(enum_name(one, "kind"), one) for one in await world.entries(wallet)]
    return [
        (kind, figure(one.amount), f"{one.effective_time.ToDatetime().date()}")
        for kind, one in found
        if kind.startswith("MOVED")
    ]


async def wallet_of(world: World, account: str, kind: str) -> wallets.Wallet:
    """The wallet of the account's only target of a kind."""
    [found] = [one for one in await world.wallets(account) if target_kind(account, one) == kind]
    return found


def target_kind(account: str, wallet: wallets.Wallet) -> str:
    """The kind of target that a wallet is of: an asset, the account or a binding target."""
    return wallet.target.removeprefix(account).strip("/").partition("/")[0] or "account"
