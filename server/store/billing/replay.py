"""The inputs of a replay: rated lines, and the product and selling model of each asset."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from server.domain.calendar import Period
from server.domain.ids import (
    AccountId,
    AssetId,
    ProductId,
    RatableSummaryId,
    ResourceId,
    SellingModelId,
    UnitId,
    WalletId,
)
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("billing/replay.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayLine:
    """A stored ratable line; it has no amount if it could not be rated."""

    id: RatableSummaryId
    wallet_id: WalletId
    asset_id: AssetId
    resource_id: ResourceId
    start: datetime
    origin_start: datetime
    segment_start: datetime
    dimensions: str
    overage: Decimal
    amount: Decimal | None
    unit: UnitId


@dataclass(frozen=True, slots=True)
class SoldAs:
    """The product of an asset, and the selling model it was sold under, if any."""

    product_id: ProductId
    selling_model_id: SellingModelId | None


async def rated_lines(
    tx: Transaction,
    account_id: AccountId,
    asset_id: AssetId | None,
    within: Period,
    *,
    limit: int,
) -> list[ReplayLine]:
    """Return the lines of periods that start `within` a time, oldest first."""
    args = (tx.tenant_id, account_id, asset_id, within.start, within.end, limit)
    return [
        ReplayLine(
            id=RatableSummaryId(row["ratable_summary_id"]),
            wallet_id=WalletId(row["wallet_id"]),
            asset_id=AssetId(row["asset_id"]),
            resource_id=ResourceId(row["usage_resource_id"]),
            start=row["start_time"],
            origin_start=row["start_time"],
            segment_start=row["segment_start_time"],
            dimensions=row["dimensions"],
            overage=row["overage_quantity"],
            amount=row["amount"],
            unit=UnitId(row["currency_code"]),
        )
        for row in await tx.fetch(SQL["rated_lines"], *args)
    ]


async def sold_as(tx: Transaction, account_id: AccountId) -> dict[AssetId, SoldAs]:
    """Return the product and the selling model of each asset of an account."""
    rows = await tx.fetch(SQL["sold_as"], tx.tenant_id, account_id)
    return {
        AssetId(row["asset_id"]): SoldAs(row["product_id"], row["selling_model_id"]) for row in rows
    }
