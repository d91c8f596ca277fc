"""`usage clone`: drafts that are copies of a product, a rate card or a price book."""

from typing import Annotated, Any

import typer
from usage_management.v1 import catalog_service_pb2 as catalog
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient
from clients.cli.names import named
from clients.cli.session import session

SOURCE = Annotated[str, typer.Argument(metavar="SOURCE", help="its id or its name")]
COPY = Annotated[str, typer.Argument(metavar="ID", help="the id of the copy")]
DISPLAY_NAME = Annotated[
    str, typer.Option("--display-name", metavar="TEXT", help="that of the source if not given")
]
PLAN = Annotated[bool, typer.Option("--plan", help="show what would be made, and change nothing")]

clone = typer.Typer(
    help="Drafts that are copies of products, rate cards and price books.", no_args_is_help=True
)


@clone.command("product")
def clone_product(
    context: typer.Context,
    source: SOURCE,
    copy: COPY,
    display_name: DISPLAY_NAME = "",
    plan: PLAN = False,
) -> None:
    """Copy a product with its resources and grants. Rates are copied with their rate card."""
    request = catalog.CloneProductRequest(
        name=named("products", source),
        product_id=copy,
        display_name=display_name,
        validate_only=plan,
    )
    _run(context, lambda client: client.catalog.CloneProduct(request))


@clone.command("rate-card")
def clone_rate_card(
    context: typer.Context,
    source: SOURCE,
    copy: COPY,
    display_name: DISPLAY_NAME = "",
    plan: PLAN = False,
) -> None:
    """Copy a rate card with its entries."""
    request = rates.CloneRateCardRequest(
        name=named("rateCards", source),
        rate_card_id=copy,
        display_name=display_name,
        validate_only=plan,
    )
    _run(context, lambda client: client.rates.CloneRateCard(request))


@clone.command("price-book")
def clone_price_book(
    context: typer.Context,
    source: SOURCE,
    copy: COPY,
    display_name: DISPLAY_NAME = "",
    plan: PLAN = False,
) -> None:
    """Copy a price book with its rate cards, whose ids are ID-base, ID-tier and ID-attribute."""
    request = rates.ClonePriceBookRequest(
        name=named("priceBooks", source),
        price_book_id=copy,
        display_name=display_name,
        validate_only=plan,
    )
    _run(context, lambda client: client.rates.ClonePriceBook(request))


def _run(context: typer.Context, call: Any) -> None:
    """Make the copy, and print its name."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        made = await call(client)
        cards = [f"  with {name}" for name in getattr(made, "rate_cards", ())]
        now.show(made, "", made.name, *cards)

    now.run(work)
