"""Price books and rate cards: insert, find, list, update and delete."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
from asyncpg import Record

from server.domain.errors import FailedPrecondition
from server.domain.ids import PriceBookId, RateCardId
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardType, RowVersion
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.modeling.edits import check_done
from server.store.sql import load

SQL = load("rating/rates.sql")


async def add_card(tx: Transaction, card: RateCard) -> bool:
    """Insert a card; return False if its id is taken, in any case."""
    added = await tx.fetchval(
        SQL["add_card"], tx.tenant_id, card.id, card.display_name, card.type, card.start, card.end
    )
    return added is not None


async def find_card(tx: Transaction, card_id: RateCardId) -> RateCard | None:
    """Return the card with this id, whatever its case."""
    row = await tx.fetchrow(SQL["find_card"], tx.tenant_id, card_id)
    return None if row is None else _card(row)


async def cards(tx: Transaction, card_ids: Sequence[RateCardId]) -> dict[RateCardId, RateCard]:
    """Return the cards that exist, by id."""
    rows = await tx.fetch(SQL["cards"], tx.tenant_id, card_ids)
    return {card.id: card for card in map(_card, rows)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFilter:
    """The filters of a list of cards; None for any."""

    type: RateCardType | None = None
    day: date | None = None


ANY_CARD = CardFilter()


async def list_cards(
    tx: Transaction,
    *,
    after: tuple[str] | None,
    limit: int,
    only: CardFilter = ANY_CARD,
) -> list[RateCard]:
    """Return cards by id; `after` is the id of the last one seen."""
    last = after[0] if after else ""
    rows = await tx.fetch(SQL["list_cards"], tx.tenant_id, last, limit, only.type, only.day)
    return [_card(row) for row in rows]


async def add_book(tx: Transaction, book: PriceBook) -> bool:
    """Insert a book with its cards; return False if its id is taken, in any case."""
    if await tx.fetchval(SQL["add_book"], tx.tenant_id, book.id, book.display_name) is None:
        return False
    await _add_book_cards(tx, book)
    return True


async def find_book(tx: Transaction, book_id: PriceBookId) -> PriceBook | None:
    """Return the book with this id, whatever its case."""
    row = await tx.fetchrow(SQL["find_book"], tx.tenant_id, book_id)
    return None if row is None else (await _books(tx, [row]))[0]


async def list_books(tx: Transaction, *, after: tuple[str] | None, limit: int) -> list[PriceBook]:
    """Return books by id; `after` is the id of the last one seen."""
    rows = await tx.fetch(SQL["list_books"], tx.tenant_id, after[0] if after else "", limit)
    return await _books(tx, rows)


async def save_card(tx: Transaction, card: RateCard, *, revision: int) -> None:
    """Update the name and the dates of a card. Raises CONCURRENT_CHANGE."""
    args = (tx.tenant_id, card.id, card.display_name, card.start, card.end, revision)
    check_done(await tx.execute(SQL["save_card"], *args))


async def drop_card(tx: Transaction, card: RateCard) -> None:
    """Delete a card that has no entries left. Raises CONCURRENT_CHANGE."""
    assert card.kept is not None, card
    args = (tx.tenant_id, card.id, card.kept.revision)
    check_done(await tx.execute(SQL["drop_card"], *args))


async def card_referrers(
    tx: Transaction, card_id: RateCardId, *, all_entries: bool
) -> list[tuple[str, str]]:
    """Return the names and states of the records that prevent deleting a card.

    Its entries count if they are active, or all of them with `all_entries`. The list has at most
    one more than the number that an error names.
    """
    rows = await tx.fetch(SQL["card_referrers"], tx.tenant_id, card_id, all_entries)
    return [(row["name"], row["state"]) for row in rows]


async def save_book(tx: Transaction, book: PriceBook, *, revision: int) -> None:
    """Update the name and the cards of a book. Raises CONCURRENT_CHANGE."""
    args = (tx.tenant_id, book.id, book.display_name, revision)
    # First: it raises if the book has changed, and locks it while its cards are replaced.
    check_done(await tx.execute(SQL["save_book"], *args))
    await tx.execute(SQL["drop_book_cards"], tx.tenant_id, book.id)
    await _add_book_cards(tx, book)


async def drop_book(tx: Transaction, book: PriceBook) -> None:
    """Delete a book. Raises CONCURRENT_CHANGE, and IN_USE if something was quoted by it."""
    assert book.kept is not None, book
    await tx.execute(SQL["drop_book_cards"], tx.tenant_id, book.id)
    try:
        done = await tx.execute(SQL["drop_book"], tx.tenant_id, book.id, book.kept.revision)
    # Deleting is the check: a quote made after an earlier look would be missed.
    except asyncpg.ForeignKeyViolationError as error:
        name = f"priceBooks/{book.id}"
        text = f"something was quoted or sold by {name}, so it cannot be deleted"
        raise FailedPrecondition("IN_USE", text, {"name": name}) from error
    check_done(done)


async def _books(tx: Transaction, rows: Sequence[Record]) -> list[PriceBook]:
    cards: defaultdict[str, dict[RateCardType, RateCardId]] = defaultdict(dict)
    ids = [row["price_book_id"] for row in rows]
    for row in await tx.fetch(SQL["book_cards"], tx.tenant_id, ids):
        kind = RateCardType(row["type"])
        cards[row["price_book_id"]][kind] = RateCardId(row["rate_card_id"])
    return [
        PriceBook(
            id=PriceBookId(row["price_book_id"]),
            display_name=row["display_name"],
            cards=cards[row["price_book_id"]],
            kept=kept(row),
        )
        for row in rows
    ]


async def _add_book_cards(tx: Transaction, book: PriceBook) -> None:
    types, card_ids = list(book.cards), list(book.cards.values())
    await tx.execute(SQL["add_book_cards"], tx.tenant_id, book.id, types, card_ids)


def _card(row: Record) -> RateCard:
    return RateCard(
        id=RateCardId(row["rate_card_id"]),
        display_name=row["display_name"],
        type=RateCardType(row["type"]),
        start=row["start_date"],
        end=row["end_date"],
        kept=kept(row),
    )


def kept(row: Record) -> RowVersion:
    """Return the revision and the audit columns of a row."""
    return RowVersion(revision=row["revision"], audit=audit_of(row))
