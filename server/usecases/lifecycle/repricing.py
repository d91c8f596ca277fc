"""Reprice assets: move them to the rates of the catalog of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.calendar import local_midnight
from server.domain.errors import InvalidArgument
from server.domain.ids import (
    AccountId,
    AssetId,
    PriceBookId,
    ProductId,
    RepriceRunId,
    ResourceId,
    WalletId,
)
from server.domain.selling.rebinding import wallets_of
from server.domain.selling.repricing import (
    Repriced,
    RepriceOutcome,
    check_day,
    check_last,
    check_linked,
    check_terms,
    repriced,
    repriced_changes,
)
from server.domain.selling.sales import Asset, RateBasis
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.rating.rates import PRICE_BOOK
from server.store.selling import asset_changes, asset_rates, assets, orders
from server.store.selling.assets import AssetFilter
from server.usecases.lifecycle import rate_changes
from server.usecases.lifecycle.sold_catalogs import SoldCatalogs

MOST_ASSETS = 100
"""The assets of one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepriceAssets:
    """The assets of an account, all if none is named, and the day of the catalog.

    `price_book_id` is that of the new rates; only assets that were sold `sold_by` a book are
    chosen. `run_id` is the run that does it.
    """

    account_id: AccountId
    asset_ids: tuple[AssetId, ...] = ()
    product_id: ProductId | None = None
    price_book_id: PriceBookId | None = None
    sold_by: PriceBookId | None = None
    day: date
    reason: str = ""
    run_id: RepriceRunId | None = None
    most_assets: int = MOST_ASSETS


@dataclass(frozen=True, slots=True)
class RepricePlan:
    """The chosen assets of an account, what becomes of them, and when the new rates begin."""

    chosen: Sequence[Asset]
    found: Sequence[Repriced]
    start: datetime

    @property
    def changed(self) -> list[Repriced]:
        """The resources with new rates."""
        return [one for one in self.found if one.outcome is RepriceOutcome.REPRICED]

    @property
    def wallets(self) -> list[WalletId]:
        """The wallets of resources with new rates, in order."""
        return _wallets(self.chosen, self.changed)


async def reprice_assets(tx: Transaction, command: RepriceAssets) -> list[Repriced]:
    """Give assets the rates of the catalog of a day, from that day on.

    Raises the errors of `plan_repricing`.
    """
    plan = await plan_repricing(tx, command)
    await take_effect(tx, command, plan)
    return list(plan.found)


async def plan_repricing(tx: Transaction, command: RepriceAssets) -> RepricePlan:
    """Lock the account, and return what becomes of its assets; nothing is changed yet.

    Raises ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND, PRICE_BOOK_NOT_FOUND, INTERVAL_INVALID,
    TOO_MANY_ITEMS, COMMITMENT_UNLINKED, REPRICED_LATER, RATE_NEGATIVE, TIERS_INVALID,
    PROCEDURE_NOT_IN_FORCE.
    """
    account_id = command.account_id
    # Sales and other acts on assets of the account wait, as for an activation.
    buyer = await orders.lock_buyer(tx, account_id)
    if command.price_book_id is not None:
        await records.get(tx, PRICE_BOOK, command.price_book_id)
    start = local_midnight(buyer.zone, command.day)
    chosen = await _chosen(tx, command, start)
    last = await asset_rates.last_starts(tx, account_id, [asset.id for asset in chosen])
    catalogs = SoldCatalogs(tx, account_id, command.price_book_id)
    found: list[Repriced] = []
    for asset in chosen:
        catalog = await catalogs.of(asset)
        resources = repriced(asset, catalog.on(command.day, _units(asset)))
        # The dated rates of an asset that follows the catalog are not in the way.
        for one in resources if asset.rate_basis is RateBasis.FROZEN else ():
            check_last(account_id, asset.id, last.get((asset.id, one.resource_id)), start)
        check_terms(asset, resources)
        found += resources
    return RepricePlan(chosen, found, start)


async def take_effect(tx: Transaction, command: RepriceAssets, plan: RepricePlan) -> None:
    """Change the rates of a plan, and keep the history of each asset."""
    if plan.changed:
        await _change_rates(tx, plan)
        await _keep_history(tx, command, plan.changed)


async def _chosen(tx: Transaction, command: RepriceAssets, start: datetime) -> list[Asset]:
    """Return the assets to reprice, oldest first."""
    account_id = command.account_id
    if command.asset_ids:
        named = [
            await assets.get(tx, account_id, key, start) for key in dict.fromkeys(command.asset_ids)
        ]
        for index, asset in enumerate(named):
            check_day(asset, command.day, f"assets[{index}]")
            check_linked(asset)
        wanted = command.product_id
        return sorted(
            (asset for asset in named if wanted in (None, asset.product_id)),
            key=lambda asset: asset.number,
        )
    only = AssetFilter(
        product_id=command.product_id, day=command.day, price_book_id=command.sold_by
    )
    most = command.most_assets
    found = await assets.list_assets(tx, account_id, only, after=None, limit=most + 1, at=start)
    if len(found) > most:
        text = f"more than {most} assets are sold on that day; choose a product, or name some of"
        text += " them in RepriceAssets"
        raise InvalidArgument.at("assets", "TOO_MANY_ITEMS", text, limit=str(most))
    return found


def _units(asset: Asset) -> dict[ResourceId, str]:
    """Return the currency or the token of each resource that an asset is rated in."""
    return {
        resource.resource_id: resource.terms.unit
        for resource in asset.resources
        if resource.terms is not None
    }


async def _change_rates(tx: Transaction, plan: RepricePlan) -> None:
    """Change the rates, and mark the final periods in which they apply, to be corrected."""
    account_id, changed, start = plan.chosen[0].account_id, plan.changed, plan.start
    firsts = await rate_changes.mark_final(tx, account_id, plan.wallets, start)
    await asset_rates.change(tx, account_id, changed, start)
    for wallet_id in _wallets(plan.chosen, [one for one in changed if one.after.due]):
        since = (start, firsts.get(wallet_id))
        of = {one.asset_id for one in changed}
        await rate_changes.add_standing(tx, account_id, wallet_id, since, of)
    await orders.bump_rates(tx, account_id)


def _wallets(chosen: Sequence[Asset], changed: Sequence[Repriced]) -> list[WalletId]:
    """Return the wallets of resources that have new rates, in order.

    An asset that was bound to another target has one before and one after.
    """
    held = {
        (asset.id, resource.resource_id): wallets_of(resource)
        for asset in chosen
        for resource in asset.resources
    }
    found = (held[one.asset_id, one.resource_id] for one in changed)
    return sorted({wallet_id for both in found for wallet_id in both})


async def _keep_history(
    tx: Transaction, command: RepriceAssets, changed: Sequence[Repriced]
) -> None:
    changes = repriced_changes(
        changed,
        day=command.day,
        act_time=await tenants.now(tx),
        reason=command.reason,
        run_id=command.run_id,
    )
    await asset_changes.add(tx, command.account_id, changes)
