"""Price books and rate cards: create, get, list.

Creating one twice has the effect of creating it once. Books and cards take effect at once, so they
count as changes of the catalog.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from server.domain.errors import AlreadyExists, NotFound, Subject
from server.domain.ids import PriceBookId, RateCardId
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry, RateCardType
from server.store.access.tenants import bump_catalog
from server.store.connection import Transaction
from server.store.rating import rates
from server.store.rating.rates import ANY_CARD, CardFilter

T = TypeVar("T", PriceBook, RateCard, RateCardEntry)

# The names of fields in the API, where they differ from those here.
FIELDS = {
    "start": "start_date",
    "end": "end_date",
    "cards": "rate_cards",
    "product_id": "product",
    "resource_id": "usage_resource",
    "selling_model_id": "selling_model",
    "per": "tier_per",
    "bounds": "tiers",
    "mode": "tiers",
    "is_negotiable": "negotiability",
}
NOT_CONTENT = ("kept", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePriceBook:
    """The book to create, and its cards in the given order."""

    book_id: PriceBookId
    display_name: str
    card_ids: tuple[RateCardId, ...]


async def create_book(tx: Transaction, command: CreatePriceBook) -> PriceBook:
    """Create a price book. Raises RATE_CARD_NOT_FOUND, RATE_CARD_TYPE_TAKEN, CODE_TAKEN."""
    known = await rates.cards(tx, command.card_ids)
    cards = by_type(command.card_ids, known)
    book = PriceBook(id=command.book_id, display_name=command.display_name, cards=cards)
    if await rates.add_book(tx, book):
        await bump_catalog(tx)
    name = f"priceBooks/{book.id}"
    return same(book, await rates.find_book(tx, book.id), "PriceBook", name)


async def get_book(tx: Transaction, book_id: PriceBookId) -> PriceBook:
    """Return one price book. Raises PRICE_BOOK_NOT_FOUND."""
    book = await rates.find_book(tx, book_id)
    if book is None or book.id != book_id:
        raise NotFound.of("PriceBook", f"priceBooks/{book_id}")
    return book


async def list_books(tx: Transaction, *, after: tuple[str] | None, limit: int) -> list[PriceBook]:
    """Return price books by id."""
    return await rates.list_books(tx, after=after, limit=limit)


async def create_card(tx: Transaction, card: RateCard) -> RateCard:
    """Create a rate card. Raises CODE_TAKEN."""
    if await rates.add_card(tx, card):
        await bump_catalog(tx)
    name = f"rateCards/{card.id}"
    return same(card, await rates.find_card(tx, card.id), "RateCard", name)


async def get_card(tx: Transaction, card_id: RateCardId) -> RateCard:
    """Return one rate card. Raises RATE_CARD_NOT_FOUND."""
    card = await rates.find_card(tx, card_id)
    if card is None or card.id != card_id:
        raise NotFound.of("RateCard", f"rateCards/{card_id}")
    return card


async def list_cards(
    tx: Transaction,
    only: CardFilter = ANY_CARD,
    *,
    after: tuple[str] | None,
    limit: int,
) -> list[RateCard]:
    """Return rate cards by id."""
    return await rates.list_cards(tx, after=after, limit=limit, only=only)


def by_type(
    card_ids: Sequence[RateCardId], known: dict[RateCardId, RateCard]
) -> dict[RateCardType, RateCardId]:
    """Return the cards of a book by type. Raises RATE_CARD_NOT_FOUND, RATE_CARD_TYPE_TAKEN."""
    found: dict[RateCardType, RateCardId] = {}
    for card_id in card_ids:
        if card_id not in known:
            raise NotFound.of("RateCard", f"rateCards/{card_id}")
        kind = known[card_id].type
        if kind in found:
            raise AlreadyExists(
                "RATE_CARD_TYPE_TAKEN",
                f"{card_id} and {found[kind]} are both of type {kind}; a book has one of each",
                {"type": kind, "rate_card": card_id, "other_rate_card": found[kind]},
                subject=Subject("RateCard", f"rateCards/{found[kind]}"),
            )
        found[kind] = card_id
    return found


def same(wanted: T, found: T | None, kind: str, name: str) -> T:
    """Return the existing record if it equals the wanted one. Raises CODE_TAKEN."""
    assert found is not None, name
    # Ids are matched without case, so an existing id may differ from the wanted one in case only.
    different = ["name"] if found.id != wanted.id else differences(wanted, found)
    if different:
        raise AlreadyExists(
            "CODE_TAKEN",
            f"there is a {kind} named {name} with other content ({', '.join(different)})",
            {"name": name, "fields": ", ".join(different), "taken_by": found.id},
            subject=Subject(kind, name),
        )
    return found


def differences(wanted: T, found: T) -> list[str]:
    """Return the fields in which two records differ, by their names in the API."""
    names = (field.name for field in fields(wanted) if field.name not in NOT_CONTENT)
    different = [name for name in names if getattr(wanted, name) != getattr(found, name)]
    return list(dict.fromkeys(FIELDS.get(name, name) for name in different))
