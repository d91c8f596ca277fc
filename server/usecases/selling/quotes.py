"""Quotes: proposed sales, with the rates, grants and policies of the catalog frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from server.domain.errors import FailedPrecondition
from server.domain.ids import (
    AccountId,
    ExternalId,
    PriceBookId,
    ProductId,
    QuoteId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.catalog import SellingModel, StoredRecord
from server.domain.modeling.roles import ProductRole
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.selling import sales
from server.domain.selling.quoting import AskedLine, LineInputs, ending, quoted, rate_units
from server.domain.selling.sales import Quote
from server.env import new_id
from server.store.connection import Transaction
from server.store.keys import TimeKey
from server.store.modeling import records
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.selling import assets, orders, quotes
from server.store.selling.quotes import QuoteFilter
from server.usecases.modeling.resolution import resolved_product
from server.usecases.rating.discovery import CatalogTermsQuery, catalog_terms
from server.usecases.selling.bindings import bound
from server.usecases.selling.overrides import overridden
from server.usecases.selling.policy_windows import as_of

# Lines with the same product, first day, target and selling model have the same rates, which are
# read once.
_PricedAs = tuple[ProductId, date, str | None, SellingModelId | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateQuote:
    """A proposed sale to an account, at the rates of a price book."""

    account_id: AccountId
    price_book_id: PriceBookId
    lines: tuple[AskedLine, ...]


async def create(tx: Transaction, command: CreateQuote) -> Quote:
    """Create a draft; each line freezes the catalog as of the day on which the line starts.

    Raises ACCOUNT_NOT_FOUND, PRICE_BOOK_NOT_FOUND, PRODUCT_NOT_FOUND, RESOURCE_INACTIVE,
    BINDING_TARGET, ASSET_NOT_FOUND, BINDING_TARGET_NOT_FOUND, RESOURCE_NOT_OPTIONAL, TIERS_INVALID,
    TOKEN_RESOURCE, POLICY_CONFLICT, DECIMAL_RANGE, RATE_NOT_FOUND, NOT_NEGOTIABLE, RESOURCE_TWICE,
    RESOURCE_NOT_IN_PRODUCT, CURRENCY_MISMATCH, PERIOD_ORDER, PROCEDURE_NOT_IN_FORCE, RATE_NEGATIVE,
    RATE_UNREACHABLE, CODE_TAKEN.
    """
    buyer = await quotes.get_buyer(tx, command.account_id)
    await quotes.check_price_book(tx, command.price_book_id)
    external_ids = [line.external_id for line in command.lines]
    await check_external_ids(tx, buyer.id, external_ids)
    products = {
        product_id: await resolved_product(tx, product_id)
        for product_id in dict.fromkeys(line.product_id for line in command.lines)
    }
    await check_active(
        tx,
        [
            (product.product_id, held.resource_id)
            for product in products.values()
            for held in product.resources
        ],
    )
    rates: dict[_PricedAs, dict[ResourceId, CatalogTerms]] = {}
    lines = []
    for index, line in enumerate(command.lines):
        path, product = f"quote.lines[{index}]", products[line.product_id].on(line.start_date)
        asked = ending(line, await _selling_model(tx, line.selling_model_id), path)
        to = await bound(tx, buyer.id, asked.binding, product, path=path)
        product = await overridden(tx, product, asked.policies, to, path)
        product = await as_of(tx, product, asked.start_date, buyer.zone)
        key = (asked.product_id, asked.start_date, to.target_id, asked.selling_model_id)
        if key not in rates:
            wanted = CatalogTermsQuery(
                price_book_id=command.price_book_id,
                product_id=asked.product_id,
                units=rate_units(product, to, buyer.currency_code),
                day=asked.start_date,
                selling_model_id=asked.selling_model_id,
                is_addition=product.role is not ProductRole.ANCHOR,
            )
            rates[key] = await catalog_terms(tx, wanted)
        lines.append(quoted(LineInputs(asked, product, to, rates[key], buyer, path)))

    return await quotes.add(
        tx,
        QuoteId(new_id()),
        buyer=buyer,
        price_book_id=command.price_book_id,
        lines=lines,
    )


async def check_active(tx: Transaction, sold: Sequence[tuple[ProductId, ResourceId]]) -> None:
    """Raise RESOURCE_INACTIVE for the first of these that is no longer sold."""
    gone = await orders.find_inactive(tx, sold)
    if gone is not None:
        product, resource = gone
        raise FailedPrecondition(
            "RESOURCE_INACTIVE",
            f"{resource} of {product} is not active",
            {"product": product, "usage_resource": resource},
        )


async def check_external_ids(
    tx: Transaction, account_id: AccountId, asked: Sequence[ExternalId | None]
) -> None:
    """Raise CODE_TAKEN for the first external id that an asset or an earlier line has."""
    wanted = [external_id for external_id in asked if external_id is not None]
    if wanted:
        taken = await assets.find_external(tx, account_id, wanted)
        sales.check_external_ids(account_id, asked, taken)


async def get(tx: Transaction, account_id: AccountId, quote_id: QuoteId) -> Quote:
    """Return one quote. Raises QUOTE_NOT_FOUND."""
    return await quotes.get(tx, account_id, quote_id)


async def list_quotes(
    tx: Transaction,
    account_id: AccountId,
    only: QuoteFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[Quote]:
    """Return an account's quotes, newest first. Raises ACCOUNT_NOT_FOUND."""
    await quotes.get_buyer(tx, account_id)
    return await quotes.list_quotes(tx, account_id, only, after=after, limit=limit)


async def _selling_model(
    tx: Transaction, model_id: SellingModelId | None
) -> StoredRecord[SellingModel] | None:
    """Return the selling model of a line, if it names one. Raises SELLING_MODEL_NOT_FOUND."""
    return None if model_id is None else await records.get(tx, SELLING_MODEL, model_id)
