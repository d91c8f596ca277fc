"""Quotes: what would be sold, with the rates, grants and policies of the catalogue frozen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.catalog import ResolvedGrant, ResolvedProduct, ResolvedResource
from server.domain.errors import FailedPrecondition
from server.domain.ids import AccountId, PriceBookId, ProductId, QuoteId, ResourceId, TenantId
from server.domain.policies import RolloverPolicy, check_period_order
from server.domain.rate_index import CatalogueTerms
from server.domain.sales import (
    Binding,
    LineGrant,
    LineResource,
    Negotiated,
    Quote,
    SaleLine,
    check_negotiated,
    check_rates,
    granted,
    negotiate,
)
from server.env import new_id
from server.store import orders, quotes
from server.store.pool import Connection
from server.usecases.discovery import catalogue_terms
from server.usecases.resolution import resolved_product

# Billing is monthly from the account's anchor day.
MONTHLY = Cadence(CadenceUnit.MONTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One product, so many times, and what is to depart from the catalogue."""

    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None
    binding: Binding
    negotiated: tuple[Negotiated, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateQuote:
    """What would be sold to an account, at the rates of a price book."""

    account_id: AccountId
    price_book_id: PriceBookId
    lines: tuple[AskedLine, ...]


async def create(tx: Connection, tenant_id: TenantId, command: CreateQuote) -> Quote:
    """Make a draft; each line keeps the catalogue as it is on the day the line starts.

    Raises ACCOUNT_NOT_FOUND, PRICE_BOOK_NOT_FOUND, PRODUCT_NOT_FOUND, RESOURCE_INACTIVE,
    TOKEN_RESOURCE, POLICY_CONFLICT, DECIMAL_RANGE, RATE_NOT_FOUND, NOT_NEGOTIABLE, RESOURCE_TWICE,
    RESOURCE_NOT_IN_PRODUCT, CURRENCY_MISMATCH, TIERS_INVALID, PERIOD_ORDER.
    """
    buyer = await quotes.get_buyer(tx, tenant_id, command.account_id)
    await quotes.check_price_book(tx, tenant_id, command.price_book_id)
    products = {
        product_id: await resolved_product(tx, tenant_id, product_id)
        for product_id in dict.fromkeys(line.product_id for line in command.lines)
    }
    await check_active(
        tx,
        tenant_id,
        [(one.product_id, held.resource_id) for one in products.values() for held in one.resources],
    )
    rates = {
        (product_id, day): await catalogue_terms(
            tx,
            tenant_id,
            price_book_id=command.price_book_id,
            product_id=product_id,
            units=_rate_units(products[product_id], buyer.currency_code),
            day=day,
        )
        for product_id, day in dict.fromkeys((x.product_id, x.start_date) for x in command.lines)
    }
    lines = [
        _line(
            asked,
            products[asked.product_id],
            rates[asked.product_id, asked.start_date],
            buyer.currency_code,
            path=f"quote.lines[{index}]",
        )
        for index, asked in enumerate(command.lines)
    ]

    return await quotes.add(
        tx,
        tenant_id,
        QuoteId(new_id()),
        buyer=buyer,
        price_book_id=command.price_book_id,
        lines=lines,
    )


async def check_active(
    tx: Connection, tenant_id: TenantId, sold: Sequence[tuple[ProductId, ResourceId]]
) -> None:
    """Raise RESOURCE_INACTIVE for the first of these that is not sold any more."""
    gone = await orders.find_inactive(tx, tenant_id, sold)
    if gone is not None:
        product, resource = gone
        raise FailedPrecondition(
            "RESOURCE_INACTIVE",
            f"{resource} of {product} is not active",
            {"product": product, "usage_resource": resource},
        )


async def get(
    tx: Connection, tenant_id: TenantId, account_id: AccountId, quote_id: QuoteId
) -> Quote:
    """One quote. Raises QUOTE_NOT_FOUND."""
    return await quotes.get(tx, tenant_id, account_id, quote_id)


async def list_quotes(
    tx: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    after: tuple[str, ...] | None,
    limit: int,
) -> list[Quote]:
    """An account's quotes, newest first. Raises ACCOUNT_NOT_FOUND."""
    await quotes.get_buyer(tx, tenant_id, account_id)
    return await quotes.list_quotes(tx, tenant_id, account_id, after=after, limit=limit)


def _rate_units(product: ResolvedProduct, currency_code: str) -> dict[ResourceId, str]:
    """What each resource of a product is rated in."""
    return {one.resource_id: product.rate_unit(one, currency_code) for one in product.resources}


def _line(
    asked: AskedLine,
    product: ResolvedProduct,
    rates: dict[ResourceId, CatalogueTerms],
    currency_code: str,
    path: str,
) -> SaleLine:
    """The line with what the catalogue says of each resource, and what was negotiated beside it."""
    for resource in product.resources:
        _check_sellable(asked, resource)
    resources = {
        resource.resource_id: _resource(asked, resource, rates.get(resource.resource_id), path)
        for resource in product.resources
    }
    check_negotiated(asked.negotiated, resources, currency_code=currency_code, path=path)
    for wish in asked.negotiated:
        resources[wish.resource_id] = negotiate(resources[wish.resource_id], wish)
    found = tuple(resources[key] for key in sorted(resources))
    check_rates(found, day=asked.start_date, currency_code=currency_code)
    return SaleLine(
        product_id=asked.product_id,
        quantity=asked.quantity,
        start_date=asked.start_date,
        end_date=asked.end_date,
        binding=asked.binding,
        resources=found,
    )


def _check_sellable(asked: AskedLine, resource: ResolvedResource) -> None:
    day, start, end = asked.start_date, resource.start_date, resource.end_date
    if (start is not None and day < start) or (end is not None and day >= end):
        raise FailedPrecondition(
            "RESOURCE_INACTIVE",
            f"{resource.resource_id} of {asked.product_id} is not sold on {day}",
            {
                "product": asked.product_id,
                "usage_resource": resource.resource_id,
                "date": str(day),
            },
        )
    wallet = resource.policies.wallet
    check_period_order(
        billing=MONTHLY, rating=wallet.rating.period, accumulation=wallet.aggregation.period
    )


def _resource(
    asked: AskedLine, resource: ResolvedResource, found: CatalogueTerms | None, path: str
) -> LineResource:
    return LineResource(
        resource_id=resource.resource_id,
        unit_scale=resource.unit.scale,
        policies=resource.policies,
        terms=None if found is None else found.terms,
        is_fixed=found is not None and found.is_fixed,
        token_resource_id=resource.token_resource_id,
        definition_product_id=resource.definition_product_id,
        grants=tuple(_grant(asked, grant, path) for grant in resource.grants),
    )


def _rollover(rollover: RolloverPolicy | None, count: Decimal, path: str) -> RolloverPolicy | None:
    """A cap on what rolls over is for each unit sold, as the promise is."""
    if rollover is None or rollover.max_quantity is None:
        return rollover
    return replace(rollover, max_quantity=granted(rollover.max_quantity, count, path=path))


def _grant(asked: AskedLine, grant: ResolvedGrant, path: str) -> LineGrant:
    return LineGrant(
        product_grant_id=grant.id,
        quantity=granted(grant.quantity, asked.quantity, path=path),
        refresh=grant.refresh,
        validity=grant.validity,
        rollover=_rollover(grant.rollover, asked.quantity, path),
        refresh_policy_id=grant.refresh_policy_id,
        rollover_policy_id=grant.rollover_policy_id,
    )
