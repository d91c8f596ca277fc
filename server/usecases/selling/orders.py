"""Orders: create, get and list. Activation is in `lifecycle.order_activation`."""

from dataclasses import dataclass

from server.domain.ids import AccountId, AssetId, OrderId, PriceBookId, QuoteId
from server.domain.selling.quote_states import check_orderable, check_within_limits
from server.domain.selling.quoting import AskedLine
from server.domain.selling.sales import Buyer, Order
from server.env import new_id
from server.store.connection import Transaction
from server.store.keys import TimeKey
from server.store.selling import orders, quotes
from server.store.selling.orders import NewOrder, OrderFilter
from server.usecases.selling.quoting import quote_lines, sellable


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder:
    """The quote of which to make an order."""

    account_id: AccountId
    quote_id: QuoteId


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDirectOrder:
    """The lines of an order without a quote, at the rates of a price book."""

    account_id: AccountId
    price_book_id: PriceBookId
    lines: tuple[AskedLine, ...]


async def create(tx: Transaction, command: CreateOrder | CreateDirectOrder) -> Order:
    """Create a draft order, of a quote or directly.

    Raises the errors of `of_quote` and `create_direct`, and ACCOUNT_NOT_FOUND.
    """
    if isinstance(command, CreateOrder):
        return await of_quote(tx, command)
    return await create_direct(tx, await quotes.get_buyer(tx, command.account_id), command)


async def of_quote(tx: Transaction, command: CreateOrder) -> Order:
    """Create a draft order of a quote.

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


async def create_direct(tx: Transaction, buyer: Buyer, command: CreateDirectOrder) -> Order:
    """Create a draft order without a quote.

    Raises the errors of `sellable` and `quote_lines`, and APPROVAL_REQUIRED.
    """
    products = await sellable(tx, [line.product_id for line in command.lines])
    asked = (buyer, command.price_book_id, command.lines, products)
    found = await quote_lines(tx, *asked, sale="order")
    check_within_limits(found.exceptions)
    new = NewOrder(
        id=OrderId(new_id()),
        price_book_id=command.price_book_id,
        lines=found.lines,
        asset_ids=tuple(AssetId(new_id()) for _ in found.lines),
    )
    return await orders.add_direct(tx, buyer, new)


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
