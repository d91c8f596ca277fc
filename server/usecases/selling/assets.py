"""Assets: get and list. Activating an order creates them."""

from server.domain.ids import AccountId, AssetId
from server.domain.selling.sales import Asset
from server.store.connection import Transaction
from server.store.selling import assets, quotes
from server.store.selling.assets import AssetFilter


async def get(tx: Transaction, account_id: AccountId, asset_id: AssetId) -> Asset:
    """Return one asset with all its resources. Raises ASSET_NOT_FOUND."""
    return await assets.get(tx, account_id, asset_id)


async def list_assets(
    tx: Transaction,
    account_id: AccountId,
    only: AssetFilter,
    *,
    after: tuple[int] | None,
    limit: int,
) -> list[Asset]:
    """Return an account's assets, oldest first. Raises ACCOUNT_NOT_FOUND."""
    await quotes.get_buyer(tx, account_id)
    return await assets.list_assets(tx, account_id, only, after=after, limit=limit)
