"""Overage policies of shared wallets."""

from collections.abc import Sequence

from server.domain.ids import AccountId, ProductId, ResourceId, WalletId
from server.domain.selling.overages import SoldOverage
from server.store.connection import Transaction
from server.store.selling.assets import POLICIES
from server.store.sql import load

SQL = load("selling/overages.sql")


async def others(
    tx: Transaction, account_id: AccountId, sold: Sequence[SoldOverage]
) -> list[SoldOverage]:
    """Return policies of stored anchors that disagree with a sale, at most one for each of its."""
    rows = await tx.fetch(
        SQL["others"],
        tx.tenant_id,
        account_id,
        [one.wallet_id for one in sold],
        [one.policy for one in sold],
        [one.start for one in sold],
        [one.end for one in sold],
    )
    found = []
    for row in rows:
        policies = POLICIES.decode(row["policies"])
        found.append(
            SoldOverage(
                wallet_id=WalletId(row["wallet_id"]),
                product_id=ProductId(row["product_id"]),
                resource_id=ResourceId(row["usage_resource_id"]),
                policy=policies.overage,
                source=policies.sources.overage,
                start=row["start_time"],
                end=row["end_time"],
            )
        )
    return found
