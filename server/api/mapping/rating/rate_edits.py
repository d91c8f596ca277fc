"""Edits of price books, rate cards and entries: requests with a field mask."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from usage_management.v1 import rate_service_pb2 as pb

from server.api import names
from server.api.mapping.rating.rates import (
    book_to_pb,
    card_to_pb,
    create_book_from_pb,
    create_card_from_pb,
    create_entry_from_pb,
    entry_to_pb,
)
from server.api.masks import changeable, overlay, read_mask
from server.api.reader import RequestReader
from server.api.validation import validate
from server.domain.ids import PriceBookId, RateCardId, RateEntryId
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardEntry
from server.usecases.rating.rate_edits import BookContent
from server.usecases.rating.rate_entry_edits import EntryRevision


def book_edit_from_pb(
    request: pb.UpdatePriceBookRequest,
) -> tuple[PriceBookId, int | None, Callable[[PriceBook], BookContent]]:
    """Return the book's id, its revision, and a function that applies the edit.

    Raises InvalidArgument.
    """
    reader = RequestReader(request)
    own = reader.sub("price_book")
    (book_id,), revision = own.name("name", names.PRICE_BOOK), own.etag("etag")
    reader.done()
    change = _change(request, request.price_book)

    def merge(book: PriceBook) -> BookContent:
        creation = pb.CreatePriceBookRequest(price_book_id=book.id, price_book=book_to_pb(book))
        change(creation.price_book)
        validate(creation)
        read = create_book_from_pb(creation)
        return BookContent(display_name=read.display_name, card_ids=read.card_ids)

    return PriceBookId(book_id), revision, merge


def card_edit_from_pb(
    request: pb.UpdateRateCardRequest,
) -> tuple[RateCardId, int | None, Callable[[RateCard], RateCard]]:
    """Return the card's id, its revision, and a function that applies the edit.

    Raises InvalidArgument.
    """
    reader = RequestReader(request)
    own = reader.sub("rate_card")
    (card_id,), revision = own.name("name", names.RATE_CARD), own.etag("etag")
    reader.done()
    change = _change(request, request.rate_card)

    def merge(card: RateCard) -> RateCard:
        creation = pb.CreateRateCardRequest(rate_card_id=card.id, rate_card=card_to_pb(card))
        change(creation.rate_card)
        validate(creation)
        return create_card_from_pb(creation)

    return RateCardId(card_id), revision, merge


def entry_edit_from_pb(
    request: pb.UpdateRateCardEntryRequest,
) -> tuple[EntryRevision, Callable[[RateCardEntry], RateCardEntry]]:
    """Return the entry's id and revision, and a function that applies the edit.

    Raises InvalidArgument.
    """
    reader = RequestReader(request)
    own = reader.sub("rate_card_entry")
    (card_id, entry_id), revision = own.name("name", names.RATE_ENTRY), own.etag("etag")
    reader.done()
    change = _change(request, request.rate_card_entry)

    def merge(current: RateCardEntry) -> RateCardEntry:
        creation = pb.CreateRateCardEntryRequest(
            parent=names.RATE_CARD.of(current.card_id),
            rate_card_entry_id=current.id,
            rate_card_entry=entry_to_pb(current),
        )
        change(creation.rate_card_entry)
        validate(creation)
        return create_entry_from_pb(creation)

    entry = EntryRevision(card_id=RateCardId(card_id), id=RateEntryId(entry_id), revision=revision)
    return entry, merge


def entries_from_reader(reader: RequestReader) -> list[EntryRevision]:
    """Return the entries that a request names. Adds NAME_FORMAT, CODE_FORMAT."""
    return [
        EntryRevision(card_id=RateCardId(card_id), id=RateEntryId(entry_id))
        for card_id, entry_id in reader.names("names", names.RATE_ENTRY)
    ]


def _change(request: Any, given: Message) -> Callable[[Message], None]:
    """Return a function that applies the masked fields. Raises FIELD_MASK_INVALID."""
    mask = read_mask(request.update_mask, changeable(type(given)))
    return lambda whole: overlay(mask, given, whole)
