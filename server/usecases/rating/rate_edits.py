"""Edits of price books and rate cards. They apply at once to what is not sold yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.domain.errors import Aborted, FailedPrecondition, Violation
from server.domain.ids import PriceBookId, RateCardId
from server.domain.rating.rate_cards import PriceBook, RateCard, RowVersion
from server.store.access.tenants import bump_catalog
from server.store.connection import Transaction
from server.store.modeling.edits import MOST_REFERRERS
from server.store.rating import rate_entries
from server.store.rating import rates as store
from server.usecases.rating.rates import by_type, differences, get_book, get_card


@dataclass(frozen=True, slots=True, kw_only=True)
class BookContent:
    """The new content of a price book."""

    display_name: str
    card_ids: tuple[RateCardId, ...]


async def update_book(
    tx: Transaction,
    book_id: PriceBookId,
    revision: int | None,
    merge: Callable[[PriceBook], BookContent],
) -> PriceBook:
    """Replace the content of a book by the result of `merge`.

    Raises PRICE_BOOK_NOT_FOUND, ETAG_MISMATCH, RATE_CARD_NOT_FOUND, RATE_CARD_TYPE_TAKEN, and the
    errors of `merge`.
    """
    await bump_catalog(tx)
    found = await get_book(tx, book_id)
    last = check_etag(f"priceBooks/{book_id}", found.kept, revision)
    content = merge(found)
    cards = by_type(content.card_ids, await store.cards(tx, content.card_ids))
    wanted = PriceBook(id=book_id, display_name=content.display_name, cards=cards)
    if not differences(wanted, found):
        return found
    await store.save_book(tx, wanted, revision=last)
    return await get_book(tx, book_id)


async def delete_book(tx: Transaction, book_id: PriceBookId, revision: int | None) -> None:
    """Delete a book by which nothing was sold.

    Raises PRICE_BOOK_NOT_FOUND, ETAG_MISMATCH, IN_USE.
    """
    await bump_catalog(tx)
    found = await get_book(tx, book_id)
    check_etag(f"priceBooks/{book_id}", found.kept, revision)
    await store.drop_book(tx, found)


async def update_card(
    tx: Transaction,
    card_id: RateCardId,
    revision: int | None,
    merge: Callable[[RateCard], RateCard],
) -> RateCard:
    """Replace the name and days of a card by the result of `merge`.

    Raises RATE_CARD_NOT_FOUND, ETAG_MISMATCH, and the errors of `merge`.
    """
    await bump_catalog(tx)
    found = await get_card(tx, card_id)
    last = check_etag(f"rateCards/{card_id}", found.kept, revision)
    wanted = merge(found)
    if not differences(wanted, found):
        return found
    await store.save_card(tx, wanted, revision=last)
    return await get_card(tx, card_id)


async def delete_card(
    tx: Transaction,
    card_id: RateCardId,
    revision: int | None,
    *,
    with_entries: bool,
) -> None:
    """Delete a card that is in no book, with its entries if requested and none is active.

    Raises RATE_CARD_NOT_FOUND, ETAG_MISMATCH, IN_USE.
    """
    # Serializes with activations, so that no entry becomes active meanwhile.
    await bump_catalog(tx)
    found = await get_card(tx, card_id)
    name = f"rateCards/{card_id}"
    check_etag(name, found.kept, revision)
    referrers = await store.card_referrers(tx, card_id, all_entries=not with_entries)
    if referrers:
        raise _in_use(name, referrers)
    await rate_entries.drop_of_card(tx, card_id)
    await store.drop_card(tx, found)


def check_etag(name: str, kept: RowVersion | None, revision: int | None) -> int:
    """Return the stored revision. Raises ETAG_MISMATCH if it is not the one last seen."""
    assert kept is not None, name
    if revision not in (None, kept.revision):
        text = f"{name} has changed since it was read; read it again"
        raise Aborted("ETAG_MISMATCH", text, {"etag": f'"{kept.revision}"'})
    return kept.revision


def _in_use(name: str, referrers: Sequence[tuple[str, str]]) -> FailedPrecondition:
    violations = tuple(
        Violation(referrer, "IN_USE", f"is {state} and needs {name}")
        for referrer, state in referrers[:MOST_REFERRERS]
    )
    more = f" and {len(referrers) - 1} more" if len(referrers) > 1 else ""
    text = f"{referrers[0][0]}{more} needs {name}"
    return FailedPrecondition("IN_USE", text, {"name": name}, violations)
