"""The rates of assets over time."""

from collections.abc import Sequence
from datetime import datetime

from server.domain.ids import AccountId, AssetId, ResourceId, derive
from server.domain.selling.repricing import Repriced
from server.store.connection import Transaction
from server.store.rating.rate_documents import TERMS
from server.store.sql import load

SQL = load("selling/asset_rates.sql")

Key = tuple[AssetId, ResourceId]


async def last_starts(
    tx: Transaction, account_id: AccountId, asset_ids: Sequence[AssetId]
) -> dict[Key, datetime]:
    """Return when the last rates of each resource of some assets begin."""
    rows = await tx.fetch(SQL["last_rates"], tx.tenant_id, account_id, asset_ids)
    return {
        (AssetId(row["asset_id"]), ResourceId(row["usage_resource_id"])): row["start_time"]
        for row in rows
    }


async def change(
    tx: Transaction, account_id: AccountId, found: Sequence[Repriced], start: datetime
) -> None:
    """Let new terms apply from a time on, at which or before which the last rates begin."""
    terms = {(one.asset_id, one.resource_id): TERMS.encode(one.after) for one in found}
    keys = list(terms)
    args = (tx.tenant_id, account_id, [key[0] for key in keys], [key[1] for key in keys])
    await tx.execute(SQL["replace_terms"], *args, list(terms.values()), start)
    # Rates that begin at the same time have the new terms now; the others end there.
    ended = await tx.fetch(SQL["end_rates"], *args, start)
    following = [(AssetId(row["asset_id"]), ResourceId(row["usage_resource_id"])) for row in ended]
    await tx.execute(
        SQL["add_rates"],
        tx.tenant_id,
        account_id,
        [derive(asset_id, "rate", name, start.isoformat()) for asset_id, name in following],
        [asset_id for asset_id, _ in following],
        [name for _, name in following],
        start,
        [row["end_time"] for row in ended],
        [terms[key] for key in following],
    )
