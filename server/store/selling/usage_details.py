"""Resources of assets on a day, with the lines, rates and entitlements of their sales."""

from dataclasses import dataclass
from datetime import date, datetime

from server.domain.ids import (
    AccountId,
    AssetId,
    EntitlementAccountId,
    OrderId,
    ResourceId,
    WalletId,
)
from server.domain.selling.targets import TargetKind
from server.domain.selling.usage_details import HeldResource
from server.store.connection import Transaction
from server.store.rating.rate_documents import TERMS
from server.store.selling import assets, entitlements
from server.store.selling.quotes import lines_from_rows
from server.store.sql import load

SQL = load("selling/usage_details.sql")

Key = tuple[str, int]
"""The position of a detail in a list: its resource and the number of its asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldQuery:
    """The resources of an asset, or of all assets that share the wallets of a target, on a day.

    `midnight` is the start of the day.
    """

    account_id: AccountId
    of: AssetId | EntitlementAccountId
    is_target: bool
    day: date
    midnight: datetime
    resource_id: ResourceId | None = None


async def list_held(
    tx: Transaction, query: HeldQuery, *, after: Key | None, limit: int
) -> list[HeldResource]:
    """Return resources of assets by resource and number, after the last one seen."""
    account_id = query.account_id
    keys = await tx.fetch(
        SQL["target_keys"] if query.is_target else SQL["asset_keys"],
        tx.tenant_id,
        account_id,
        query.of,
        query.day,
        query.resource_id,
        *(after or ("", 0)),
        limit,
    )
    asset_ids = [row["asset_id"] for row in keys]
    resource_ids = [row["usage_resource_id"] for row in keys]
    rows = await tx.fetch(
        SQL["held"], tx.tenant_id, account_id, asset_ids, resource_ids, query.midnight
    )
    distinct = sorted(set(asset_ids))
    lines = lines_from_rows(
        await tx.fetch(SQL["lines_in_force"], tx.tenant_id, account_id, distinct)
    )
    sold = await entitlements.of_assets(tx, account_id, distinct)
    return [
        HeldResource(
            asset_id=AssetId(row["asset_id"]),
            number=row["number"],
            resource_id=ResourceId(row["usage_resource_id"]),
            wallet_id=WalletId(row["wallet_id"]),
            is_shared=row["is_shared"],
            order_id=OrderId(row["order_id"]),
            position=row["position"],
            line=lines[row["asset_id"]][0],
            policies=assets.POLICIES.decode(row["policies"]),
            anchor_id=None if row["anchor_id"] is None else AssetId(row["anchor_id"]),
            terms=None if row["terms"] is None else TERMS.decode(row["terms"]),
            entitlements=tuple(sold.get((row["asset_id"], row["usage_resource_id"]), ())),
            bound=None
            if row["bound_kind"] is None
            else (TargetKind(row["bound_kind"]), row["bound_id"]),
        )
        for row in rows
    ]
