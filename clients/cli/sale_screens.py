"""Tables of what is sold: quotes, orders, assets, their rates and commitments."""

from collections.abc import Sequence

from google.type import date_pb2
from rich.console import RenderableType
from rich.table import Table
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.screens import NOTHING, last, number, rows, span, when
from clients.values import day, enum_name


def dated(message: date_pb2.Date) -> str:
    """Return a day; a dash when there is none."""
    return day(message).isoformat() if message.year else NOTHING


def rate_text(terms: types.RateTerms) -> str:
    """Return a rate as people write it, as in `2 USD per 1,000, 3 tiers, negotiated`."""
    text = _priced(terms.rate, terms.tiers)
    is_agreed = terms.rate_negotiated or terms.tiers_negotiated
    text = f"{text}, negotiated" if is_agreed else text
    return f"{text}, held in a gap of the catalog" if terms.catalog_gap else text


def catalog_text(terms: types.RateTerms) -> str:
    """Return the rate of the catalog beside a negotiated one; a dash if none was negotiated."""
    if not (terms.rate_negotiated or terms.tiers_negotiated):
        return NOTHING
    rate = terms.catalog_rate if terms.rate_negotiated else terms.rate
    return _priced(rate, terms.catalog_tiers if terms.tiers_negotiated else terms.tiers)


def granted_text(grants: Sequence[quotes.SaleLineGrant]) -> str:
    """Return what is included, with the quantity of the catalog where another was negotiated."""
    parts = []
    for grant in grants:
        listed = f" (of {number(grant.catalog_quantity)})" if grant.catalog_quantity.value else ""
        parts.append(f"{number(grant.quantity)}{listed}")
    return " + ".join(parts) or NOTHING


def _priced(rate: types.Rate, tiers: types.RateTiers) -> str:
    parts = [price_text(rate)] if rate.value.value else []
    if tiers.tiers:
        parts.append(f"{len(tiers.tiers)} tiers")
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
    """Return the resources of the lines of a quote or order, with grants and rates.

    What was negotiated stands beside the catalog.
    """
    terms = [resource.terms for line in lines for resource in line.resources]
    has_agreed = any(catalog_text(one) != NOTHING for one in terms)
    cells: list[tuple[str, ...]] = []
    for line in lines:
        days = (dated(line.start_date), dated(line.end_date))
        about = (last(line.product), number(line.quantity), *days)
        for place, resource in enumerate(line.resources):
            cells.append(
                (
                    # First, because it is repeated in each part of a table that is too wide.
                    last(resource.usage_resource),
                    *(about if not place else ("",) * len(about)),
                    granted_text(resource.grants),
                    rate_text(resource.terms),
                    *((catalog_text(resource.terms),) if has_agreed else ()),
                )
            )
        if not line.resources:
            cells.append((NOTHING, *about, "", "", *(("",) if has_agreed else ())))
    columns = ["resource", "product", "number", "from", "until", "included", "beyond it"]
    columns += ["in the catalog"] if has_agreed else []
    return rows(columns, cells, right="number included")


def sale_notes(lines: Sequence[quotes.SaleLine]) -> list[str]:
    """Return the hints about the lines of a quote or an order."""
    notes = [f"  note: {one.text}" for line in lines for one in line.warnings]
    following = [
        last(line.product) for line in lines if line.rate_basis == quotes.RATE_BASIS_FOLLOW_CATALOG
    ]
    return [*notes, *(f"  note: the rates of {name} follow the catalog" for name in following)]


def quote_screen(quote: quotes.Quote) -> list[RenderableType]:
    """Return a quote with what has to be decided on, and what was decided."""
    shown: list[RenderableType] = [sale_title(quote), line_table(quote.lines)]
    shown += [f"  needs approval: {one.text}" for one in quote.exceptions]
    shown += sale_notes(quote.lines)
    if quote.HasField("decision"):
        decision = quote.decision
        who = last(decision.decided_by) or "the service"
        why = f": {decision.reason}" if decision.reason else ""
        state = enum_name(quote, "state").lower()
        shown.append(f"  {state} by {who}, {when(decision.decide_time)}{why}")
    if quote.HasField("expire_time"):
        shown.append(f"  expires {when(quote.expire_time)} UTC")
    return shown


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


def spend_table(found: Sequence[wallets.CommittedSpend], zone: str) -> Table:
    """Return the amounts that are promised, what is spent of them, and what is owed now."""
    cells = [
        (
            span(one.start_time, one.end_time, zone) if one.HasField("end_time") else NOTHING,
            number(one.promised_amount),
            number(one.spent_amount),
            number(one.shortfall_amount),
            number(one.spend_cap) if one.HasField("spend_cap") else NOTHING,
            number(one.owed_amount),
        )
        for one in found
    ]
    columns = ("promised for", "promised", "spent", "shortfall", "cap", "owed")
    return rows(columns, cells, right="promised spent shortfall cap owed")
