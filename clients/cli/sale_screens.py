"""Tables of what is sold: quotes, orders, assets and their rates."""

from collections.abc import Sequence

from google.type import date_pb2
from rich.table import Table
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from clients.screens import NOTHING, last, number, rows
from clients.values import day, enum_name


def dated(message: date_pb2.Date) -> str:
    """Return a day; a dash when there is none."""
    return day(message).isoformat() if message.year else NOTHING


def rate_text(terms: types.RateTerms) -> str:
    """Return a rate as people write it, as in `2 USD per 1,000, 3 tiers, negotiated`."""
    parts = [price_text(terms.rate)] if terms.rate.value.value else []
    if terms.tiers.tiers:
        parts.append(f"{len(terms.tiers.tiers)} tiers")
    if terms.rate_negotiated or terms.tiers_negotiated:
        parts.append("negotiated")
    return ", ".join(parts) or NOTHING


def price_text(rate: types.Rate) -> str:
    """Return a rate without its tiers, as in `2 USD per 1,000`; a dash when there is none."""
    if not rate.value.value:
        return NOTHING
    per = number(rate.per)
    text = f"{number(rate.value)} {rate.currency_code or last(rate.token_unit)}"
    text += "" if per in ("1", NOTHING) else f" per {per}"
    return f"{text} begun" if rate.package_pricing else text


def line_table(lines: Sequence[quotes.SaleLine]) -> Table:
    """Return the resources of the lines of a quote or order, with grants and rates."""
    cells = []
    for line in lines:
        days = (dated(line.start_date), dated(line.end_date))
        about = (last(line.product), number(line.quantity), *days)
        for place, resource in enumerate(line.resources):
            cells.append(
                (
                    *(about if not place else ("",) * len(about)),
                    last(resource.usage_resource),
                    " + ".join(number(grant.quantity) for grant in resource.grants) or NOTHING,
                    rate_text(resource.terms),
                )
            )
        if not line.resources:
            cells.append((*about, "", "", ""))
    columns = ("product", "number", "from", "until", "resource", "included", "beyond it")
    return rows(columns, cells, right="number included")


def asset_table(found: Sequence[assets.Asset]) -> Table:
    """Return the assets of an account."""
    cells = []
    for asset in found:
        count = number(asset.quantity)
        product = last(asset.product)
        cells.append(
            (
                last(asset.name),
                asset.external_id or NOTHING,
                product if count == "1" else f"{count} × {product}",
                dated(asset.start_date),
                dated(asset.end_date),
                ", ".join(last(one.usage_resource) for one in asset.resources),
            )
        )
    return rows(("asset", "external id", "product", "from", "until", "resources"), cells)


def sale_title(sale: quotes.Quote | orders.Order) -> str:
    """Return the name, state, currency and price book of a quote or an order."""
    state = enum_name(sale, "state").lower()
    return f"{sale.name}: {state}, {sale.currency_code}, {sale.price_book}"


def sales_table(found: Sequence[quotes.Quote | orders.Order], kind: str) -> Table:
    """Return a row for each quote or order."""
    cells = [
        (
            last(one.name),
            enum_name(one, "state").lower(),
            ", ".join(last(line.product) for line in one.lines),
            ", ".join(sorted({dated(line.start_date) for line in one.lines})),
        )
        for one in found
    ]
    return rows((kind, "state", "products", "from"), cells)
