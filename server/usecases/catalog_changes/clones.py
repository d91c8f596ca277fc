"""Copies of a product, a rate card or a price book, with the records that belong to it.

Copies are drafts and keep the days of what they copy. Withdrawn records are left out, because a
copy of them would come into force with the others. A clone can be repeated like a create: equal
drafts are returned.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from server.domain.batches import BatchOutcome
from server.domain.errors import AlreadyExists, InvalidArgument, Subject
from server.domain.ids import CODE, PriceBookId, ProductId, RateCardId
from server.domain.limits import value_of
from server.domain.modeling.catalog import CatalogState, Product, StoredRecord
from server.domain.rating.rate_cards import USUAL_SIZE, CardSize, PriceBook, RateCard, RateCardEntry
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.catalog import PRODUCT, PRODUCT_GRANT, PRODUCT_RESOURCE
from server.store.modeling.records import Kind
from server.store.rating import rates
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.rating.rates import PRICE_BOOK, RATE_CARD
from server.usecases.modeling import catalog
from server.usecases.modeling.records import create_one
from server.usecases.rating.rate_entries import create_entries

T = TypeVar("T")

PAGE = 1_000
MOST_RECORDS = value_of("activation.records")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """The id of the record to copy, the id of the copy, and its display name; empty: the same."""

    source_id: str
    id: str
    display_name: str = ""


async def clone_product(tx: Transaction, clone: Clone) -> StoredRecord[Product]:
    """Copy a product with its resources and grants, which keep their ids.

    Raises PRODUCT_NOT_FOUND, CODE_TAKEN, TOO_MANY_ITEMS, and the errors of the records' checks.
    """
    # Serializes with successions, so that resources and grants are of one moment.
    await tenants.bump_catalog(tx)
    source = (await records.get(tx, PRODUCT, clone.source_id)).content
    held = [one async for one in _of_parent(tx, PRODUCT_RESOURCE, source.id)]
    kept = {one.id for one in held}
    all_grants = [one async for one in _of_parent(tx, PRODUCT_GRANT, source.id)]
    grants = [grant for grant in all_grants if grant.held_id in kept]
    _check_size(1 + len(held) + len(grants))
    product_id = ProductId(clone.id)
    wanted = await catalog.check_product(
        tx, replace(source, id=product_id, display_name=clone.display_name or source.display_name)
    )
    product, outcome = await create_one(tx, PRODUCT, wanted)
    children = []
    for one in held:
        copy = await catalog.check_product_resource(tx, replace(one, product_id=product_id))
        children.append((await create_one(tx, PRODUCT_RESOURCE, copy))[1])
    for grant in grants:
        given = await catalog.check_product_grant(tx, replace(grant, product_id=product_id))
        children.append((await create_one(tx, PRODUCT_GRANT, given))[1])
    _check_whole(PRODUCT, product, [outcome, *children])
    return product


async def clone_card(
    tx: Transaction, clone: Clone, most: CardSize = USUAL_SIZE
) -> StoredRecord[RateCard]:
    """Copy a rate card with its entries, which keep their ids.

    Raises RATE_CARD_NOT_FOUND, CODE_TAKEN, and the errors of `create_entries`.
    """
    # Serializes with successions, so that the entries are of one moment.
    await tenants.bump_catalog(tx)
    source = (await records.get(tx, RATE_CARD, clone.source_id)).content
    card_id = RateCardId(clone.id)
    wanted = replace(source, id=card_id, display_name=clone.display_name or source.display_name)
    entries: list[RateCardEntry] = [one async for one in _of_parent(tx, RATE_ENTRY, source.id)]
    card, outcome = await create_one(tx, RATE_CARD, wanted)
    outcomes = [outcome]
    for start in range(0, len(entries), PAGE):
        copies = [replace(entry, card_id=card_id) for entry in entries[start : start + PAGE]]
        try:
            outcomes += [done for _, done in await create_entries(tx, copies, most)]
        except AlreadyExists as error:
            raise _taken(RATE_CARD, wanted, "has other entries under the same ids") from error
    _check_whole(RATE_CARD, card, outcomes)
    return card


async def clone_book(
    tx: Transaction, clone: Clone, most: CardSize = USUAL_SIZE
) -> StoredRecord[PriceBook]:
    """Copy a price book with its cards, whose ids are the book's with their type.

    Raises PRICE_BOOK_NOT_FOUND, CODE_FORMAT, CODE_TAKEN, and the errors of `clone_card`.
    """
    # Serializes with changes of the book and its cards.
    await tenants.bump_catalog(tx)
    source = (await records.get(tx, PRICE_BOOK, clone.source_id)).content
    known = await rates.cards(tx, source.card_ids)
    copies = []
    for card_id in source.card_ids:
        copy_id = f"{clone.id}-{known[card_id].type.lower()}"
        if CODE.fullmatch(copy_id) is None:
            text = (
                f"is too long for the ids of the rate cards, as in {copy_id}; choose a shorter one"
            )
            raise InvalidArgument.at("price_book_id", "CODE_FORMAT", text)
        copies.append((await clone_card(tx, Clone(source_id=card_id, id=copy_id), most)).content.id)
    wanted = replace(
        source,
        id=PriceBookId(clone.id),
        display_name=clone.display_name or source.display_name,
        card_ids=tuple(copies),
    )
    return (await create_one(tx, PRICE_BOOK, wanted))[0]


async def _of_parent(tx: Transaction, kind: Kind[T], parent_id: str) -> AsyncIterator[T]:
    """Yield the contents of a parent's records that were not withdrawn, by id."""
    after: tuple[str, ...] | None = None
    while True:
        page = await records.list_records(tx, kind, parent_id, after=after, limit=PAGE)
        for record in page:
            if record.state is not CatalogState.INACTIVE:
                yield record.content
        if len(page) < PAGE:
            return
        after = kind.key(page[-1].content)


def _check_size(count: int) -> None:
    """Raise TOO_MANY_ITEMS for a copy that could not be activated at once."""
    if count > MOST_RECORDS:
        text = f"has {count} records with its resources and grants; a copy has {MOST_RECORDS}"
        raise InvalidArgument.at(
            "name", "TOO_MANY_ITEMS", text, limit=str(MOST_RECORDS), got=str(count)
        )


def _check_whole(
    kind: Kind[Any], record: StoredRecord[Any], outcomes: Sequence[BatchOutcome]
) -> None:
    """Raise CODE_TAKEN if records would be added to one that exists and is not this copy.

    The first outcome is that of the record itself.
    """
    first, *others = outcomes
    if first is BatchOutcome.CREATED:
        return
    if kind.has_states and record.state is not CatalogState.DRAFT:
        raise _taken(kind, record.content, f"is {record.state}; a copy is a draft")
    if BatchOutcome.CREATED in others:
        raise _taken(kind, record.content, "is there without all records of the copy")


def _taken(kind: Kind[T], content: T, fault: str) -> AlreadyExists:
    name = kind.resource_name(*kind.key(content))
    facts = {"name": name, "fields": "name"}
    text = f"{name} {fault}; choose another id"
    return AlreadyExists("CODE_TAKEN", text, facts, subject=Subject(kind.name, name))
