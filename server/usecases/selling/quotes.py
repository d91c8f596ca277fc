"""Quotes: proposed sales, with the rates, grants and policies of the catalog frozen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from server.domain.errors import InvalidArgument
from server.domain.ids import AccountId, PriceBookId, QuoteId
from server.domain.selling.quote_states import (
    APPROVABLE,
    CHANGEABLE,
    REJECTABLE,
    check_state,
    quoted_state,
)
from server.domain.selling.quoting import AskedLine
from server.domain.selling.requoting import asked_again
from server.domain.selling.sales import Quote, QuoteState
from server.env import new_id
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.keys import TimeKey
from server.store.selling import quotes
from server.store.selling.quotes import NewQuote, QuoteFilter
from server.usecases.selling.quoting import Quoted, quote_lines, sellable


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateQuote:
    """A proposed sale to an account, at the rates of a price book."""

    account_id: AccountId
    price_book_id: PriceBookId
    lines: tuple[AskedLine, ...]
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAct:
    """A quote to act on, the last revision that the caller saw, and a reason for people."""

    account_id: AccountId
    quote_id: QuoteId
    revision: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateQuote:
    """The new values of a quote's fields; None for a field that stays as it is."""

    act: QuoteAct
    price_book_id: PriceBookId | None = None
    lines: tuple[AskedLine, ...] | None = None
    expire_time: datetime | None = None
    changes_expire_time: bool = False


async def create(tx: Transaction, command: CreateQuote) -> Quote:
    """Create a quote; each line freezes the catalog as of the day on which the line starts.

    Raises ACCOUNT_NOT_FOUND, and the errors of `sellable` and `quote_lines`.
    """
    buyer = await quotes.get_buyer(tx, command.account_id)
    await _check_expiry(tx, command.expire_time, "quote.expire_time")
    products = await sellable(tx, [line.product_id for line in command.lines])
    found = await quote_lines(tx, buyer, command.price_book_id, command.lines, products)
    new = NewQuote(
        id=QuoteId(new_id()),
        price_book_id=command.price_book_id,
        state=quoted_state(found.exceptions),
        lines=found.lines,
        exceptions=found.exceptions,
        expire_time=command.expire_time,
    )
    return await quotes.add(tx, buyer, new)


async def update(tx: Transaction, command: UpdateQuote) -> Quote:
    """Replace fields of a quote; other lines, or another price book, are quoted anew.

    Raises QUOTE_NOT_FOUND, QUOTE_STATE, ETAG_MISMATCH, and the errors of `create`.
    """
    quote = await _lock(tx, command.act)
    check_state(quote, CHANGEABLE, command.act.revision)
    if command.changes_expire_time:
        await _check_expiry(tx, command.expire_time, "quote.expire_time")
        await quotes.set_expiry(tx, quote, command.expire_time)
    if command.lines is not None or command.price_book_id is not None:
        book = command.price_book_id or quote.price_book_id
        await _quote_again(tx, replace(quote, price_book_id=book), command.lines)
    return await quotes.get(tx, quote.account_id, quote.id)


async def reprice(tx: Transaction, act: QuoteAct) -> Quote:
    """Quote all lines of a quote again, with what was negotiated.

    Raises QUOTE_NOT_FOUND, QUOTE_STATE, ETAG_MISMATCH, and the errors of `create`.
    """
    quote = await _lock(tx, act)
    check_state(quote, CHANGEABLE, act.revision)
    await _quote_again(tx, quote, None)
    return await quotes.get(tx, quote.account_id, quote.id)


async def clone(tx: Transaction, act: QuoteAct, expire_time: datetime | None) -> Quote:
    """Create a quote with the lines of another one. Raises the errors of `get` and `create`."""
    source = await quotes.get(tx, act.account_id, act.quote_id)
    buyer = await quotes.get_buyer(tx, act.account_id)
    await _check_expiry(tx, expire_time, "expire_time")
    lines = tuple(replace(line, external_id=None) for line in source.lines)
    found = await _requoted(tx, replace(source, lines=lines), None)
    new = NewQuote(
        id=QuoteId(new_id()),
        price_book_id=source.price_book_id,
        state=quoted_state(found.exceptions),
        lines=found.lines,
        exceptions=found.exceptions,
        expire_time=expire_time,
        cloned_from=source.id,
    )
    return await quotes.add(tx, buyer, new)


async def withdraw(tx: Transaction, act: QuoteAct) -> Quote:
    """Withdraw a quote. Raises QUOTE_NOT_FOUND, QUOTE_STATE, ETAG_MISMATCH."""
    quote = await _lock(tx, act)
    check_state(quote, CHANGEABLE | {QuoteState.WITHDRAWN}, act.revision)
    if quote.state is QuoteState.WITHDRAWN:
        return quote
    return await quotes.decide(tx, quote, QuoteState.WITHDRAWN, act.reason)


async def approve(tx: Transaction, act: QuoteAct) -> Quote:
    """Approve a quote that waits for it. Raises QUOTE_NOT_FOUND, QUOTE_STATE, ETAG_MISMATCH."""
    quote = await _lock(tx, act)
    check_state(quote, APPROVABLE, act.revision)
    return await quotes.decide(tx, quote, QuoteState.APPROVED, act.reason)


async def reject(tx: Transaction, act: QuoteAct) -> Quote:
    """Reject a quote beyond the limits. Raises QUOTE_NOT_FOUND, QUOTE_STATE, ETAG_MISMATCH."""
    quote = await _lock(tx, act)
    check_state(quote, REJECTABLE, act.revision)
    return await quotes.decide(tx, quote, QuoteState.REJECTED, act.reason)


async def get(tx: Transaction, account_id: AccountId, quote_id: QuoteId) -> Quote:
    """Return one quote. Raises QUOTE_NOT_FOUND."""
    return await quotes.get(tx, account_id, quote_id)


async def list_quotes(
    tx: Transaction,
    account_id: AccountId,
    only: QuoteFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[Quote]:
    """Return an account's quotes, newest first. Raises ACCOUNT_NOT_FOUND."""
    await quotes.get_buyer(tx, account_id)
    return await quotes.list_quotes(tx, account_id, only, after=after, limit=limit)


async def _lock(tx: Transaction, act: QuoteAct) -> Quote:
    return await quotes.lock(tx, act.account_id, act.quote_id)


async def _quote_again(tx: Transaction, quote: Quote, lines: Sequence[AskedLine] | None) -> None:
    """Replace the lines of a quote by these, or by its own, as the catalog is now."""
    found = await _requoted(tx, quote, lines)
    state = quoted_state(found.exceptions)
    await quotes.replace_lines(
        tx,
        replace(quote, state=state, lines=found.lines, exceptions=found.exceptions, decision=None),
    )


async def _requoted(tx: Transaction, quote: Quote, lines: Sequence[AskedLine] | None) -> Quoted:
    buyer = await quotes.get_buyer(tx, quote.account_id)
    asked: Sequence[AskedLine]
    if lines is None:
        products = await sellable(tx, [line.product_id for line in quote.lines])
        asked = [asked_again(line) for line in quote.lines]
    else:
        products = await sellable(tx, [line.product_id for line in lines])
        asked = lines
    return await quote_lines(tx, buyer, quote.price_book_id, asked, products)


async def _check_expiry(tx: Transaction, expire_time: datetime | None, path: str) -> None:
    """Raise INTERVAL_INVALID for a time that has passed."""
    if expire_time is not None and expire_time <= await tenants.now(tx):
        raise InvalidArgument.at(path, "INTERVAL_INVALID", "must be in the future")
