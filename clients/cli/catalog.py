"""`usage units` and `usage rates`: what is counted in what, and what it costs."""

from typing import Annotated

import typer
from google.type import decimal_pb2
from usage_management.v1 import catalog_service_pb2 as catalog
from usage_management.v1 import rate_service_pb2 as pb
from usage_management.v1 import types_pb2 as types

from clients import UsageClient, UsageError
from clients.cli.names import (
    PRODUCT_FILTER,
    RESOURCE,
    account_name,
    asset_name,
    clock_time,
    day,
    metering_asset,
    named,
    only_price_book,
    only_product,
    pair,
)
from clients.cli.sale_screens import dated, rate_text
from clients.cli.session import MISUSED, fail, session
from clients.pages import pages
from clients.screens import last, number, rows
from clients.values import enum_name

FRESHNESS = pb.DiscoverRatesRequest.FULLY_CONSISTENT

units = typer.Typer(help="Units of measure.", no_args_is_help=True)
rates = typer.Typer(help="Rates of the catalog, and those that apply.", no_args_is_help=True)


@units.callback()
def _units() -> None:
    """Units of measure."""


@units.command("list")
def list_units(
    context: typer.Context,
    unit_class: Annotated[
        str | None, typer.Option("--class", help="only of this unit class: its id or its name")
    ] = None,
) -> None:
    """List the units of measure, with their factors and decimals."""
    now = session(context)
    request = catalog.ListUnitsOfMeasureRequest(
        unit_class=named("unitClasses", unit_class), page_size=1000
    )

    async def work(client: UsageClient) -> None:
        found = [one async for one in pages(client.catalog.ListUnitsOfMeasure, request)]
        cells = [
            (
                last(one.name),
                one.display_name,
                last(one.unit_class),
                number(one.factor),
                str(one.scale),
                enum_name(one, "state").lower(),
            )
            for one in found
        ]
        columns = ("unit", "name", "class", "factor", "decimals", "state")
        table = rows(columns, cells, right="factor decimals")
        now.show(found, "units_of_measure", table)

    now.run(work)


@rates.command("list")
def list_rates(
    context: typer.Context,
    product: PRODUCT_FILTER = None,
    resource: RESOURCE = None,
    rate_card: Annotated[
        str, typer.Option(help="only on this rate card: its id or its name")
    ] = "rateCards/-",
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="only in this currency")
    ] = None,
    on: Annotated[
        str | None, typer.Option("--date", metavar="DAY", help="only what applies on this day")
    ] = None,
) -> None:
    """List the entries of the rate cards."""
    now = session(context)
    request = pb.ListRateCardEntriesRequest(
        parent=named("rateCards", rate_card),
        page_size=1000,
        product=named("products", product),
        usage_resource=named("usageResources", resource),
        on_date=day(on) if on else None,
    )
    if currency:
        request.currency_code = currency

    async def work(client: UsageClient) -> None:
        found = [one async for one in pages(client.rates.ListRateCardEntries, request)]
        cells = [
            (
                one.name.removeprefix("rateCards/").replace("/entries/", " / "),
                last(one.product),
                last(one.usage_resource) or "all",
                _entry(one),
                dated(one.start_date),
                dated(one.end_date),
                enum_name(one, "state").lower(),
            )
            for one in found
        ]
        columns = ("card / entry", "product", "resource", "rate", "from", "until", "state")
        now.show(found, "entries", rows(columns, cells))

    now.run(work)


@rates.command("discover")
def discover_rate(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="its id or its name")],
    account: Annotated[
        str | None, typer.Option(help="as sold to this account: ACME or accounts/ACME")
    ] = None,
    asset: Annotated[
        str | None,
        typer.Option(help="its asset: id or name; without it, the only one that meters RESOURCE"),
    ] = None,
    product: Annotated[str | None, typer.Option(help="in the catalog: its id or its name")] = None,
    price_book: Annotated[str | None, typer.Option(help="in the catalog: its id or name")] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="in the catalog")] = None,
    quantity: Annotated[str | None, typer.Option(help="what is used beyond the grants")] = None,
    on: Annotated[
        str | None, typer.Option("--date", metavar="DAY", help="the day; today if not given")
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="of the usage; repeatable")
    ] = None,
) -> None:
    """Say which rate applies to a resource, of an account or in the catalog, and what it comes to.

    Either --account, or --currency with --product and --price-book if there are several.
    """
    now = session(context)
    if not (account or asset or currency):
        fail(MISUSED, "give --account ACME for what is sold, or --currency USD for the catalog")
    if account and not asset and (product or price_book or currency):
        fail(MISUSED, "give --account, or --product, --price-book and --currency of the catalog")
    question = pb.RateQuestion(
        usage_resource=named("usageResources", resource),
        product=named("products", product),
        price_book=named("priceBooks", price_book),
        quantity=decimal_pb2.Decimal(value=quantity) if quantity else None,
        date=day(on) if on else None,
        attributes=dict(map(pair, attribute or ())),
    )
    if currency:
        question.currency_code = currency

    async def work(client: UsageClient) -> None:
        if account or asset:
            parent = account_name(account) if account else ""
            question.asset = asset_name(parent, asset) or await metering_asset(
                client, parent, question.usage_resource, await clock_time(client)
            )
        else:
            question.product = question.product or await only_product(client)
            question.price_book = question.price_book or await only_price_book(client)
        request = pb.DiscoverRatesRequest(questions=[question], freshness=FRESHNESS)
        [answer] = (await client.rates.DiscoverRates(request)).answers
        if answer.HasField("status"):
            raise UsageError.of_status(answer.status)
        now.show(answer, "", *_told(answer))

    now.run(work)


def _entry(entry: pb.RateCardEntry) -> str:
    """Return the rate, the tiers or the adjustments of an entry."""
    if entry.adjustments:
        return f"{len(entry.adjustments)} adjustments"
    return rate_text(types.RateTerms(rate=entry.rate, tiers=entry.tiers))


def _told(answer: pb.RateAnswer) -> list[str]:
    terms = answer.terms
    source = enum_name(answer, "source").lower()
    entry = terms.base_entry or terms.tier_entry
    told = [f"{rate_text(terms)}; from the {source}{f', {entry}' if entry else ''}"]
    if answer.amount.value:
        unit = terms.rate.currency_code or last(terms.rate.token_unit)
        told.append(f"amount: {number(answer.amount)} {unit}")
    return told
