"""Price books and rate cards: the queries and row mapping of each kind."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from asyncpg import Record

from server.domain.ids import PriceBookId, RateCardId
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardType
from server.store.connection import Transaction
from server.store.modeling.records import Kind, Parts
from server.store.sql import load

SQL = load("rating/rates.sql")

ON_DATE = "daterange(start_date, end_date) @> {}::date"


async def cards(tx: Transaction, card_ids: Sequence[RateCardId]) -> dict[RateCardId, RateCard]:
    """Return the cards that exist, by id."""
    rows = await tx.fetch(SQL["cards"], tx.tenant_id, card_ids)
    return {card.id: card for card in map(_card, rows)}


def _card(row: Record) -> RateCard:
    return RateCard(
        id=RateCardId(row["rate_card_id"]),
        display_name=row["display_name"],
        type=RateCardType(row["type"]),
        start=row["start_date"],
        end=row["end_date"],
    )


RATE_CARD: Kind[RateCard] = Kind(
    name="RateCard",
    pattern="rateCards/{}",
    table="rate_cards",
    columns=("rate_card_id", "display_name", "type", "start_date", "end_date"),
    filters=("type", ON_DATE),
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.type,
        record.start,
        record.end,
    ),
    from_row=_card,
    fields={"start": "start_date", "end": "end_date"},
    has_states=False,
)


async def _read_books(tx: Transaction, rows: Sequence[Record]) -> list[PriceBook]:
    cards: defaultdict[str, list[RateCardId]] = defaultdict(list)
    ids = [row["price_book_id"] for row in rows]
    for row in await tx.fetch(SQL["book_cards"], tx.tenant_id, ids):
        cards[row["price_book_id"]].append(RateCardId(row["rate_card_id"]))
    return [_book(row, cards[row["price_book_id"]]) for row in rows]


def _book(row: Record, card_ids: Sequence[RateCardId] = ()) -> PriceBook:
    return PriceBook(
        id=PriceBookId(row["price_book_id"]),
        display_name=row["display_name"],
        card_ids=tuple(card_ids),
    )


async def _add_cards(tx: Transaction, book: PriceBook) -> None:
    await tx.execute(SQL["add_book_cards"], tx.tenant_id, book.id, book.card_ids)


async def _drop_cards(tx: Transaction, *key: Any) -> None:
    await tx.execute(SQL["drop_book_cards"], tx.tenant_id, *key)


PRICE_BOOK: Kind[PriceBook] = Kind(
    name="PriceBook",
    pattern="priceBooks/{}",
    table="price_books",
    columns=("price_book_id", "display_name"),
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name),
    from_row=_book,
    fields={"card_ids": "rate_cards"},
    has_states=False,
    parts=Parts(add=_add_cards, read=_read_books, drop=_drop_cards),
)
