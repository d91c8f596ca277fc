"""Orders and their lines, and the locks and updates of an activation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    OrderId,
    PriceBookId,
    ProductId,
    QuoteId,
    ResourceId,
)
from server.domain.selling.sales import Buyer, Order, OrderState, SaleLine
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.keys import ANY_TIME, NO_KEY, TimeKey, TimeWindow
from server.store.modeling import used_records
from server.store.rating.rates import PRICE_BOOK
from server.store.selling.quotes import buyer_from_row, line_columns, lines_from_rows
from server.store.selling.sold_names import sold_names
from server.store.sql import load

SQL = load("selling/orders.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """The filters of a list of orders; None for any. `product_id` is that of any line."""

    state: OrderState | None = None
    product_id: ProductId | None = None
    created: TimeWindow = ANY_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order without a quote to insert; `asset_ids` are those of new assets, by line."""

    id: OrderId
    price_book_id: PriceBookId
    lines: tuple[SaleLine, ...]
    asset_ids: tuple[AssetId, ...]


async def add(
    tx: Transaction,
    account_id: AccountId,
    *,
    order_id: OrderId,
    quote_id: QuoteId,
    asset_ids: Sequence[AssetId],
) -> None:
    """Insert a draft with the lines of a quote; `asset_ids` are those of new assets, by line."""
    await tx.execute(SQL["add_order"], tx.tenant_id, account_id, order_id, quote_id)
    args = (tx.tenant_id, account_id, order_id, quote_id, asset_ids)
    await tx.execute(SQL["add_order_lines"], *args)


async def add_direct(tx: Transaction, buyer: Buyer, new: NewOrder) -> Order:
    """Insert a draft with its own lines, and return it."""
    lines = (new.asset_ids, *line_columns(new.lines))
    args = (tx.tenant_id, buyer.id, new.id, *lines, new.price_book_id, buyer.currency_code)
    row = await tx.fetchrow(SQL["add_direct_order"], *args)
    assert row is not None, new.id
    names = [*sold_names(buyer.id, new.lines), PRICE_BOOK.resource_name(new.price_book_id)]
    await used_records.add(tx, names)
    return Order(
        id=new.id,
        account_id=buyer.id,
        quote_id=None,
        price_book_id=new.price_book_id,
        currency_code=buyer.currency_code,
        lines=new.lines,
        asset_ids=new.asset_ids,
        revision=row["revision"],
        audit=audit_of(row),
    )


async def get(tx: Transaction, account_id: AccountId, order_id: OrderId) -> Order:
    """Return one order. Raises ORDER_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_order"], tx.tenant_id, account_id, order_id)
    if row is None:
        raise _not_found(account_id, order_id)
    return (await _whole(tx, account_id, [row]))[0]


async def line_of(tx: Transaction, account_id: AccountId, asset_id: AssetId) -> SaleLine:
    """Return the line in force of an asset, which must exist."""
    rows = await tx.fetch(SQL["line_of_asset"], tx.tenant_id, account_id, asset_id)
    [[line]] = lines_from_rows(rows).values()
    return line


async def lock(tx: Transaction, account_id: AccountId, order_id: OrderId) -> Order:
    """Lock an order until the transaction ends, and return it. Raises ORDER_NOT_FOUND."""
    if await tx.fetchval(SQL["lock_order"], tx.tenant_id, account_id, order_id) is None:
        raise _not_found(account_id, order_id)
    # Read after the lock, to see what was committed while this transaction waited.
    return await get(tx, account_id, order_id)


async def list_orders(
    tx: Transaction,
    account_id: AccountId,
    only: OrderFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[Order]:
    """Return an account's orders, newest first; `after` is the time and id of the last one."""
    filters = (only.state, only.product_id, only.created.start, only.created.end)
    args = (tx.tenant_id, account_id, *(after or NO_KEY), limit, *filters)
    rows = await tx.fetch(SQL["list_orders"], *args)
    return await _whole(tx, account_id, rows)


async def lock_buyer(tx: Transaction, account_id: AccountId) -> Buyer:
    """Lock the buying account until the transaction ends. Raises ACCOUNT_NOT_FOUND."""
    row = await tx.fetchrow(SQL["lock_buyer"], tx.tenant_id, account_id)
    if row is None:
        raise NotFound.of("Account", f"accounts/{account_id}")
    return buyer_from_row(row)


async def find_inactive(
    tx: Transaction, sold: Sequence[tuple[ProductId, ResourceId]]
) -> tuple[ProductId, ResourceId] | None:
    """Return the first of these that can no longer be sold; None if all can."""
    products, resources = [product for product, _ in sold], [resource for _, resource in sold]
    row = await tx.fetchrow(SQL["inactive"], tx.tenant_id, products, resources)
    if row is None:
        return None
    return ProductId(row["product_id"]), ResourceId(row["usage_resource_id"])


async def mark_active(tx: Transaction, order: Order, activate_time: datetime) -> Order:
    """Mark a draft as active, and count a change of the account's rates; return the order."""
    args = (tx.tenant_id, order.account_id)
    row = await tx.fetchrow(SQL["mark_active"], *args, order.id, activate_time)
    assert row is not None, order.id
    return replace(
        order,
        state=OrderState.ACTIVE,
        activate_time=activate_time,
        revision=row["revision"],
        audit=audit_of(row),
    )


async def bump_rates(tx: Transaction, account_id: AccountId) -> None:
    """Count a change of an account's rates."""
    await tx.execute(SQL["bump_rates"], tx.tenant_id, account_id)


async def _whole(tx: Transaction, account_id: AccountId, rows: Sequence[Record]) -> list[Order]:
    ids = [row["order_id"] for row in rows]
    line_rows = await tx.fetch(SQL["order_lines"], tx.tenant_id, account_id, ids)
    lines = lines_from_rows(line_rows)
    assets: dict[UUID, list[AssetId]] = {}
    for row in line_rows:
        assets.setdefault(row["sale_id"], []).append(AssetId(row["asset_id"]))
    return [
        Order(
            id=OrderId(row["order_id"]),
            account_id=AccountId(row["account_id"]),
            quote_id=None if row["quote_id"] is None else QuoteId(row["quote_id"]),
            state=OrderState(row["state"]),
            price_book_id=PriceBookId(row["price_book_id"]),
            currency_code=row["currency_code"],
            lines=tuple(lines.get(row["order_id"], ())),
            asset_ids=tuple(assets.get(row["order_id"], ())),
            activate_time=row["activate_time"],
            revision=row["revision"],
            audit=audit_of(row),
        )
        for row in rows
    ]


def _not_found(account_id: AccountId, order_id: OrderId) -> NotFound:
    return NotFound.of("Order", f"accounts/{account_id}/orders/{order_id}")
