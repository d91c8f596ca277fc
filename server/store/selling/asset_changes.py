"""Changes of assets, which are only added."""

from collections.abc import Iterable, Sequence

from asyncpg import Record

from server.domain.ids import AccountId, AssetId, OrderId, QuoteId, RepriceRunId
from server.domain.selling.asset_changes import (
    AssetAct,
    AssetChange,
    FieldChange,
    NewAssetChange,
    StoredAct,
)
from server.store.audit import credential_id
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.selling.quotes import decision_of
from server.store.sql import load

SQL = load("selling/asset_changes.sql")

FIELDS: DocumentCodec[tuple[FieldChange, ...]] = DocumentCodec(tuple[FieldChange, ...])
"""The documents of `asset_changes.fields`."""


async def add(tx: Transaction, account_id: AccountId, changes: Sequence[NewAssetChange]) -> None:
    """Insert acts on assets; the account must be locked."""
    await tx.execute(
        SQL["add_changes"],
        tx.tenant_id,
        account_id,
        [change.asset_id for change in changes],
        [change.act for change in changes],
        [change.order_id for change in changes],
        [change.effective_date for change in changes],
        [change.reason for change in changes],
        [change.act_time for change in changes],
        [FIELDS.encode(change.fields) for change in changes],
        [change.run_id for change in changes],
    )


async def list_changes(
    tx: Transaction, account_id: AccountId, asset_ids: Iterable[AssetId]
) -> list[AssetChange]:
    """Return the changes of some assets, by asset and number."""
    rows = await tx.fetch(SQL["list_changes"], tx.tenant_id, account_id, sorted(asset_ids))
    return [_change(row) for row in rows]


async def list_acts(
    tx: Transaction, account_id: AccountId, asset_ids: Iterable[AssetId]
) -> list[StoredAct]:
    """Return the acts on some assets, by asset and number."""
    rows = await tx.fetch(SQL["list_acts"], tx.tenant_id, account_id, sorted(asset_ids))
    return [
        StoredAct(
            asset_id=AssetId(row["asset_id"]),
            asset_number=row["asset_number"],
            number=row["number"],
            act=AssetAct(row["act"]),
            create_time=row["create_time"],
        )
        for row in rows
    ]


def _change(row: Record) -> AssetChange:
    order_id, quote_id, run_id = row["order_id"], row["quote_id"], row["reprice_run_id"]
    return AssetChange(
        content=NewAssetChange(
            asset_id=AssetId(row["asset_id"]),
            act=AssetAct(row["act"]),
            effective_date=row["effective_date"],
            act_time=row["act_time"],
            fields=FIELDS.decode(row["fields"]),
            order_id=None if order_id is None else OrderId(order_id),
            reason=row["reason"],
            run_id=None if run_id is None else RepriceRunId(run_id),
        ),
        number=row["number"],
        quote_id=None if quote_id is None else QuoteId(quote_id),
        approval=decision_of(row),
        create_time=row["create_time"],
        created_by=credential_id(row["created_by"]),
    )
