"""`usage records show`: a usage record, and what became of it."""

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from usage_management.v1 import consumption_service_pb2 as pb

from clients import UsageClient, screens
from clients.cli.names import record_name, zone_of
from clients.cli.session import session
from clients.screens import NOTHING, last, number, short, when
from clients.values import enum_name

records = typer.Typer(no_args_is_help=True)


@records.callback()
def _group() -> None:
    """Usage records: what became of one."""


@records.command("show")
def show(
    context: typer.Context,
    record: Annotated[
        str,
        typer.Argument(
            metavar="RECORD", help="accounts/ACME/usageRecords/ID, or ID with --account"
        ),
    ],
    account: Annotated[str | None, typer.Option(help="the account: ACME or accounts/ACME")] = None,
) -> None:
    """Show a usage record: its revisions, what paid for it, its lines and what corrected them.

    Grants and lines are those of all usage of the same asset, resource and day.
    """
    now = session(context)
    name = record_name(record, account)

    async def work(client: UsageClient) -> None:
        request = pb.GetUsageRecordRequest(name=name)
        found = await client.consumption.GetUsageRecord(request)
        zone = await zone_of(client, name)
        now.show(found, "", *_screens(found, zone))
        bills = dict.fromkeys(one.liable_summary for one in found.story.lines)
        now.hint(*(f"trace {one}" for one in bills if one))
        now.hint(*(f"correction {one.correction}" for one in found.story.corrections))

    now.run(work)


def _screens(record: pb.UsageRecord, zone: str) -> list[RenderableType]:
    """Return the parts of the screen; what there is nothing of has none."""
    story = record.story
    found: list[RenderableType] = [_head(record, zone), _revision_table(record, zone)]
    if story.drawn_from:
        found.append(_drawn_table(story))
    if story.lines:
        found.append(_line_table(story))
    if story.corrections:
        cells = [
            (short(one.correction), screens.causes(one.causes), when(one.create_time, zone))
            for one in story.corrections
        ]
        title = f"Corrections of its period ({zone})"
        found.append(screens.rows(("correction", "because", "booked"), cells, title))
    return found


def _head(record: pb.UsageRecord, zone: str) -> Text:
    """Return the state of a record, and what paid for its day so far."""
    outcome = record.outcome
    state = enum_name(record, "state").lower()
    parts = [f"{state}, came after its period was final" if outcome.late else state]
    if record.HasField("void_time"):
        reason = f": {record.void_reason}" if record.void_reason else ""
        parts = [f"voided {when(record.void_time, zone)}{reason}"]
    if record.correction_pending:
        parts.append("a correction of its period is pending")
    period = screens.span(outcome.period.start_time, outcome.period.end_time, zone)
    text = Text(f"{last(record.name)}  ", style="bold").append(", ".join(parts), style="not bold")
    text.append(
        f"\n{number(outcome.counted_quantity)} counted of {last(record.usage_resource)},"
        f" in the rating period {period}",
        style="not bold",
    )
    if outcome.HasField("summary_drawn_quantity"):
        drawn, beyond = outcome.summary_drawn_quantity, outcome.summary_overage_quantity
        text.append(
            f"\nof its day: {number(drawn)} paid by grants, {number(beyond)} beyond them",
            style="not bold",
        )
    return text


def _revision_table(record: pb.UsageRecord, zone: str) -> Table:
    """Return a row for each content that the record had, the present one last."""
    cells = [
        (
            str(one.revision),
            number(one.quantity),
            last(one.unit_of_measure),
            when(one.usage_time, zone),
            _brief(one.asset),
            when(one.create_time, zone),
            _brief(one.created_by),
        )
        for one in (*record.earlier_revisions, _present(record))
    ]
    columns = ("revision", "quantity", "unit", "used at", "asset", "set", "by")
    return screens.rows(columns, cells, f"Revisions ({zone})", right="revision quantity")


def _present(record: pb.UsageRecord) -> pb.UsageRecordRevision:
    """Return the content that a record has, with who set it when."""
    is_amended = record.HasField("amend_time")
    return pb.UsageRecordRevision(
        revision=record.revision,
        asset=record.asset,
        quantity=record.quantity,
        unit_of_measure=record.unit_of_measure,
        usage_time=record.usage_time,
        create_time=record.amend_time if is_amended else record.create_time,
        created_by=record.amended_by if is_amended else record.created_by,
    )


def _drawn_table(story: pb.UsageRecordStory) -> Table:
    cells = [
        (short(one.grant), number(one.quantity), number(one.amount)) for one in story.drawn_from
    ]
    columns = ("grant", "paid", "taken")
    return screens.rows(columns, cells, "Grants that paid for its day", right="paid taken")


def _line_table(story: pb.UsageRecordStory) -> Table:
    cells = [
        (
            _brief(one.ratable_summary),
            enum_name(one, "state").lower().replace("_", " "),
            _brief(one.liable_summary),
            one.invoice or NOTHING,
            _brief(one.correction),
        )
        for one in story.lines
    ]
    columns = ("rated line", "state", "invoice-ready line", "invoice", "correction")
    return screens.rows(columns, cells, "Lines that include it")


def _brief(name: str) -> str:
    """Return the first eight of an id, under a heading that says of what; a dash for none."""
    return last(name)[:8] or NOTHING
