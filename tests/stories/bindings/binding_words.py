"""Short words for what is bound to what: lines bound to lines, targets, and what a wallet is of."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import wallet_service_pb2 as wallets

from tests.stories.words import day, figure
from tests.stories.world import World


def unbound(product: str, start: str, end: str | None = None, **more: Any) -> quotes.SaleLine:
    """A line that names no binding, but for the fields that are given."""
    made = quotes.SaleLine(product=f"products/{product}", start_date=day(start), **more)
    if end is not None:
        made.end_date.CopyFrom(day(end))
    return made


async def balances(world: World, account: str) -> dict[str, int]:
    """The balance of each wallet, by the target that it is bound to."""
    return {one.target: int(figure(one.balance)) for one in await world.wallets(account)}


async def of_target(world: World, account: str, target: str) -> wallets.Wallet:
    """The only wallet of a target."""
    [found] = [one for one in await world.wallets(account) if one.target == target]
    return found


def days(wallet: wallets.Wallet) -> tuple[str, str]:
    """The first day of service of a wallet's target, and the day after the last, if there is."""
    start = wallet.service_start_time.ToDatetime().date()
    has_end = wallet.HasField("service_end_time")
    return f"{start}", f"{wallet.service_end_time.ToDatetime().date()}" if has_end else ""


async def targets(world: World, account: str) -> list[str]:
    """The ids of the binding targets of an account."""
    request = accounts.ListBindingTargetsRequest(parent=account)
    listed = await world.client.accounts.ListBindingTargets(request)
    return [one.name.rpartition("/")[2] for one in listed.binding_targets]


async def all_assets(world: World, account: str) -> list[assets.Asset]:
    """All assets of an account."""
    listed = await world.client.assets.ListAssets(assets.ListAssetsRequest(parent=account))
    return list(listed.assets)


async def create_target(
    world: World, account: str, target: str = "deal", **content: Any
) -> accounts.BindingTarget:
    """Create a binding target, a contract if nothing else is said."""
    request = accounts.CreateBindingTargetRequest(
        parent=account, binding_target_id=target, binding_target={"kind": "CONTRACT"} | content
    )
    return await world.client.accounts.CreateBindingTarget(request)


async def update_target(
    world: World, target: accounts.BindingTarget, *paths: str, **content: Any
) -> accounts.BindingTarget:
    """Change fields of a binding target: those that are given, or those of the paths."""
    changed = accounts.BindingTarget(name=target.name, **content)
    mask = FieldMask(paths=paths or [path for path in content if path != "etag"])
    request = accounts.UpdateBindingTargetRequest(binding_target=changed, update_mask=mask)
    return await world.client.accounts.UpdateBindingTarget(request)


async def delete_target(world: World, target: accounts.BindingTarget, etag: str = "") -> None:
    """Delete a binding target."""
    request = accounts.DeleteBindingTargetRequest(name=target.name, etag=etag)
    await world.client.accounts.DeleteBindingTarget(request)


async def get_target(world: World, target: accounts.BindingTarget) -> accounts.BindingTarget:
    request = accounts.GetBindingTargetRequest(name=target.name)
    return await world.client.accounts.GetBindingTarget(request)
