"""The states of a quote, and the acts that each of them allows."""

from collections.abc import Collection, Sequence

from server.domain.errors import Aborted, FailedPrecondition
from server.domain.selling.sales import Quote, QuoteException, QuoteState

CHANGEABLE = frozenset(
    {
        QuoteState.DRAFT,
        QuoteState.WAITING_FOR_APPROVAL,
        QuoteState.APPROVED,
        QuoteState.REJECTED,
        QuoteState.EXPIRED,
    }
)
"""The states in which a quote can be changed, repriced and withdrawn."""

APPROVABLE = frozenset({QuoteState.WAITING_FOR_APPROVAL, QuoteState.REJECTED})
REJECTABLE = frozenset({QuoteState.WAITING_FOR_APPROVAL, QuoteState.APPROVED})

_ADVICE = {
    QuoteState.DRAFT: "it needs no approval; CreateOrder orders it",
    QuoteState.WAITING_FOR_APPROVAL: "ApproveQuote or RejectQuote decides on it",
    QuoteState.APPROVED: "CreateOrder orders it",
    QuoteState.REJECTED: "UpdateQuote changes its terms, so that it waits for approval again",
    QuoteState.EXPIRED: "UpdateQuote gives it a later expire_time",
    QuoteState.WITHDRAWN: "CloneQuote makes a new quote of it",
    QuoteState.ORDERED: "CloneQuote makes a new quote of it",
}


def quoted_state(exceptions: Sequence[QuoteException]) -> QuoteState:
    """Return the state of a quote whose lines were just quoted."""
    return QuoteState.WAITING_FOR_APPROVAL if exceptions else QuoteState.DRAFT


def check_state(quote: Quote, allowed: Collection[QuoteState], revision: int | None) -> None:
    """Raise QUOTE_STATE unless a quote is in one of the states, or ETAG_MISMATCH."""
    if revision not in (None, quote.revision):
        raise Aborted("ETAG_MISMATCH", "the quote has changed since it was read; read it again")
    if quote.state not in allowed:
        raise _refused(quote)


def check_orderable(quote: Quote) -> None:
    """Raise APPROVAL_REQUIRED, QUOTE_EXPIRED or QUOTE_STATE unless a quote can be ordered."""
    facts = {"state": str(quote.state)}
    match quote.state:
        case QuoteState.DRAFT | QuoteState.APPROVED:
            return
        case QuoteState.WAITING_FOR_APPROVAL:
            text = (
                f"{len(quote.exceptions)} of its terms go beyond the limits of the catalog; have it"
                " approved by ApproveQuote, or change them by UpdateQuote"
            )
            raise FailedPrecondition("APPROVAL_REQUIRED", text, facts)
        case QuoteState.EXPIRED:
            assert quote.expire_time is not None, quote
            text = (
                f"the quote expired at {quote.expire_time.isoformat()}; give it a later expire_time"
                " by UpdateQuote, or clone it by CloneQuote"
            )
            raise FailedPrecondition("QUOTE_EXPIRED", text, facts)
        case _:
            raise _refused(quote)


def check_within_limits(exceptions: Sequence[QuoteException]) -> None:
    """Raise APPROVAL_REQUIRED for terms of a direct order that go beyond a limit of the catalog."""
    if exceptions:
        first = exceptions[0]
        text = (
            f"line {first.line + 1}: the terms of {first.resource_id} go beyond a limit of the"
            " catalog; create a quote, and have it approved by ApproveQuote"
        )
        facts = {"line": str(first.line), "usage_resource": first.resource_id}
        raise FailedPrecondition("APPROVAL_REQUIRED", text, facts)


def _refused(quote: Quote) -> FailedPrecondition:
    text = f"the quote is {quote.state}; {_ADVICE[quote.state]}"
    return FailedPrecondition("QUOTE_STATE", text, {"state": str(quote.state)})
