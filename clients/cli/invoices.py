"""`usage invoice`: what the caller's invoices have of the invoice-ready lines."""

from typing import Annotated

import grpc
import typer
from usage_management.v1 import summary_service_pb2 as pb

from clients import UsageClient, UsageError, screens
from clients.cli.names import SINCE, UNTIL, account_name, check_times, limit, zone_of
from clients.cli.session import MISUSED, fail, session
from clients.pages import pages
from clients.screens import last

invoice = typer.Typer(no_args_is_help=True)

# The most lines that the service marks in one call.
MOST_MARKED = 1_000


@invoice.callback()
def invoices() -> None:
    """Invoices: what they have of the lines."""


@invoice.command("mark")
def mark(
    context: typer.Context,
    lines: Annotated[
        list[str],
        typer.Argument(
            metavar="LINE…|ACCOUNT",
            help="accounts/ACME/liableSummaries/…, or ACME for all lines that are ready",
        ),
    ],
    reference: Annotated[
        str, typer.Option("--invoice", metavar="REF", help="the invoice that has them: its number")
    ],
    since: SINCE = None,
    until: UNTIL = None,
) -> None:
    """Mark invoice-ready lines as invoiced; corrections do not replace them any more.

    Given an account, all its lines that are ready are marked; --from and --until choose them by
    the start of their billing period. Lines that the same invoice has already stay as they are. A
    line that a correction changes between listing and marking is refused, and none is marked.
    """
    now = session(context)
    check_times(since, until)
    named = [line for line in lines if "/liableSummaries/" in line]
    if named != lines and len(lines) > 1:
        fail(MISUSED, "name lines, or one account")
    if named and (since or until):
        fail(MISUSED, "--from and --until choose lines of an account; leave them out")

    async def work(client: UsageClient) -> None:
        # The etags of the lines that were listed; the caller who names lines has read them before.
        etags = {} if named else await _ready(client, account_name(lines[0]), since, until)
        chosen = named or list(etags)
        done: list[pb.LiableSummary] = []
        for start in range(0, len(chosen), MOST_MARKED):
            some = chosen[start : start + MOST_MARKED]
            request = pb.MarkInvoicedRequest(
                liable_summaries=some,
                invoice=reference,
                etags={name: etags[name] for name in some if name in etags},
            )
            done += (await client.summaries.MarkInvoiced(request)).liable_summaries
        zone = await zone_of(client, done[0].name)
        title = f"Lines of the invoice {reference}"
        now.show(done, "liable_summaries", screens.liable_table(done, title, zone))

    now.run(work)


async def _ready(
    client: UsageClient, account: str, since: str | None, until: str | None
) -> dict[str, str]:
    """Return the etags of the lines of an account that no invoice has yet, by their names.

    Raises UsageError if there are none.
    """
    ready = pb.LiableSummary.READY_FOR_INVOICING
    request = pb.ListLiableSummariesRequest(parent=account, page_size=1000, state=ready)
    await limit(client, request, since, until)
    listed = pages(client.summaries.ListLiableSummaries, request)
    found = {line.name: line.etag async for line in listed}
    if not found:
        text = f"there are no lines of {account} to invoice; `usage lines {last(account)}` says why"
        raise UsageError(grpc.StatusCode.NOT_FOUND, "NOTHING_FITS", text)
    return found
