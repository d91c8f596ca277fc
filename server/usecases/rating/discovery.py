"""Discovery in the database: rates read in the transaction of whoever needs them.

The hot path of `DiscoverRates` needs neither of these for the catalogue, of which the process keeps
a compiled copy; see `server.runtime.rate_snapshots`.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from server.domain.ids import PriceBookId, ProductId, ResourceId, SellingModelId
from server.domain.rating.discovery import RatesByTarget
from server.domain.rating.rate_index import (
    CatalogueRates,
    CatalogueTerms,
    Parts,
    Question,
    RateNotFound,
)
from server.domain.rating.sold_rates import AssetResourceKey, TargetResourceKey
from server.store.access.tenants import now
from server.store.connection import Transaction
from server.store.rating.procedures import finders
from server.store.rating.rate_snapshots import (
    asset_rates,
    compiled,
    rows_of_product,
    target_rates,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What a batch of questions needs besides the catalogue: today, and what assets cost.

    What was agreed for targets is beside that.
    """

    today: date
    sold: RatesByTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """Resources of a product, each in a currency or a token, on a day.

    An addition to an anchor may adjust the anchor's rate and have none itself.
    """

    price_book_id: PriceBookId
    product_id: ProductId
    units: Mapping[ResourceId, str]
    day: date
    selling_model_id: SellingModelId | None = None
    is_addition: bool = False


async def catalogue_terms(tx: Transaction, wanted: Priced) -> dict[ResourceId, CatalogueTerms]:
    """What the catalogue says of each resource, found as `DiscoverRates` finds it on that day.

    One without a rate is absent. Reads the database, so that it sees what the transaction sees.
    Raises PROCEDURE_NOT_IN_FORCE.
    """
    book, product = wanted.price_book_id, wanted.product_id
    parts = (await finders(tx)).on(wanted.day).parts
    rates = compiled(await rows_of_product(tx, book, product))
    found = {}
    for resource_id, unit in wanted.units.items():
        model = wanted.selling_model_id
        question = Question(book, product, resource_id, unit, wanted.day, model)
        if wanted.is_addition:
            terms = rates.find_addition(question, parts)
        else:
            terms = _found(rates, question, parts)
        if terms is not None:
            found[resource_id] = terms
    return found


def _found(rates: CatalogueRates, question: Question, parts: Parts) -> CatalogueTerms | None:
    with suppress(RateNotFound):
        return rates.find(question, parts)
    return None


async def present(tx: Transaction, held: Iterable[AssetResourceKey | TargetResourceKey]) -> Present:
    """Today by the tenant's clock in UTC, and the rates of these assets' and targets' resources."""
    wanted = set(held)
    bound = [one for one in wanted if isinstance(one, TargetResourceKey)]
    owned = [one for one in wanted if not isinstance(one, TargetResourceKey)]
    of_assets = await asset_rates(tx, owned) if owned else {}
    of_targets = await target_rates(tx, bound) if bound else {}
    today = (await now(tx)).date()
    return Present(today=today, sold={**of_assets, **of_targets})
