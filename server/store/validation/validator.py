"""Products with all their dependencies and prices, several at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from server.domain.ids import PriceBookId, ProductId, RateCardId, ResourceId
from server.domain.modeling.catalog import (
    CatalogState,
    StoredRecord,
)
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry
from server.store.connection import Transaction
from server.store.modeling.catalog import PRODUCT
from server.store.modeling.records import Kind, kept
from server.store.rating import product_graph, rates
from server.store.rating.product_graph import Graph
from server.store.rating.rate_entries import entry_from_row, tiers_from_rows
from server.store.sql import load

SQL = load("validation/validator.sql")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProducts:
    """Products as graphs, with their rates that are not inactive, and the cards and books.

    `anchored` holds the resources that active anchors have; `definitions` holds the states of the
    products that resources are billed as; `unitless` holds the units of rates that are not active
    units of money.
    """

    graphs: Mapping[ProductId, Graph]
    entries: Mapping[ProductId, Sequence[RateCardEntry]]
    cards: Mapping[RateCardId, RateCard]
    books: Sequence[PriceBook]
    anchored: frozenset[ResourceId]
    definitions: Mapping[ProductId, CatalogState]
    unitless: frozenset[str]


async def load_products(tx: Transaction, product_ids: Sequence[ProductId]) -> LoadedProducts:
    """Return the products that exist; the transaction must be a snapshot.

    The graphs share their records: each holds the units and policies of all products.
    """
    entries = await _entries(tx, product_ids)
    card_ids = sorted({record.card_id for same in entries.values() for record in same})
    graphs = await _graphs(tx, product_ids)
    resources = [record.content for graph in graphs.values() for record in graph.resources.values()]
    return LoadedProducts(
        graphs=graphs,
        anchored=await _anchored(tx, {record.id for record in resources}),
        definitions=await _definitions(
            tx, {record.definition_product_id for record in resources} - {None}
        ),
        entries=entries,
        cards=await rates.cards(tx, card_ids),
        books=await _books(tx, card_ids),
        unitless=await _unitless(tx, entries.values()),
    )


async def _graphs(tx: Transaction, product_ids: Sequence[ProductId]) -> dict[ProductId, Graph]:
    """Return products with what they depend on and the selling models of their grants."""
    products = await _kept(tx, PRODUCT, SQL["products"], product_ids)
    graphs = await product_graph.load_graphs(tx, products)
    named = {grant.content.selling_model_id for graph in graphs.values() for grant in graph.grants}
    models = await product_graph.selling_models(tx, named)
    return {product_id: replace(graph, models=models) for product_id, graph in graphs.items()}


async def _entries(
    tx: Transaction, product_ids: Sequence[ProductId]
) -> dict[ProductId, list[RateCardEntry]]:
    tiers = tiers_from_rows(await tx.fetch(SQL["tiers"], tx.tenant_id, product_ids))
    entries: defaultdict[ProductId, list[RateCardEntry]] = defaultdict(list)
    for row in await tx.fetch(SQL["entries"], tx.tenant_id, product_ids):
        key = (row["rate_card_id"], row["entry_id"])
        entries[ProductId(row["product_id"])].append(entry_from_row(row, tiers.get(key, ())))
    return dict(entries)


async def _anchored(tx: Transaction, ids: Iterable[ResourceId]) -> frozenset[ResourceId]:
    rows = await tx.fetch(SQL["anchored"], tx.tenant_id, sorted(ids))
    return frozenset(ResourceId(row["usage_resource_id"]) for row in rows)


async def _definitions(
    tx: Transaction, ids: Iterable[ProductId | None]
) -> dict[ProductId, CatalogState]:
    rows = await tx.fetch(SQL["definitions"], tx.tenant_id, sorted(id_ for id_ in ids if id_))
    return {ProductId(row["product_id"]): CatalogState(row["state"]) for row in rows}


async def _unitless(tx: Transaction, entries: Iterable[Sequence[RateCardEntry]]) -> frozenset[str]:
    units = sorted({entry.currency_code for same in entries for entry in same})
    rows = await tx.fetch(SQL["unitless"], tx.tenant_id, units)
    return frozenset(row["code"] for row in rows)


async def _books(tx: Transaction, card_ids: Sequence[RateCardId]) -> tuple[PriceBook, ...]:
    cards: defaultdict[str, list[RateCardId]] = defaultdict(list)
    for row in await tx.fetch(SQL["books"], tx.tenant_id, card_ids):
        cards[row["price_book_id"]].append(RateCardId(row["rate_card_id"]))
    return tuple(PriceBook(id=PriceBookId(id_), card_ids=tuple(own)) for id_, own in cards.items())


async def _kept(
    tx: Transaction, kind: Kind[T], query: str, ids: Iterable[str]
) -> list[StoredRecord[T]]:
    return [kept(kind, row) for row in await tx.fetch(query, tx.tenant_id, sorted(ids))]
