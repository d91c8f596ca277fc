"""Messages of quotes."""

from datetime import datetime
from typing import TypeAlias

from usage_management.v1 import quote_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import (
    created_from_reader,
    product_from_reader,
)
from server.api.mapping.selling.lines import line_to_pb, lines_from_reader
from server.api.masks import read_mask
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    credential_name,
    decimal_pb,
    enum_pb,
    etag,
    optional_decimal_pb,
    optional_time_pb,
    time_pb,
)
from server.domain.exact import plain
from server.domain.ids import (
    AccountId,
)
from server.domain.selling.sales import (
    Decision,
    LimitKind,
    Quote,
    QuoteException,
    QuoteState,
)
from server.store.selling.quotes import QuoteFilter
from server.usecases.selling.quotes import CreateQuote, QuoteAct, UpdateQuote

CHANGEABLE = frozenset({"lines", "price_book", "expire_time"})

ActRequest: TypeAlias = (
    pb.RepriceQuoteRequest
    | pb.WithdrawQuoteRequest
    | pb.ApproveQuoteRequest
    | pb.RejectQuoteRequest
)


def list_quotes_from_pb(request: pb.ListQuotesRequest) -> tuple[AccountId, QuoteFilter]:
    """Return the account and the filters of a list of quotes. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    only = QuoteFilter(
        state=reader.optional_choice("state", QuoteState),
        product_id=product_from_reader(reader),
        created=created_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), only


def create_quote_from_pb(request: pb.CreateQuoteRequest) -> CreateQuote:
    """Return the command to create a quote. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    quote = reader.sub("quote")
    (price_book_id,) = quote.name("price_book", names.PRICE_BOOK)
    lines = lines_from_reader(quote, account_id)
    expire_time = quote.optional_time("expire_time")
    reader.done()
    return CreateQuote(
        account_id=account_id, price_book_id=price_book_id, lines=lines, expire_time=expire_time
    )


def update_quote_from_pb(request: pb.UpdateQuoteRequest) -> UpdateQuote:
    """Return the command to update a quote. Raises InvalidArgument."""
    reader = RequestReader(request)
    quote = reader.sub("quote")
    account_id, quote_id = quote.name("name", names.QUOTE)
    paths = read_mask(request.update_mask, CHANGEABLE)
    book = quote.name("price_book", names.PRICE_BOOK) if "price_book" in paths else (None,)
    lines = lines_from_reader(quote, account_id) if "lines" in paths else None
    command = UpdateQuote(
        act=QuoteAct(account_id=account_id, quote_id=quote_id, revision=quote.etag("etag")),
        price_book_id=book[0],
        lines=lines,
        expire_time=quote.optional_time("expire_time"),
        changes_expire_time="expire_time" in paths,
    )
    reader.done()
    return command


def clone_quote_from_pb(request: pb.CloneQuoteRequest) -> tuple[QuoteAct, datetime | None]:
    """Return the quote to clone, and the expiry of the clone. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, quote_id = reader.name("name", names.QUOTE)
    expire_time = reader.optional_time("expire_time")
    reader.done()
    return QuoteAct(account_id=account_id, quote_id=quote_id), expire_time


def quote_act_from_pb(request: ActRequest) -> QuoteAct:
    """Return the quote that a call acts on. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, quote_id = reader.name("name", names.QUOTE)
    has_reason = not isinstance(request, pb.RepriceQuoteRequest)
    act = QuoteAct(
        account_id=account_id,
        quote_id=quote_id,
        revision=reader.etag("etag"),
        reason=reader.text("reason") if has_reason else "",
    )
    reader.done()
    return act


def quote_to_pb(quote: Quote) -> pb.Quote:
    """Return a quote."""
    source, decision = quote.cloned_from, quote.decision
    return pb.Quote(
        name=names.QUOTE.of(quote.account_id, quote.id),
        state=enum_pb(pb.Quote.State, quote.state),
        price_book=names.PRICE_BOOK.of(quote.price_book_id),
        lines=[line_to_pb(quote.account_id, line) for line in quote.lines],
        currency_code=quote.currency_code,
        **audit_pb(quote.audit),
        etag=etag(quote.revision),
        expire_time=optional_time_pb(quote.expire_time),
        exceptions=[_exception_to_pb(one) for one in quote.exceptions],
        decision=None if decision is None else decision_to_pb(decision),
        cloned_from=names.QUOTE.of(quote.account_id, source) if source else "",
    )


def _exception_to_pb(exception: QuoteException) -> pb.QuoteException:
    limit, found = plain(exception.limit), exception.percent
    name = names.RESOURCE.of(exception.resource_id)
    percent = "" if found is None else plain(found)
    text = {
        LimitKind.DISCOUNT: f"{percent} % off; the catalog allows {limit} %",
        LimitKind.GRANT_INCREASE: f"{percent} % more is granted; the catalog allows {limit} %",
        LimitKind.GRANT_POLICIES: "the policies of a grant that the catalog limits are negotiated",
    }[exception.kind]
    return pb.QuoteException(
        line=exception.line,
        usage_resource=name,
        kind=enum_pb(pb.QuoteException.Kind, exception.kind),
        limit_percent=decimal_pb(exception.limit),
        percent=optional_decimal_pb(found),
        text=f"line {exception.line + 1}, {name}: {text}",
    )


def decision_to_pb(decision: Decision) -> pb.QuoteDecision:
    """Return an approval, a rejection or a withdrawal."""
    return pb.QuoteDecision(
        reason=decision.reason,
        decided_by=credential_name(decision.decided_by),
        decide_time=time_pb(decision.time),
    )
