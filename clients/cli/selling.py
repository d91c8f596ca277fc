"""`usage quote`, `usage order` and `usage sell`: from an offer to assets and wallets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from google.type import date_pb2, decimal_pb2
from rich.console import RenderableType
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageClient
from clients.cli.names import (
    ACCOUNT,
    PRICE_BOOK,
    account_name,
    asset_name,
    clock_time,
    day,
    named,
    only,
    only_price_book,
    only_product,
    pair,
)
from clients.cli.quotes import acts
from clients.cli.quotes.finding import ORDERABLE, QUOTE, one_quote
from clients.cli.quotes.preview import preview
from clients.cli.sale_screens import line_table, quote_screen, sale_notes, sale_title, sales_table
from clients.cli.session import Session, session
from clients.cli.setup import end_unread
from clients.descriptions import DescriptionError, read
from clients.pages import pages
from clients.screens import last
from clients.values import date_pb

quote = typer.Typer(help="Quotes: offers with their rates.", no_args_is_help=True)
order = typer.Typer(help="Orders: what is agreed, and its activation.", no_args_is_help=True)

for _command in (*acts.COMMANDS, preview):
    quote.command(_command.__name__)(_command)

PRODUCT = Annotated[
    list[str] | None,
    typer.Option(help="its id or its name; repeatable; the only active one if not given"),
]
QUANTITY = Annotated[str | None, typer.Option(help="the number of units of each product; 1")]
START = Annotated[str | None, typer.Option(metavar="DAY", help="the first day; today if not given")]
END = Annotated[
    str | None, typer.Option(metavar="DAY", help="the day after the last; unbounded if not given")
]
NEGOTIATED = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="YAML or JSON with `negotiated_rates`, and other fields of a line, for one product",
    ),
]
SELLING_MODEL = Annotated[
    str | None, typer.Option(help="the selling model, whose term is the end: its id or its name")
]
TARGET = Annotated[
    str | None, typer.Option(help="the asset or target that a pack adds to: its id or its name")
]
ATTRIBUTE = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="an attribute of all usage; repeatable"),
]
FOLLOW_CATALOG = Annotated[
    bool,
    typer.Option(
        "--follow-catalog", help="the rates of the catalog of each day, not those of the sale"
    ),
]
EXTERNAL_ID = Annotated[
    str | None, typer.Option(help="your own id of the asset, by which usage can name it")
]
ORDER = Annotated[
    str,
    typer.Argument(
        metavar="ORDER|ACCOUNT", help="accounts/ACME/orders/…, or ACME if only one fits"
    ),
]


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a quote, as given on the command line."""

    account: str
    products: list[str]
    quantity: str | None
    start: date_pb2.Date | None
    end: date_pb2.Date | None
    price_book: str | None
    # What each line begins with: the content of the file, and options that need no look-up.
    line: quotes.SaleLine


def _with_terms(work: Callable[[Session, Terms], None]) -> Callable[..., None]:
    """Return a command with the options of a sale, which does `work` with its terms."""

    def command(  # noqa: PLR0913, PLR0917 - an option each
        context: typer.Context,
        account: ACCOUNT,
        product: PRODUCT = None,
        quantity: QUANTITY = None,
        start: START = None,
        end: END = None,
        price_book: PRICE_BOOK = None,
        negotiated: NEGOTIATED = None,
        selling_model: SELLING_MODEL = None,
        target: TARGET = None,
        attribute: ATTRIBUTE = None,
        external_id: EXTERNAL_ID = None,
        follow_catalog: FOLLOW_CATALOG = False,
    ) -> None:
        now = session(context)
        line = _read_line(now, negotiated)
        if selling_model:
            line.selling_model = named("sellingModels", selling_model)
        if target:
            line.binding_target = asset_name(account_name(account), target)
        line.attributes.update(dict(map(pair, attribute or ())))
        if external_id:
            line.external_id = external_id
        if follow_catalog:
            line.rate_basis = quotes.RATE_BASIS_FOLLOW_CATALOG
        terms = Terms(
            account=account_name(account),
            products=[named("products", one) for one in product or [line.product] if one],
            quantity=quantity,
            start=day(start) if start else None,
            end=day(end) if end else None,
            price_book=price_book,
            line=line,
        )
        work(now, terms)

    command.__doc__ = work.__doc__
    return command


@quote.command("create")
@_with_terms
def create_quote(now: Session, terms: Terms) -> None:
    """Create a quote, with the rates of the catalog or negotiated ones; it binds nobody."""

    async def work(client: UsageClient) -> None:
        made = await _quote(client, terms)
        now.show(made, "", *quote_screen(made))
        is_waiting = made.state == quotes.Quote.WAITING_FOR_APPROVAL
        now.hint(f"{'quote approve' if is_waiting else 'order create'} {made.name}")

    now.run(work)


@quote.command("show")
def show_quote(context: typer.Context, name: QUOTE) -> None:
    """Show a quote with its rates and grants."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await one_quote(client, name)
        now.show(found, "", *quote_screen(found))

    now.run(work)


@quote.command("list")
def list_quotes(context: typer.Context, account: ACCOUNT) -> None:
    """List an account's quotes, newest first."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = quotes.ListQuotesRequest(parent=account_name(account))
        found = [one async for one in pages(client.quotes.ListQuotes, request)]
        now.show(found, "quotes", sales_table(found, "quote"))

    now.run(work)


@order.command("create")
def create_order(context: typer.Context, name: QUOTE) -> None:
    """Create an order from a quote; nothing is charged or granted yet."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await one_quote(client, name, ORDERABLE)
        made = await client.orders.CreateOrder(orders.CreateOrderRequest(quote=found.name))
        now.show(made, "", sale_title(made), line_table(made.lines))
        now.hint(f"order activate {made.name}")

    now.run(work)


@order.command("activate")
def activate_order(context: typer.Context, name: ORDER) -> None:
    """Activate an order: from now on its assets and wallets exist."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await _one_order(client, name, orders.Order.DRAFT)
        made = await client.orders.ActivateOrder(orders.ActivateOrderRequest(name=found.name))
        now.show(made, "", *_sold(made))
        _hint_usage(now, made)

    now.run(work)


@order.command("retrigger")
def retrigger_order(context: typer.Context, name: ORDER) -> None:
    """Create again what was lost of an active order: issues, rating periods and their jobs."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await _one_order(client, name, orders.Order.ACTIVE)
        made = await client.orders.RetriggerOrder(orders.RetriggerOrderRequest(name=found.name))
        counts = (
            f"{made.issue_count} issues, {made.rating_period_count} rating periods and"
            f" {made.job_count} jobs were missing"
        )
        now.show(made, "", f"{found.name}: {counts}")

    now.run(work)


@order.command("show")
def show_order(context: typer.Context, name: ORDER) -> None:
    """Show an order with its rates, grants and assets."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await _one_order(client, name, orders.Order.STATE_UNSPECIFIED)
        now.show(found, "", *_sold(found))

    now.run(work)


@order.command("list")
def list_orders(context: typer.Context, account: ACCOUNT) -> None:
    """List an account's orders, newest first."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = orders.ListOrdersRequest(parent=account_name(account))
        found = [one async for one in pages(client.orders.ListOrders, request)]
        now.show(found, "orders", sales_table(found, "order"))

    now.run(work)


@_with_terms
def sell(now: Session, terms: Terms) -> None:
    """Quote, order and activate in one go; each step is printed when it is done."""

    async def work(client: UsageClient) -> None:
        offer = await _quote(client, terms)
        if not now.as_json:
            now.console.print(f"quoted   {offer.name}", soft_wrap=True)
        made = await client.orders.CreateOrder(orders.CreateOrderRequest(quote=offer.name))
        if not now.as_json:
            now.console.print(f"ordered  {made.name}", soft_wrap=True)
        made = await client.orders.ActivateOrder(orders.ActivateOrderRequest(name=made.name))
        now.show(made, "", *_sold(made))
        _hint_usage(now, made)

    now.run(work)


def _read_line(now: Session, file: Path | None) -> quotes.SaleLine:
    """Return a line with what a file says. Ends the program if that is unclear."""
    if file is None:
        return quotes.SaleLine()
    try:
        return read(file).into(quotes.SaleLine())
    except DescriptionError as error:
        end_unread(now, file, error.faults)


async def _quote(client: UsageClient, terms: Terms) -> quotes.Quote:
    """Create a quote. Raises UsageError, also when an option is needed to choose."""
    start = terms.start
    if start is None and not terms.line.HasField("start_date"):
        start = date_pb(await _today(client, terms.account))
    offer = quotes.Quote(
        price_book=named("priceBooks", terms.price_book) or await only_price_book(client)
    )
    for product in terms.products or [await only_product(client)]:
        line = offer.lines.add()
        line.CopyFrom(terms.line)
        line.product = product
        if start is not None:
            line.start_date.CopyFrom(start)
        if terms.end is not None:
            line.end_date.CopyFrom(terms.end)
        if terms.quantity:
            line.quantity.CopyFrom(decimal_pb2.Decimal(value=terms.quantity))
    request = quotes.CreateQuoteRequest(parent=terms.account, quote=offer)
    made: quotes.Quote = await client.quotes.CreateQuote(request)
    return made


async def _today(client: UsageClient, account: str) -> date:
    """Return the day in an account's time zone by the tenant's clock."""
    found = await client.accounts.GetAccount(accounts.GetAccountRequest(name=account))
    return (await clock_time(client)).astimezone(ZoneInfo(found.time_zone)).date()


async def _one_order(
    client: UsageClient, name: str, state: orders.Order.State.ValueType
) -> orders.Order:
    """Return the order of a name, or the only one of an account in a state. Raises UsageError."""
    if "/orders/" in name:
        named_order: orders.Order = await client.orders.GetOrder(orders.GetOrderRequest(name=name))
        return named_order
    account = account_name(name)
    request = orders.ListOrdersRequest(parent=account, state=state)
    found: orders.Order = await only(
        pages(client.orders.ListOrders, request),
        f"{'draft ' if state else ''}orders of {account}",
        several="name one",
        none=f"`usage order create {last(account)}` creates one from a quote",
    )
    return found


def _sold(made: orders.Order) -> list[RenderableType]:
    assets = (f"  {asset}" for asset in made.assets)
    return [sale_title(made), line_table(made.lines), *assets, *sale_notes(made.lines)]


def _hint_usage(now: Session, made: orders.Order) -> None:
    account = made.name.split("/")[1]
    resources = [last(one.usage_resource) for line in made.lines for one in line.resources]
    for resource in resources[:1]:
        record = f"record FILE --account {account} --time COLUMN --measure COLUMN={resource}"
        now.hint(record, f"wallet show {account}")
