"""Discovery in the database: rates read in the transaction of the caller.

`DiscoverRates` uses the compiled copy of the catalog in the process instead, because it is the hot
path; see `server.runtime.rate_snapshots`.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from server.domain.ids import PriceBookId, ProductId, ResourceId, SellingModelId
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.rating.compiled_discovery import DiscoveryVersions
from server.domain.rating.discovery import RatesByTarget
from server.domain.rating.rate_index import CatalogRates, Parts, Question, RateNotFound
from server.domain.rating.sold_rates import AssetResourceKey, TargetResourceKey
from server.store.access.tenants import now
from server.store.connection import Transaction
from server.store.modeling.records import not_found
from server.store.rating.procedures import discovery_versions
from server.store.rating.rate_snapshots import (
    asset_rates,
    compiled,
    rows_of_product,
    target_rates,
)
from server.store.rating.rates import PRICE_BOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentSales:
    """The data of a batch of questions besides the catalog: today, and the sold rates."""

    today: date
    sold: RatesByTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTermsQuery:
    """Resources of a product, each with a currency or a token, on a day.

    An addition to an anchor may only adjust the anchor's rate.
    """

    price_book_id: PriceBookId
    product_id: ProductId
    units: Mapping[ResourceId, str]
    day: date
    selling_model_id: SellingModelId | None = None
    is_addition: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCatalog:
    """The rates of a product in a price book, and the `days` on which an answer can change."""

    rates: CatalogRates
    versions: DiscoveryVersions
    days: tuple[date, ...]

    def on(self, wanted: CatalogTermsQuery) -> dict[ResourceId, CatalogTerms]:
        """Return the terms for each resource; one without a rate is left out.

        Raises PROCEDURE_NOT_IN_FORCE.
        """
        book, product = wanted.price_book_id, wanted.product_id
        parts = self.versions.on(wanted.day).parts
        found = {}
        for resource_id, unit in wanted.units.items():
            model = wanted.selling_model_id
            question = Question(book, product, resource_id, unit, wanted.day, model)
            if wanted.is_addition:
                terms = self.rates.find_addition(question, parts)
            else:
                terms = _found(self.rates, question, parts)
            if terms is not None:
                found[resource_id] = terms
        return found


async def product_catalog(
    tx: Transaction, price_book_id: PriceBookId, product_id: ProductId
) -> ProductCatalog:
    """Return the catalog of a product, read from the database to see what the transaction sees.

    Raises PRICE_BOOK_NOT_FOUND.
    """
    versions = await discovery_versions(tx)
    rows = await rows_of_product(tx, price_book_id, product_id)
    books, entries, _ = rows
    # A row for each card of the book, which has at least one.
    if not books:
        raise not_found(PRICE_BOOK, price_book_id)
    edges = {row[name] for row in (*books, *entries) for name in ("start_date", "end_date")}
    edges |= {
        day
        for each in versions.discovery_versions
        for day in (each.version.start_date, each.version.end_date)
    }
    days = tuple(sorted(day for day in edges if day is not None))
    return ProductCatalog(rates=compiled(rows), versions=versions, days=days)


async def catalog_terms(
    tx: Transaction, wanted: CatalogTermsQuery
) -> dict[ResourceId, CatalogTerms]:
    """Return the catalog's terms for each resource, as `DiscoverRates` finds them on that day.

    A resource without a rate is left out. Raises PRICE_BOOK_NOT_FOUND, PROCEDURE_NOT_IN_FORCE.
    """
    return (await product_catalog(tx, wanted.price_book_id, wanted.product_id)).on(wanted)


def _found(rates: CatalogRates, question: Question, parts: Parts) -> CatalogTerms | None:
    with suppress(RateNotFound):
        return rates.find(question, parts)
    return None


async def current_sales(
    tx: Transaction, held: Iterable[AssetResourceKey | TargetResourceKey]
) -> CurrentSales:
    """Return today in UTC, and the sold rates of these resources of assets and targets."""
    wanted = set(held)
    bound = [key for key in wanted if isinstance(key, TargetResourceKey)]
    owned = [key for key in wanted if not isinstance(key, TargetResourceKey)]
    of_assets = await asset_rates(tx, owned) if owned else {}
    of_targets = await target_rates(tx, bound) if bound else {}
    today = (await now(tx)).date()
    return CurrentSales(today=today, sold={**of_assets, **of_targets})
