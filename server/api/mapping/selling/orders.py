"""Messages of orders."""

from usage_management.v1 import order_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import created_from_reader, product_from_reader
from server.api.mapping.selling.lines import line_to_pb, lines_from_reader
from server.api.reader import RequestReader
from server.api.values import audit_pb, enum_pb, etag, optional_time_pb
from server.domain.ids import AccountId
from server.domain.selling.sales import Order, OrderState
from server.store.selling.orders import OrderFilter
from server.usecases.lifecycle.order_activation import ActivateOrder
from server.usecases.lifecycle.retriggering import Retriggered
from server.usecases.selling.orders import CreateDirectOrder, CreateOrder


def list_orders_from_pb(request: pb.ListOrdersRequest) -> tuple[AccountId, OrderFilter]:
    """Return the account and the filters of a list of orders. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    only = OrderFilter(
        state=reader.optional_choice("state", OrderState),
        product_id=product_from_reader(reader),
        created=created_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), only


def create_order_from_pb(request: pb.CreateOrderRequest) -> CreateOrder | CreateDirectOrder:
    """Return the command to create an order. Raises InvalidArgument."""
    reader = RequestReader(request)
    if not reader.has("order"):
        account_id, quote_id = reader.name("quote", names.QUOTE)
        reader.done()
        return CreateOrder(account_id=account_id, quote_id=quote_id)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    order = reader.sub("order")
    (price_book_id,) = order.name("price_book", names.PRICE_BOOK)
    lines = lines_from_reader(order, account_id)
    reader.done()
    return CreateDirectOrder(account_id=account_id, price_book_id=price_book_id, lines=lines)


def activate_order_from_pb(request: pb.ActivateOrderRequest) -> ActivateOrder:
    """Return the command to activate an order. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, order_id = reader.name("name", names.ORDER)
    revision = reader.etag("etag")
    reader.done()
    return ActivateOrder(account_id=account_id, order_id=order_id, revision=revision)


def retriggered_to_pb(found: Retriggered) -> pb.RetriggerOrderResponse:
    """Return what was missing of an order."""
    return pb.RetriggerOrderResponse(
        issue_count=found.issues, rating_period_count=found.periods, job_count=found.jobs
    )


def order_to_pb(order: Order) -> pb.Order:
    """Return an order."""
    account_id = order.account_id
    # The assets of a draft do not exist yet.
    asset_ids = order.asset_ids if order.state is OrderState.ACTIVE else ()
    return pb.Order(
        name=names.ORDER.of(account_id, order.id),
        state=enum_pb(pb.Order.State, order.state),
        quote=names.QUOTE.of(account_id, order.quote_id) if order.quote_id else "",
        price_book=names.PRICE_BOOK.of(order.price_book_id),
        lines=[line_to_pb(order.account_id, line) for line in order.lines],
        assets=[names.ASSET.of(account_id, asset_id) for asset_id in asset_ids],
        currency_code=order.currency_code,
        **audit_pb(order.audit),
        activate_time=optional_time_pb(order.activate_time),
        etag=etag(order.revision),
    )
