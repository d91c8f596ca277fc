"""The writes of an asset that is bound to another target: its resources, entitlements and usage."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from server.domain.ids import AccountId, AssetId, WalletId
from server.domain.selling.rebinding import MovedResource
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("selling/rebinding.sql")


async def find_chained(
    tx: Transaction, account_id: AccountId, old: Iterable[WalletId], new: Iterable[WalletId]
) -> WalletId | None:
    """Return one of the old wallets that grants moved to, or of the new ones that they left."""
    found = await tx.fetchval(SQL["chained"], tx.tenant_id, account_id, sorted(old), sorted(new))
    return None if found is None else WalletId(found)


async def move(
    tx: Transaction,
    account_id: AccountId,
    asset_id: AssetId,
    moved: Sequence[MovedResource],
    at: datetime,
) -> None:
    """Bind the resources of an asset to other wallets from a time on; the old ones are locked."""
    args = (tx.tenant_id, account_id)
    await tx.execute(
        SQL["move_resources"],
        *args,
        asset_id,
        [one.resource_id for one in moved],
        [one.wallet_id for one in moved],
        at,
        [one.moved_time for one in moved],
    )
    entitlements = [each for one in moved for each in one.entitlements]
    await tx.execute(
        SQL["move_entitlements"],
        *args,
        [each.id for each in entitlements],
        [each.wallet_id for each in entitlements],
        [each.first_index for each in entitlements],
        at,
    )


async def move_usage(
    tx: Transaction,
    account_id: AccountId,
    asset_id: AssetId,
    moved: Iterable[MovedResource],
    since: datetime,
) -> None:
    """Move the usage of an asset since a time to its new wallets, whose periods exist."""
    pairs = [(one.former_id, one.wallet_id) for one in moved]
    former, now = [former for former, _ in pairs], [now for _, now in pairs]
    await tx.execute(SQL["move_cells"], tx.tenant_id, account_id, asset_id, former, now, since)
