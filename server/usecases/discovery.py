"""Discovery in the database: rates read in the transaction of whoever needs them.

The hot path of `DiscoverRates` needs neither of these for the catalogue, of which the process keeps
a compiled copy; see `server.rate_snapshots`.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from server.domain.discovery import AssetRates, Held
from server.domain.ids import PriceBookId, ProductId, ResourceId, TenantId
from server.domain.rate_index import CatalogueTerms, Question, RateNotFound
from server.store.pool import Connection
from server.store.rate_snapshots import asset_rates, compiled, rows_of_product
from server.store.tenants import now


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What a batch of questions needs besides the catalogue: today, and what assets cost."""

    today: date
    sold: Mapping[Held, AssetRates | None]


async def catalogue_terms(
    tx: Connection,
    tenant_id: TenantId,
    *,
    price_book_id: PriceBookId,
    product_id: ProductId,
    units: Mapping[ResourceId, str],
    day: date,
) -> dict[ResourceId, CatalogueTerms]:
    """What the catalogue says on `day` of resources of a product, each in a currency or a token.

    One without a rate is absent. Reads the database, so that it sees what the transaction sees.
    """
    rows = await rows_of_product(tx, tenant_id, price_book_id, product_id)
    rates = compiled(rows)
    found = {}
    for resource_id, unit in units.items():
        with suppress(RateNotFound):
            question = Question(price_book_id, product_id, resource_id, unit, day)
            found[resource_id] = rates.find(question)
    return found


async def present(tx: Connection, tenant_id: TenantId, held: Iterable[Held]) -> Present:
    """Today by the tenant's clock in UTC, and the rates of these assets' resources."""
    wanted = set(held)
    sold = await asset_rates(tx, tenant_id, wanted) if wanted else {}
    return Present(today=(await now(tx, tenant_id)).date(), sold=sold)
