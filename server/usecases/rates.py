"""Price books, rate cards and entries: made once, read, listed.

Making the same thing twice is making it once. Books and cards take effect at once, so they count as
changes of the catalogue; entries are drafts until their product is activated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from server.domain.errors import AlreadyExists, InvalidArgument, NotFound, Subject
from server.domain.ids import PriceBookId, RateCardId, RateEntryId, TenantId
from server.domain.rate_cards import PriceBook, RateCard, RateCardEntry, RateCardType, checked
from server.domain.units import UnitClassKind
from server.store import rates, records
from server.store.catalog import UNIT, UNIT_CLASS
from server.store.pool import Connection
from server.store.rates import ANY_CARD, ANY_ENTRY, CardFilter, EntryFilter
from server.store.tenants import bump_catalogue
from server.usecases.currencies import is_currency

T = TypeVar("T", PriceBook, RateCard, RateCardEntry)

# What the wire calls the parts of a thing; the rest have the same name there.
_FIELDS = {
    "start": "start_date",
    "end": "end_date",
    "cards": "rate_cards",
    "product_id": "product",
    "resource_id": "usage_resource",
    "per": "tier_per",
    "bounds": "tiers",
    "mode": "tiers",
    "is_negotiable": "negotiability",
}
_NOT_CONTENT = ("kept", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePriceBook:
    """The book to make, and its cards in the order given."""

    book_id: PriceBookId
    display_name: str
    card_ids: tuple[RateCardId, ...]


async def create_book(tx: Connection, tenant_id: TenantId, command: CreatePriceBook) -> PriceBook:
    """Make a price book. Raises RATE_CARD_NOT_FOUND, RATE_CARD_TYPE_TAKEN, CODE_TAKEN."""
    known = await rates.cards(tx, tenant_id, command.card_ids)
    cards = _by_type(command.card_ids, known)
    book = PriceBook(id=command.book_id, display_name=command.display_name, cards=cards)
    if await rates.add_book(tx, tenant_id, book):
        await bump_catalogue(tx, tenant_id)
    name = f"priceBooks/{book.id}"
    return _same(book, await rates.find_book(tx, tenant_id, book.id), "PriceBook", name)


async def get_book(tx: Connection, tenant_id: TenantId, book_id: PriceBookId) -> PriceBook:
    """One price book. Raises PRICE_BOOK_NOT_FOUND."""
    book = await rates.find_book(tx, tenant_id, book_id)
    if book is None or book.id != book_id:
        raise NotFound.of("PriceBook", f"priceBooks/{book_id}")
    return book


async def list_books(
    tx: Connection, tenant_id: TenantId, *, after: tuple[str, ...] | None, limit: int
) -> list[PriceBook]:
    """Price books by id."""
    return await rates.list_books(tx, tenant_id, after=after, limit=limit)


async def create_card(tx: Connection, tenant_id: TenantId, card: RateCard) -> RateCard:
    """Make a rate card. Raises CODE_TAKEN."""
    if await rates.add_card(tx, tenant_id, card):
        await bump_catalogue(tx, tenant_id)
    name = f"rateCards/{card.id}"
    return _same(card, await rates.find_card(tx, tenant_id, card.id), "RateCard", name)


async def get_card(tx: Connection, tenant_id: TenantId, card_id: RateCardId) -> RateCard:
    """One rate card. Raises RATE_CARD_NOT_FOUND."""
    card = await rates.find_card(tx, tenant_id, card_id)
    if card is None or card.id != card_id:
        raise NotFound.of("RateCard", f"rateCards/{card_id}")
    return card


async def list_cards(
    tx: Connection,
    tenant_id: TenantId,
    only: CardFilter = ANY_CARD,
    *,
    after: tuple[str, ...] | None,
    limit: int,
) -> list[RateCard]:
    """Rate cards by id."""
    return await rates.list_cards(tx, tenant_id, after=after, limit=limit, only=only)


async def create_entry(tx: Connection, tenant_id: TenantId, entry: RateCardEntry) -> RateCardEntry:
    """Add a draft to a card.

    Raises RATE_CARD_NOT_FOUND, PRODUCT_USAGE_RESOURCE_NOT_FOUND, FIELD_REQUIRED,
    RATE_CARD_TYPE_MISMATCH, CURRENCY_MISMATCH, TIERS_INVALID, UNIT_OF_MEASURE_NOT_FOUND,
    TOKEN_RESOURCE, CODE_TAKEN.
    """
    wanted = await checked_entry(tx, tenant_id, entry)
    await rates.add_entry(tx, tenant_id, wanted)
    found = await rates.find_entry(tx, tenant_id, entry.card_id, entry.id)
    return _same(wanted, found, "RateCardEntry", f"rateCards/{entry.card_id}/entries/{entry.id}")


async def checked_entry(tx: Connection, tenant_id: TenantId, entry: RateCardEntry) -> RateCardEntry:
    """The entry as its card keeps it. Raises what `create_entry` raises but CODE_TAKEN."""
    card = await get_card(tx, tenant_id, entry.card_id)
    product_id, resource_id = entry.product_id, entry.resource_id
    scale = await rates.resource_scale(tx, tenant_id, product_id, resource_id)
    if scale is None:
        name = f"products/{product_id}/usageResources/{resource_id}"
        raise NotFound.of("ProductUsageResource", name)
    wanted = checked(entry, card.type, scale=scale)
    if not is_currency(entry.currency_code):
        await _check_token(tx, tenant_id, entry.currency_code)
    return wanted


async def get_entry(
    tx: Connection, tenant_id: TenantId, card_id: RateCardId, entry_id: RateEntryId
) -> RateCardEntry:
    """One entry. Raises RATE_CARD_ENTRY_NOT_FOUND."""
    entry = await rates.find_entry(tx, tenant_id, card_id, entry_id)
    if entry is None or entry.id != entry_id:
        raise NotFound.of("RateCardEntry", f"rateCards/{card_id}/entries/{entry_id}")
    return entry


async def list_entries(
    tx: Connection,
    tenant_id: TenantId,
    card_id: RateCardId,
    only: EntryFilter = ANY_ENTRY,
    *,
    after: tuple[str, ...] | None,
    limit: int,
) -> list[RateCardEntry]:
    """The entries of a card by id. Raises RATE_CARD_NOT_FOUND."""
    await get_card(tx, tenant_id, card_id)
    return await rates.list_entries(tx, tenant_id, card_id, only, after=after, limit=limit)


async def _check_token(tx: Connection, tenant_id: TenantId, unit_id: str) -> None:
    """What is no money has to be a token."""
    unit = (await records.get(tx, tenant_id, UNIT, unit_id)).content
    unit_class = (await records.get(tx, tenant_id, UNIT_CLASS, unit.unit_class_id)).content
    if unit_class.kind is not UnitClassKind.TOKEN:
        text = f"unitsOfMeasure/{unit_id} is a unit of {unit_class.kind}, not of a token"
        raise InvalidArgument.at("rate_card_entry.token_unit", "TOKEN_RESOURCE", text)


def _by_type(
    card_ids: Sequence[RateCardId], known: dict[RateCardId, RateCard]
) -> dict[RateCardType, RateCardId]:
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


def _same(wanted: T, found: T | None, kind: str, name: str) -> T:
    """What is there, which has to be what was wanted. Raises CODE_TAKEN."""
    assert found is not None, name
    different = ["name"] if found.id != wanted.id else _differences(wanted, found)
    if different:
        raise AlreadyExists(
            "CODE_TAKEN",
            f"there is a {kind} named {name} with other content ({', '.join(different)})",
            {"name": name, "fields": ", ".join(different), "taken_by": found.id},
            subject=Subject(kind, name),
        )
    return found


def _differences(wanted: T, found: T) -> list[str]:
    kept = replace(wanted, kept=found.kept)
    names = (field.name for field in fields(kept) if field.name not in _NOT_CONTENT)
    different = [name for name in names if getattr(kept, name) != getattr(found, name)]
    return list(dict.fromkeys(_FIELDS.get(name, name) for name in different))
