"""Quotes and their lines, and the fields of the buyer that a sale needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    ExternalId,
    PriceBookId,
    ProductId,
    QuoteId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.selling.sales import (
    Buyer,
    Decision,
    LineResource,
    Quote,
    QuoteException,
    QuoteState,
    RateBasis,
    SaleLine,
)
from server.store.audit import audit_of, credential_id
from server.store.connection import Transaction
from server.store.documents import DocumentCodec
from server.store.keys import ANY_TIME, NO_KEY, TimeKey, TimeWindow
from server.store.modeling import used_records
from server.store.rating.rates import PRICE_BOOK
from server.store.selling.accounts import billing_cycle
from server.store.selling.sold_names import sold_names
from server.store.sql import load

SQL = load("selling/quotes.sql")

RESOURCES: DocumentCodec[tuple[LineResource, ...]] = DocumentCodec(tuple[LineResource, ...])
"""The documents of `quote_lines.resources` and `order_lines.resources`."""

EXCEPTIONS: DocumentCodec[tuple[QuoteException, ...]] = DocumentCodec(tuple[QuoteException, ...])
"""The documents of `quotes.exceptions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuote:
    """A quote to insert."""

    id: QuoteId
    price_book_id: PriceBookId
    state: QuoteState
    lines: tuple[SaleLine, ...]
    exceptions: tuple[QuoteException, ...]
    expire_time: datetime | None
    cloned_from: QuoteId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFilter:
    """The filters of a list of quotes; None for any. `product_id` is that of any line."""

    state: QuoteState | None = None
    product_id: ProductId | None = None
    created: TimeWindow = ANY_TIME


async def get_buyer(tx: Transaction, account_id: AccountId) -> Buyer:
    """Return the buying account. Raises ACCOUNT_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_buyer"], tx.tenant_id, account_id)
    if row is None:
        raise NotFound.of("Account", f"accounts/{account_id}")
    return buyer_from_row(row)


def buyer_from_row(row: Record) -> Buyer:
    """Return the buyer of an account's row."""
    return Buyer(
        id=AccountId(row["account_id"]),
        zone=row["time_zone"],
        currency_code=row["currency_code"],
        billing=billing_cycle(row),
    )


async def add(tx: Transaction, buyer: Buyer, new: NewQuote) -> Quote:
    """Insert a quote and return it."""
    row = await tx.fetchrow(
        SQL["add_quote"],
        tx.tenant_id,
        buyer.id,
        new.id,
        new.state,
        new.price_book_id,
        buyer.currency_code,
        new.expire_time,
        EXCEPTIONS.encode(new.exceptions),
        new.cloned_from,
    )
    assert row is not None, new.id
    await _add_lines(tx, buyer.id, new.id, new.price_book_id, new.lines)
    return Quote(
        id=new.id,
        account_id=buyer.id,
        state=new.state,
        price_book_id=new.price_book_id,
        currency_code=buyer.currency_code,
        lines=new.lines,
        exceptions=new.exceptions,
        expire_time=new.expire_time,
        cloned_from=new.cloned_from,
        revision=row["revision"],
        audit=audit_of(row),
    )


async def replace_lines(tx: Transaction, quote: Quote) -> None:
    """Replace the lines, the price book and the state of a quote, which is locked."""
    args = (tx.tenant_id, quote.account_id, quote.id)
    exceptions = EXCEPTIONS.encode(quote.exceptions)
    await tx.execute(SQL["requote"], *args, quote.state, quote.price_book_id, exceptions)
    await tx.execute(SQL["delete_quote_lines"], *args)
    await _add_lines(tx, quote.account_id, quote.id, quote.price_book_id, quote.lines)


async def set_expiry(tx: Transaction, quote: Quote, expire_time: datetime | None) -> None:
    """Set the time from which on a quote, which is locked, cannot be ordered."""
    args = (tx.tenant_id, quote.account_id, quote.id, expire_time)
    await tx.execute(SQL["set_expiry"], *args)


async def decide(tx: Transaction, quote: Quote, state: QuoteState, reason: str) -> Quote:
    """Approve, reject or withdraw a quote, which is locked, and return it."""
    args = (tx.tenant_id, quote.account_id, quote.id, state, reason)
    await tx.execute(SQL["decide_quote"], *args)
    return await get(tx, quote.account_id, quote.id)


async def _add_lines(
    tx: Transaction,
    account_id: AccountId,
    quote_id: QuoteId,
    price_book_id: PriceBookId,
    lines: Sequence[SaleLine],
) -> None:
    await tx.execute(
        SQL["add_quote_lines"],
        tx.tenant_id,
        account_id,
        quote_id,
        *line_columns(lines),
    )
    names = [*sold_names(account_id, lines), PRICE_BOOK.resource_name(price_book_id)]
    await used_records.add(tx, names)


async def get(tx: Transaction, account_id: AccountId, quote_id: QuoteId) -> Quote:
    """Return one quote. Raises QUOTE_NOT_FOUND."""
    row = await tx.fetchrow(SQL["find_quote"], tx.tenant_id, account_id, quote_id)
    if row is None:
        raise _not_found(account_id, quote_id)
    return (await _whole(tx, account_id, [row]))[0]


async def lock(tx: Transaction, account_id: AccountId, quote_id: QuoteId) -> Quote:
    """Lock a quote until the transaction ends, and return it. Raises QUOTE_NOT_FOUND."""
    if await tx.fetchval(SQL["lock_quote"], tx.tenant_id, account_id, quote_id) is None:
        raise _not_found(account_id, quote_id)
    # Read after the lock, to see what was committed while this transaction waited.
    return await get(tx, account_id, quote_id)


async def list_quotes(
    tx: Transaction,
    account_id: AccountId,
    only: QuoteFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[Quote]:
    """Return an account's quotes, newest first; `after` is the time and id of the last one."""
    filters = (only.state, only.product_id, only.created.start, only.created.end)
    args = (tx.tenant_id, account_id, *(after or NO_KEY), limit, *filters)
    rows = await tx.fetch(SQL["list_quotes"], *args)
    return await _whole(tx, account_id, rows)


async def mark_ordered(tx: Transaction, account_id: AccountId, quote_id: QuoteId) -> None:
    """Mark a quote as ordered."""
    await tx.execute(SQL["mark_ordered"], tx.tenant_id, account_id, quote_id)


def line_columns(lines: Sequence[SaleLine]) -> tuple[list[Any], ...]:
    """Return the columns of lines, the first of which are their positions."""
    return (
        list(range(len(lines))),
        [line.product_id for line in lines],
        [line.quantity for line in lines],
        [line.start_date for line in lines],
        [line.end_date for line in lines],
        [line.binding for line in lines],
        [RESOURCES.encode(line.resources) for line in lines],
        [line.role for line in lines],
        [line.target_id for line in lines],
        [line.selling_model_id for line in lines],
        [line.external_id for line in lines],
        [line.nested for line in lines],
        [line.target_line for line in lines],
        # Joined, because an array of arrays must be rectangular in Postgres.
        [",".join(line.omitted) for line in lines],
        [line.rate_basis for line in lines],
    )


def lines_from_rows(rows: Iterable[Record]) -> dict[UUID, list[SaleLine]]:
    """Return lines by the quote or order they belong to."""
    lines: dict[UUID, list[SaleLine]] = {}
    for row in rows:
        line = SaleLine(
            product_id=ProductId(row["product_id"]),
            quantity=row["quantity"],
            start_date=row["start_date"],
            end_date=row["end_date"],
            role=ProductRole(row["role"]),
            binding=Binding(row["binding"]),
            target_id=row["target_id"],
            target_line=row["target_line"],
            selling_model_id=_optional_model(row["selling_model_id"]),
            external_id=_optional_external(row["external_id"]),
            nested=row["nested"],
            omitted=tuple(map(ResourceId, filter(None, row["omitted"].split(",")))),
            rate_basis=RateBasis(row["rate_basis"]),
            resources=RESOURCES.decode(row["resources"]),
        )
        lines.setdefault(row["sale_id"], []).append(line)
    return lines


def _optional_model(id_: str | None) -> SellingModelId | None:
    return None if id_ is None else SellingModelId(id_)


def _optional_external(id_: str | None) -> ExternalId | None:
    return None if id_ is None else ExternalId(id_)


async def _whole(tx: Transaction, account_id: AccountId, rows: Sequence[Record]) -> list[Quote]:
    ids = [row["quote_id"] for row in rows]
    lines = lines_from_rows(await tx.fetch(SQL["quote_lines"], tx.tenant_id, account_id, ids))
    return [
        Quote(
            id=QuoteId(row["quote_id"]),
            account_id=AccountId(row["account_id"]),
            state=QuoteState(row["state"]),
            price_book_id=PriceBookId(row["price_book_id"]),
            currency_code=row["currency_code"],
            lines=tuple(lines.get(row["quote_id"], ())),
            exceptions=EXCEPTIONS.decode(row["exceptions"]),
            expire_time=row["expire_time"],
            decision=decision_of(row),
            cloned_from=None if row["cloned_from"] is None else QuoteId(row["cloned_from"]),
            revision=row["revision"],
            audit=audit_of(row),
        )
        for row in rows
    ]


def decision_of(row: Record) -> Decision | None:
    """Return the decision in the row of a quote, if there is one."""
    if row["decide_time"] is None:
        return None
    return Decision(
        reason=row["decide_reason"],
        decided_by=credential_id(row["decided_by"]),
        time=row["decide_time"],
    )


def _not_found(account_id: AccountId, quote_id: QuoteId) -> NotFound:
    return NotFound.of("Quote", f"accounts/{account_id}/quotes/{quote_id}")
