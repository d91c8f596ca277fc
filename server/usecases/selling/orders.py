"""Orders: create from a quote, get and list. Activation is in `lifecycle.order_activation`."""

from dataclasses import dataclass

from server.domain.ids import AccountId, AssetId, OrderId, QuoteId
from server.domain.selling.quote_states import check_orderable
from server.domain.selling.sales import Order
from server.env import new_id
from server.store.connection import Transaction
from server.store.keys import TimeKey
from server.store.selling import orders, quotes
from server.store.selling.orders import OrderFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder:
    """The quote of which to make an order."""

    account_id: AccountId
    quote_id: QuoteId


async def create(tx: Transaction, command: CreateOrder) -> Order:
    """Create a draft order with the lines of a quote, and mark the quote as ordered.

    Raises QUOTE_NOT_FOUND, QUOTE_STATE, APPROVAL_REQUIRED, QUOTE_EXPIRED.
    """
    account_id, quote_id = command.account_id, command.quote_id
    # Locked, so that no second order is made of the quote.
    quote = await quotes.lock(tx, account_id, quote_id)
    check_orderable(quote)

    order_id = OrderId(new_id())
    # Each line of a new sale is about an asset of its own, which its activation creates.
    asset_ids = [AssetId(new_id()) for _ in quote.lines]
    await orders.add(tx, account_id, order_id=order_id, quote_id=quote_id, asset_ids=asset_ids)
    await quotes.mark_ordered(tx, account_id, quote_id)
    return await orders.get(tx, account_id, order_id)


async def get(tx: Transaction, account_id: AccountId, order_id: OrderId) -> Order:
    """Return one order. Raises ORDER_NOT_FOUND."""
    return await orders.get(tx, account_id, order_id)


async def list_orders(
    tx: Transaction,
    account_id: AccountId,
    only: OrderFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[Order]:
    """Return an account's orders, newest first. Raises ACCOUNT_NOT_FOUND."""
    await quotes.get_buyer(tx, account_id)
    return await orders.list_orders(tx, account_id, only, after=after, limit=limit)
