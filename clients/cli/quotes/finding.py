"""Find the quote that a command is about."""

from collections.abc import Collection
from typing import Annotated

import typer
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageClient
from clients.cli.names import account_name, only
from clients.pages import pages
from clients.screens import last
from clients.values import enum_name

QUOTE = Annotated[
    str,
    typer.Argument(
        metavar="QUOTE|ACCOUNT", help="accounts/ACME/quotes/…, or ACME if only one fits"
    ),
]
ORDERABLE = frozenset({"DRAFT", "APPROVED", "WAITING_FOR_APPROVAL"})
"""The states of quotes that are not decided on yet, or that can be ordered."""

OPEN = ORDERABLE | {"REJECTED", "EXPIRED"}
"""The states of quotes that can be changed."""


async def one_quote(client: UsageClient, name: str, states: Collection[str] = ()) -> quotes.Quote:
    """Return the quote of a name, or the only one of an account in a state. Raises UsageError."""
    if "/quotes/" in name:
        named_quote: quotes.Quote = await client.quotes.GetQuote(quotes.GetQuoteRequest(name=name))
        return named_quote
    account = account_name(name)
    listed = pages(client.quotes.ListQuotes, quotes.ListQuotesRequest(parent=account))
    found: quotes.Quote = await only(
        (one async for one in listed if not states or enum_name(one, "state") in states),
        f"{'open ' if states else ''}quotes of {account}",
        several="name one",
        none=f"`usage quote create {last(account)}` creates one",
    )
    return found
