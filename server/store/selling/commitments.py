"""The anchors of commitments, and commitments that overlap."""

from collections.abc import Sequence

from server.domain.ids import AccountId, AssetId, ResourceId, WalletId
from server.domain.selling.sales import Asset
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("selling/commitments.sql")


async def add_links(tx: Transaction, account_id: AccountId, assets: Sequence[Asset]) -> None:
    """Insert the anchors of those assets that are linked commitments."""
    linked = [asset for asset in assets if asset.linked_id is not None]
    if linked:
        await tx.execute(
            SQL["add_links"],
            tx.tenant_id,
            account_id,
            [asset.id for asset in linked],
            [asset.linked_id for asset in linked],
            [asset.start_date for asset in linked],
        )


async def overlapping(
    tx: Transaction,
    account_id: AccountId,
    asset_ids: Sequence[AssetId],
    sold_ids: Sequence[AssetId],
    nested_ids: Sequence[AssetId],
) -> tuple[AssetId, AssetId, ResourceId] | None:
    """Return the first commitment that overlaps an older one, that one, and the resource.

    `sold_ids` are all assets of the order, in which a later line may be nested. Those in
    `nested_ids` may overlap, unless both are commitments to spend.
    """
    if not asset_ids:
        return None
    args = (tx.tenant_id, account_id, asset_ids, sold_ids, nested_ids)
    row = await tx.fetchrow(SQL["overlapping"], *args)
    if row is None:
        return None
    found, other = AssetId(row["asset_id"]), AssetId(row["other_id"])
    return found, other, ResourceId(row["usage_resource_id"])


async def beside_spend(
    tx: Transaction, account_id: AccountId, wallet_ids: Sequence[WalletId]
) -> ResourceId | None:
    """Return the resource of a wallet of spend that something else uses or adds to, or None."""
    found = await tx.fetchval(SQL["beside_spend"], tx.tenant_id, account_id, wallet_ids)
    return None if found is None else ResourceId(found)
