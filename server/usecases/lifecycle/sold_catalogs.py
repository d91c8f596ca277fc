"""The catalog for assets that are sold: by the price book and the selling model of their sales."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from server.domain.ids import (
    AccountId,
    OrderId,
    PriceBookId,
    ProductId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.roles import ProductRole
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.selling.sales import Asset, Order
from server.store.connection import Transaction
from server.store.selling import orders
from server.usecases.rating.discovery import CatalogTermsQuery, ProductCatalog, product_catalog


@dataclass(frozen=True, slots=True)
class SoldCatalog:
    """The catalog for an asset."""

    asset: Asset
    price_book_id: PriceBookId
    selling_model_id: SellingModelId | None
    catalog: ProductCatalog

    def on(self, day: date, units: Mapping[ResourceId, str]) -> dict[ResourceId, CatalogTerms]:
        """Return the terms on a day for resources that are rated in these units.

        Raises PROCEDURE_NOT_IN_FORCE.
        """
        return self.catalog.on(
            CatalogTermsQuery(
                price_book_id=self.price_book_id,
                product_id=self.asset.product_id,
                units=units,
                day=day,
                selling_model_id=self.selling_model_id,
                is_addition=self.asset.role is not ProductRole.ANCHOR,
            )
        )


class SoldCatalogs:
    """The catalogs for the assets of an account; with a price book, by that one.

    Many assets are of one order and one product, so both are read once.
    """

    def __init__(
        self, tx: Transaction, account_id: AccountId, price_book_id: PriceBookId | None = None
    ) -> None:
        self._tx = tx
        self._account_id = account_id
        self._price_book_id = price_book_id
        self._orders: dict[OrderId, Order] = {}
        self._products: dict[tuple[PriceBookId, ProductId], ProductCatalog] = {}

    async def of(self, asset: Asset) -> SoldCatalog:
        """Return the catalog for an asset. Raises PRICE_BOOK_NOT_FOUND."""
        if asset.order_id not in self._orders:
            order = await orders.get(self._tx, self._account_id, asset.order_id)
            self._orders[asset.order_id] = order
        order = self._orders[asset.order_id]
        book = self._price_book_id or order.price_book_id
        key = (book, asset.product_id)
        if key not in self._products:
            self._products[key] = await product_catalog(self._tx, *key)
        line = order.lines[order.asset_ids.index(asset.id)]
        return SoldCatalog(asset, book, line.selling_model_id, self._products[key])
