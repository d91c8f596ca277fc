"""Price books and rate cards: the check of a book, and deleting a card with its entries.

Books and cards take effect at once, so they count as changes of the catalog.
"""

from dataclasses import replace

from server.domain.rating.rate_cards import PriceBook, RateCard, check_types
from server.store.access.tenants import bump_catalog
from server.store.connection import Transaction
from server.store.rating import rate_entries, rates
from server.usecases.modeling import edits
from server.usecases.modeling.edits import Record


async def check_book(tx: Transaction, wanted: PriceBook) -> PriceBook:
    """Return a book as it is stored. Raises RATE_CARD_NOT_FOUND, RATE_CARD_TYPE_TAKEN."""
    known = await rates.cards(tx, wanted.card_ids)
    return replace(wanted, card_ids=check_types(wanted.card_ids, known))


async def delete_card(tx: Transaction, record: Record[RateCard], *, with_entries: bool) -> None:
    """Delete a card that is in no book, with its entries if requested and none is active.

    Raises RATE_CARD_NOT_FOUND, ETAG_MISMATCH, IN_USE.
    """
    # Serializes with activations, so that no entry becomes active meanwhile.
    await bump_catalog(tx)
    card = await edits.current(tx, record)
    if with_entries:
        await rate_entries.drop_of_card(tx, card.content.id)
    await edits.delete(tx, record)
