"""Quoting: read the catalog for the lines of a quote, and freeze what is found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from server.domain.errors import FailedPrecondition
from server.domain.ids import (
    AccountId,
    ExternalId,
    PriceBookId,
    ProductId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.catalog import SellingModel, StoredRecord
from server.domain.modeling.resolved import ResolvedProduct
from server.domain.modeling.roles import ProductRole
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.selling import sales
from server.domain.selling.negotiated_grants import GrantPolicies, check_grants, under_grants
from server.domain.selling.quote_limits import exceptions
from server.domain.selling.quoting import AskedLine, LineInputs, ending, quoted, rate_units
from server.domain.selling.sales import Buyer, QuoteException, SaleLine
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.policies import REFRESH, ROLLOVER
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.selling import assets
from server.usecases.modeling.resolution import resolved_product
from server.usecases.rating.custom_fields import checked_values
from server.usecases.rating.discovery import CatalogTermsQuery, catalog_terms
from server.usecases.selling.bindings import bound
from server.usecases.selling.overrides import overridden
from server.usecases.selling.policy_windows import as_of

Products = Mapping[ProductId, ResolvedProduct]

# Lines with the same product, first day, target and selling model have the same rates, which are
# read once.
_PricedAs = tuple[ProductId, date, tuple[str | None, int | None], SellingModelId | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """The lines of a quote, and their terms that go beyond the limits of the catalog."""

    lines: tuple[SaleLine, ...]
    exceptions: tuple[QuoteException, ...]


async def sellable(tx: Transaction, product_ids: Iterable[ProductId]) -> Products:
    """Return products as they can be sold. Raises PRODUCT_NOT_FOUND, RESOURCE_INACTIVE."""
    products = {
        product_id: await resolved_product(tx, product_id)
        for product_id in dict.fromkeys(product_ids)
    }
    for product in products.values():
        if not product.resources:
            text = f"no resource of products/{product.product_id} is active; ChangeStates puts one"
            text += " in force"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"product": product.product_id})
    return products


async def quote_lines(
    tx: Transaction,
    buyer: Buyer,
    price_book_id: PriceBookId,
    asked: Sequence[AskedLine],
    products: Products,
    *,
    sale: str = "quote",
) -> Quoted:
    """Return the lines of a sale; each freezes the catalog as of the day on which it starts.

    `sale` is the field of the request that has the lines.

    Raises CODE_TAKEN, and the errors of `quoted`, `bound`, `overridden`, `as_of` and
    `catalog_terms`.
    """
    await check_external_ids(tx, buyer.id, [line.external_id for line in asked])
    rates: dict[_PricedAs, dict[ResourceId, CatalogTerms]] = {}
    lines: list[SaleLine] = []
    found: list[QuoteException] = []
    for index, requested in enumerate(asked):
        path = f"{sale}.lines[{index}]"
        given = await _with_fields(tx, requested, path)
        inputs = await _inputs(tx, buyer, given, products[given.product_id], (path, lines))
        target = (inputs.to.target_id, inputs.to.target_line)
        key = (given.product_id, given.start_date, target, given.selling_model_id)
        if key not in rates:
            rates[key] = await catalog_terms(tx, _wanted(inputs, price_book_id))
        inputs = inputs.at(rates[key])
        line = quoted(inputs)
        lines.append(line)
        found += exceptions(inputs, line, index)
    return Quoted(lines=tuple(lines), exceptions=tuple(found))


async def _with_fields(tx: Transaction, given: AskedLine, path: str) -> AskedLine:
    """Return a line with the custom fields of its rates as they are stored.

    Raises CUSTOM_FIELD_INVALID.
    """
    if not any(asked.custom_fields for asked in given.negotiated):
        return given
    negotiated = [
        replace(
            asked,
            custom_fields=await checked_values(
                tx, asked.custom_fields, f"{path}.negotiated_rates[{index}].custom_fields"
            ),
        )
        for index, asked in enumerate(given.negotiated)
    ]
    return replace(given, negotiated=tuple(negotiated))


async def check_external_ids(
    tx: Transaction, account_id: AccountId, asked: Sequence[ExternalId | None]
) -> None:
    """Raise CODE_TAKEN for the first external id that an asset or an earlier line has."""
    wanted = [external_id for external_id in asked if external_id is not None]
    if wanted:
        taken = await assets.find_external(tx, account_id, wanted)
        sales.check_external_ids(account_id, asked, taken)


async def _inputs(
    tx: Transaction,
    buyer: Buyer,
    given: AskedLine,
    product: ResolvedProduct,
    place: tuple[str, Sequence[SaleLine]],
) -> LineInputs:
    """Return a line with its product as sold on its first day, and its target; without rates.

    `place` is the field path of the line, and the lines before it.
    """
    path, earlier = place
    product = product.on(given.start_date)
    asked = ending(given, await _selling_model(tx, given.selling_model_id), path)
    check_grants(product, asked, path)
    to = await bound(tx, buyer.id, asked, product, earlier=earlier, path=path)
    product = await overridden(tx, product, asked.policies, to, path)
    product = under_grants(product, asked.grants, await _grant_policies(tx, asked))
    product = await as_of(tx, product, asked.start_date, buyer.zone)
    return LineInputs(asked, product, to, {}, buyer, path)


async def _grant_policies(tx: Transaction, asked: AskedLine) -> GrantPolicies:
    """Return the policies that negotiated grants name. Raises `…_POLICY_NOT_FOUND`."""
    parts = asked.grants.values()
    refresh_ids = filter(None, (one.refresh_policy_id for one in parts))
    rollover_ids = filter(None, (one.rollover_policy_id for one in parts))
    return GrantPolicies(
        refreshes={key: await records.get(tx, REFRESH, key) for key in refresh_ids},
        rollovers={key: await records.get(tx, ROLLOVER, key) for key in rollover_ids},
    )


def _wanted(inputs: LineInputs, price_book_id: PriceBookId) -> CatalogTermsQuery:
    asked, product = inputs.asked, inputs.product
    return CatalogTermsQuery(
        price_book_id=price_book_id,
        product_id=asked.product_id,
        units=rate_units(product, inputs.to, inputs.buyer.currency_code),
        day=asked.start_date,
        selling_model_id=asked.selling_model_id,
        is_addition=product.role is not ProductRole.ANCHOR,
    )


async def _selling_model(
    tx: Transaction, model_id: SellingModelId | None
) -> StoredRecord[SellingModel] | None:
    """Return the selling model of a line, if it names one. Raises SELLING_MODEL_NOT_FOUND."""
    return None if model_id is None else await records.get(tx, SELLING_MODEL, model_id)
