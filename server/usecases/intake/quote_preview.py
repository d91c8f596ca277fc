"""Preview a quote: what usage would cost if the quote were activated.

The quote is activated in a transaction that is rolled back, and the usage is previewed in it, so
that a preview cannot differ from what is charged later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from server.domain.calendar import local_midnight
from server.domain.consumption.recording import Usage
from server.domain.errors import FailedPrecondition, InvalidArgument, UsageError
from server.domain.ids import AccountId, AssetId, OrderId, QuoteId
from server.domain.selling.sales import Buyer, Quote, QuoteState
from server.env import new_id
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.selling import orders, quotes
from server.store.selling.orders import NewOrder
from server.usecases.intake.preview import PreviewInputs, PreviewUsage, read_inputs
from server.usecases.lifecycle.order_activation import ActivateOrder, activate_order

ReadLine = Callable[[AssetId], Usage | UsageError]
"""Returns the usage of a line, given the asset that its line of the quote becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewQuote:
    """Lines of usage, each with the position of its line of the quote."""

    account_id: AccountId
    quote_id: QuoteId
    lines: tuple[tuple[int, ReadLine], ...]
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotePreviewInputs:
    """The inputs of the previews, the currency of the account, and the assets of the quote."""

    inputs: PreviewInputs
    currency_code: str
    asset_ids: tuple[AssetId, ...]


async def preview_quote(tx: Transaction, command: PreviewQuote) -> QuotePreviewInputs:
    """Activate a quote and return what usage of its assets is previewed from.

    The transaction must be rolled back. Raises QUOTE_NOT_FOUND, QUOTE_STATE, INTERVAL_INVALID and
    the errors of `activate_order`.
    """
    quote = await quotes.get(tx, command.account_id, command.quote_id)
    if quote.state is QuoteState.ORDERED:
        text = (
            "the quote was ordered; once ActivateOrder has activated its order, PreviewUsage"
            " previews the usage of its assets"
        )
        raise FailedPrecondition("QUOTE_STATE", text, {"state": str(quote.state)})
    buyer = await quotes.get_buyer(tx, command.account_id)
    await tenants.try_time(tx, await _as_of(tx, command, quote, buyer))
    new = NewOrder(
        id=OrderId(new_id()),
        price_book_id=quote.price_book_id,
        lines=quote.lines,
        asset_ids=tuple(AssetId(new_id()) for _ in quote.lines),
    )
    await orders.add_direct(tx, buyer, new)
    await activate_order(tx, ActivateOrder(account_id=buyer.id, order_id=new.id))
    lines = tuple(_usage(new, position, read) for position, read in command.lines)
    inputs = await read_inputs(tx, PreviewUsage(buyer.id, lines))
    return QuotePreviewInputs(
        inputs=inputs, currency_code=buyer.currency_code, asset_ids=new.asset_ids
    )


def _usage(new: NewOrder, position: int, read: ReadLine) -> Usage | UsageError:
    if not 0 <= position < len(new.lines):
        fault = f"must be 0 to {len(new.lines) - 1}, as the quote has {len(new.lines)} lines"
        return InvalidArgument.at("line", "RANGE", fault)
    return read(new.asset_ids[position])


async def _as_of(tx: Transaction, command: PreviewQuote, quote: Quote, buyer: Buyer) -> datetime:
    """Return the time of the preview. Raises INTERVAL_INVALID for a time that has passed."""
    now = await tenants.now(tx)
    if command.as_of is not None:
        if command.as_of < now:
            raise InvalidArgument.at("as_of_time", "INTERVAL_INVALID", "must not be in the past")
        return command.as_of
    used = {position for position, _ in command.lines}
    starts = (
        local_midnight(buyer.zone, line.start_date)
        for position, line in enumerate(quote.lines)
        if position in used
    )
    return max([now, *starts])
