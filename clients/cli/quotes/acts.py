"""Acts on a quote before it is ordered: negotiate, reprice, clone, approve, reject, withdraw."""

from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageClient
from clients.cli.names import stamp, zone_of
from clients.cli.quotes.finding import OPEN, QUOTE, one_quote
from clients.cli.sale_screens import quote_screen
from clients.cli.session import MISUSED, Session, fail, session
from clients.cli.setup import end_unread
from clients.descriptions import DescriptionError, read
from clients.screens import last

REASON = Annotated[str, typer.Option(help="the reason, for people; it is kept with the quote")]
EXPIRES = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="the time from which on it cannot be ordered"),
]
# The server sets these; a line is sent back without them.
_OUTPUT = ("resources", "warnings")


def negotiate(
    context: typer.Context,
    name: QUOTE,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="YAML or JSON with fields of a line, such as `negotiated_rates` and"
            " `negotiated_grants`; each field replaces that of the line",
        ),
    ],
    line: Annotated[
        int | None, typer.Option(min=1, help="the number of the line, from 1; the only one")
    ] = None,
) -> None:
    """Change the terms of a line of a quote by a file; the line is quoted again."""
    now = session(context)
    try:
        wanted = read(file).into(quotes.SaleLine())
    except DescriptionError as error:
        end_unread(now, file, error.faults)

    async def work(client: UsageClient) -> None:
        found = await one_quote(client, name, OPEN)
        lines = _lines(found, _position(found, line), wanted)
        changed = quotes.Quote(name=found.name, etag=found.etag, lines=lines)
        request = quotes.UpdateQuoteRequest(quote=changed, update_mask=FieldMask(paths=["lines"]))
        _show(now, await client.quotes.UpdateQuote(request))

    now.run(work)


def expire(context: typer.Context, name: QUOTE, at: EXPIRES = None) -> None:
    """Set the time from which on a quote cannot be ordered; without a time it does not expire."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await one_quote(client, name, OPEN)
        changed = quotes.Quote(name=found.name, etag=found.etag)
        if at:
            zone = await zone_of(client, found.name.partition("/quotes/")[0])
            changed.expire_time.CopyFrom(stamp(at, zone))
        mask = FieldMask(paths=["expire_time"])
        request = quotes.UpdateQuoteRequest(quote=changed, update_mask=mask)
        _show(now, await client.quotes.UpdateQuote(request))

    now.run(work)


def reprice(context: typer.Context, name: QUOTE) -> None:
    """Quote all lines again at the catalog of now; what was negotiated stays."""
    _act(context, name, "Reprice")


def clone(context: typer.Context, name: QUOTE) -> None:
    """Make a new quote of one in any state, at the catalog of now."""
    _act(context, name, "Clone", states=frozenset())


def withdraw(context: typer.Context, name: QUOTE, reason: REASON = "") -> None:
    """Withdraw a quote, so that it cannot be ordered."""
    _act(context, name, "Withdraw", reason=reason)


def approve(context: typer.Context, name: QUOTE, reason: REASON = "") -> None:
    """Approve a quote whose terms go beyond the limits of the catalog."""
    _act(context, name, "Approve", reason=reason)


def reject(
    context: typer.Context,
    name: QUOTE,
    reason: Annotated[str, typer.Option(help="the reason, for people; it is kept with the quote")],
) -> None:
    """Reject a quote whose terms go beyond the limits of the catalog."""
    _act(context, name, "Reject", reason=reason)


def _act(
    context: typer.Context,
    name: str,
    verb: str,
    *,
    states: frozenset[str] = OPEN,
    **fields: Any,
) -> None:
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await one_quote(client, name, states)
        # What was read is what is decided on; a clone is made of whatever there is.
        if verb != "Clone":
            fields["etag"] = found.etag
        request = getattr(quotes, f"{verb}QuoteRequest")(name=found.name, **fields)
        _show(now, await getattr(client.quotes, f"{verb}Quote")(request))

    now.run(work)


def _show(now: Session, made: quotes.Quote) -> None:
    now.show(made, "", *quote_screen(made))
    if made.state in (quotes.Quote.DRAFT, quotes.Quote.APPROVED):
        now.hint(f"order create {made.name}")
    elif made.state == quotes.Quote.WAITING_FOR_APPROVAL:
        now.hint(f"quote approve {made.name}")


def _position(found: quotes.Quote, line: int | None) -> int:
    """Return the position of the line that is meant. Ends the program if that is unclear."""
    count = len(found.lines)
    if line is None and count > 1:
        products = ", ".join(f"{n} {last(one.product)}" for n, one in enumerate(found.lines, 1))
        fail(MISUSED, f"the quote has {count} lines; choose one by --line: {products}")
    if (line or 1) > count:
        fail(MISUSED, f"the quote has {count} lines; there is no line {line}")
    return (line or 1) - 1


def _lines(found: quotes.Quote, position: int, wanted: quotes.SaleLine) -> list[quotes.SaleLine]:
    """Return the lines of a quote to send, one of them with other fields."""
    lines = [quotes.SaleLine.FromString(one.SerializeToString()) for one in found.lines]
    for field, _ in wanted.ListFields():
        lines[position].ClearField(field.name)  # type: ignore[arg-type] # a field of the message
    lines[position].MergeFrom(wanted)
    for one in lines:
        for name in _OUTPUT:
            one.ClearField(name)  # type: ignore[arg-type] # a field of the message
    return lines


COMMANDS = (negotiate, expire, reprice, clone, withdraw, approve, reject)
"""The commands, each by its name."""
