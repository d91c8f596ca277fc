"""The issues of wallets, and the product grants that they come from."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from server.domain.ids import (
    AccountId,
    AssetId,
    EntitlementId,
    ProductGrantId,
    ProductId,
    WalletId,
)
from server.domain.selling.grants import Grant
from server.store.connection import Transaction
from server.store.settlement.wallet_rows import grant_from_row
from server.store.sql import load

SQL = load("settlement/grants.sql")

GrantSources = Mapping[EntitlementId, tuple[ProductId, ProductGrantId]]
"""The product and the product grant of each entitlement."""


async def list_grants(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId
) -> list[tuple[Grant, datetime]]:
    """Return all issues of a wallet in the ledger, oldest first, with their create times."""
    rows = await tx.fetch(SQL["list_grants"], tx.tenant_id, account_id, wallet_id)
    return [(grant_from_row(wallet_id, row), row["create_time"]) for row in rows]


async def list_arrivals(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId
) -> tuple[Grant, ...]:
    """Return what moved to a wallet, as it is posted: grants with the quantity that arrived."""
    rows = await tx.fetch(SQL["list_arrivals"], tx.tenant_id, account_id, wallet_id)
    return tuple(
        replace(grant_from_row(wallet_id, row), quantity=row["arrived"], balance=row["arrived"])
        for row in rows
    )


async def grant_sources(
    tx: Transaction,
    account_id: AccountId,
    wallet_id: WalletId,
    *,
    asset_id: AssetId | None,
    promise: tuple[ProductId, ProductGrantId] | None,
) -> GrantSources:
    """Return the product grants of a wallet's entitlements.

    Either of all entitlements, or of those of one asset or one promise.
    """
    args = (tx.tenant_id, account_id, wallet_id, asset_id, *(promise or (None, None)))
    rows = await tx.fetch(SQL["grant_sources"], *args)
    return {
        EntitlementId(row["entitlement_id"]): (
            ProductId(row["product_id"]),
            ProductGrantId(row["product_grant_id"]),
        )
        for row in rows
    }
