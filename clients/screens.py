"""Tables and trees for people: wallets, grants, the ledger, waterfalls and invoice-ready lines."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import decimal_pb2, money_pb2
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from rich.tree import Tree
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as wallets

from clients.tables import FittingTable
from clients.values import decimal, enum_name, money, reason_of, time

NOTHING = "–"
# Columns that may take more than one line.
WORDS = frozenset(
    {
        "agreed",
        "assets",
        "because",
        "beyond it",
        "catalog",
        "clock",
        "name",
        "product",
        "products",
        "resource",
        "resources",
        "value after",
        "value before",
        "wallets",
    }
)
CAUSES = {
    summaries.Correction.LATE: "late usage",
    summaries.Correction.VOID: "voided usage",
    summaries.Correction.AMEND: "amended usage",
    summaries.Correction.SALE: "a sale",
    summaries.Correction.RATE: "a rate",
}
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def number(message: decimal_pb2.Decimal) -> str:
    """A number with its thousands apart; a dash when there is none."""
    return grouped(decimal(message)) if message.value else NOTHING


def grouped(value: Decimal) -> str:
    """A number with its thousands apart and no zeros behind that mean nothing."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(message: money_pb2.Money, places: int = 2) -> str:
    """Money with its currency."""
    code, value = money(message)
    return f"{value:,.{places}f} {code}" if code else NOTHING


def last(name: str) -> str:
    """The id at the end of a resource name."""
    return name.rpartition("/")[2]


def short(name: str) -> str:
    """A resource name that fits into a table: its collection and the first eight of its id."""
    parts = name.split("/")
    return f"{parts[-2]}/{parts[-1][:8]}" if len(parts) > 1 else name


def when(message: Timestamp, zone: str = "UTC") -> str:
    """An instant in a zone, without the time of day when that is midnight."""
    if not message.seconds:
        return NOTHING
    local: datetime = time(message).astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d}" if local.time().isoformat() == "00:00:00" else f"{local:%F %H:%M}"


def span(start: Timestamp, end: Timestamp, zone: str = "UTC") -> str:
    """A half-open span of time; `Jan 2026` when it is a month of the calendar."""
    first, behind = (time(one).astimezone(ZoneInfo(zone)) for one in (start, end))
    midnight = {first.time(), behind.time()} == {clock()}
    if midnight and first.day == 1 and _next_month(first.date()) == behind.date():
        return f"{first:%b %Y}"
    return f"{when(start, zone)} → {when(end, zone)}"


def wallet_table(found: Sequence[wallets.Wallet], title: str, zone: str = "UTC") -> Table:
    """Return the balance, grants and usage of wallets, and the cost of the rest now."""
    spans = [span(one.period_start_time, one.period_end_time, zone) for one in found]
    title, periods = _periods(title, spans)
    is_owing = any(decimal(one.unbilled_amount) for one in found if one.unbilled_amount.value)
    more = ["before, unbilled"] if is_owing else []
    table = figures(title, "resource", "left", "granted", "used", "beyond", "would cost", *more)
    if any(periods):
        table.add_column("period", no_wrap=True)
    for one, period in zip(found, periods, strict=True):
        beyond = number(one.overage_quantity)
        table.add_row(
            last(one.usage_resource),
            Text(number(one.balance), style="bold green" if decimal(one.balance) > 0 else "red"),
            number(one.granted_quantity),
            number(one.used_quantity),
            Text(beyond, style="yellow" if decimal(one.overage_quantity) > 0 else ""),
            _estimate(one),
            *([_rounded(one.unbilled_amount)] if is_owing else []),
            *period,
        )
    return table


def grant_table(
    found: Sequence[tuple[wallets.Wallet, wallets.Grant]], title: str, zone: str = "UTC"
) -> Table:
    """Every issue, what usage drew from it, and what became of the rest."""
    is_live = any(one.provisional or one.balance != one.posted_balance for _, one in found)
    table = figures(title, "resource", "held", "left", *(["posted"] if is_live else []))
    for column in ("issue", "from", "until", *([""] if is_live else [])):
        table.add_column(column, no_wrap=True)
    before = ""
    for wallet, grant in found:
        posted = [number(grant.posted_balance)] if is_live else []
        is_open = [Text("open" if grant.provisional else "", style="yellow")] if is_live else []
        table.add_row(
            "" if wallet.name == before else last(wallet.usage_resource),
            number(grant.quantity),
            number(grant.balance),
            *posted,
            wallets.Grant.Kind.Name(grant.kind).lower(),
            when(grant.start_time, zone),
            when(grant.expire_time, zone),
            *is_open,
        )
        before = wallet.name
    return table


def entry_table(found: Sequence[wallets.WalletEntry], title: str, zone: str = "UTC") -> Table:
    """The ledger: every movement, with the wallet before and after."""
    table = figures(title, "#", "moved", "before", "after")
    for column in ("what", "as of", "because of"):
        table.add_column(column, overflow="fold")
    for entry in found:
        table.add_row(
            last(entry.name),
            Text(number(entry.amount), style="red" if decimal(entry.amount) < 0 else "green"),
            number(entry.opening_balance),
            number(entry.closing_balance),
            wallets.WalletEntry.Kind.Name(entry.kind).lower(),
            when(entry.effective_time, zone),
            Text(short(entry.cause), style="dim"),
        )
    return table


def rating_table(found: Sequence[summaries.RatableSummary], title: str, zone: str = "UTC") -> Table:
    """Return the overage, the rate after each step, and the amount."""
    spans = [span(one.start_time, one.end_time, zone) for one in found]
    title, periods = _periods(title, spans)
    table = figures(title, "resource", "beyond", "rate", "amount")
    if any(periods):
        table.add_column("period", no_wrap=True)
    for one, period in zip(found, periods, strict=True):
        table.add_row(
            last(one.usage_resource),
            number(one.overage_quantity),
            _rates(one) or Text(reason_of(one.error), style="red"),
            f"{number(one.amount)} {one.currency_code}",
            *period,
        )
    return table


def waterfall_table(summary: summaries.RatableSummary, zone: str = "UTC") -> Table:
    """Return the steps of an amount."""
    what = f"{last(summary.usage_resource)}, {span(summary.start_time, summary.end_time, zone)}"
    table = figures(f"Waterfall of {what}", "")
    table.add_column("step", no_wrap=True)
    table.add_column("from", overflow="fold")
    table.add_column("to", overflow="fold")
    for step in summary.waterfall:
        made_of, makes = _sides(step)
        why = Text(f"{made_of}\n" if made_of and step.note else made_of)
        why.append(step.note, style="dim")
        table.add_row(str(step.sequence), enum_name(step, "element"), why, makes)
    if summary.HasField("error"):
        table.add_row("", Text("not rated", style="red"), reason_of(summary.error), "")
    return table


def billed_span(line: summaries.LiableSummary, zone: str) -> str:
    """The period of a line, and that of its usage if it was late."""
    period = span(line.start_time, line.end_time, zone)
    usage = span(line.origin_start_time, line.origin_end_time, zone)
    return period if usage == period else f"{period}, for {usage}"


def liable_table(found: Sequence[summaries.LiableSummary], title: str, zone: str = "UTC") -> Table:
    """Lines an invoice can be made of, and what they come to."""
    # On two lines, so that both periods fit beside the figures.
    spans = [billed_span(line, zone).replace(", for", "\nfor") for line in found]
    title, periods = _periods(title, spans)
    table = figures(title, "resource", "used", "beyond", "exact", "amount")
    table.show_footer = True
    if any(periods):
        table.add_column("period", no_wrap=True)
    is_invoiced = any(line.invoice for line in found)
    if is_invoiced:
        table.add_column("invoice")
    for line, period in zip(found, periods, strict=True):
        is_failed = line.state == summaries.LiableSummary.FAILED
        table.add_row(
            last(line.usage_resource),
            number(line.used_quantity),
            number(line.overage_quantity),
            number(line.exact_amount),
            Text("failed", style="red") if is_failed else Text(amount(line.amount), style="bold"),
            *period,
            *([line.invoice] if is_invoiced else []),
        )
    table.columns[3].footer = "total"
    table.columns[4].footer = _total(found)
    return table


def trace_tree(trace: summaries.TraceLiableSummaryResponse, zone: str = "UTC") -> Tree:
    """A line down to its days and what paid for each of them."""
    line = trace.liable_summary
    about = f"{last(line.usage_resource)}, {billed_span(line, zone)}"
    root = Tree(Text(f"{amount(line.amount)}  {about}", style="bold"))
    for source in trace.sources:
        one = source.ratable_summary
        title = f"{number(one.amount)} {one.currency_code}  {number(one.overage_quantity)} beyond"
        branch = root.add(f"{title}, {span(one.start_time, one.end_time, zone)}")
        if source.HasField("correction"):
            branch.add(correction_text(source.correction, zone))
        branch.add(waterfall_table(one, zone))
        days = branch.add(f"{len(source.usage_summaries)} usage summaries")
        for found in source.usage_summaries:
            _add_day(days, found, zone)
    return root


def correction_text(correction: summaries.Correction, zone: str = "UTC") -> Text:
    """Return a line about a correction: why, since when, and its name."""
    from_, at = when(correction.start_time, zone), when(correction.create_time, zone)
    text = Text(f"correction because of {causes(correction.causes)}, from {from_} on, booked {at}")
    return text.append(f"  {correction.name}", style="dim")


def causes(found: Sequence[summaries.Correction.Cause.ValueType]) -> str:
    """Return the causes of a correction as words."""
    return ", ".join(CAUSES.get(one, "a cause unknown here") for one in found)


def _add_day(tree: Tree, found: summaries.UsageSummaryTrace, zone: str) -> None:
    day = found.usage_summary
    waiting = "  correction pending" if day.correction_pending else ""
    title = f"{when(day.start_time, zone)}  {number(day.quantity)} used"
    leaf = tree.add(f"{title}, {number(day.overage_quantity)} beyond{waiting}")
    for paid in found.drawn_from:
        leaf.add(Text(f"{number(paid.quantity)} from {short(paid.grant)}", style="dim"))


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _periods(title: str, spans: Sequence[str]) -> tuple[str, list[tuple[str, ...]]]:
    """A title, and a last cell of each row; none of them when the title says it of all rows."""
    if len(set(spans)) == 1:
        return f"{title}, {spans[0]}", [()] * len(spans)
    return title, [(one,) for one in spans]


def _rates(summary: summaries.RatableSummary) -> str:
    """The rate of each step, as in `2.5 → 2 → 1.7 USD per 1,000,000`."""
    steps = [dict(step.outputs) for step in summary.waterfall if "rate" in step.outputs]
    if not steps:
        return ""
    shown = " → ".join(_plain(step["rate"]) for step in steps)
    per = _plain(steps[-1].get("per", "1"))
    unit = steps[-1].get("unit", summary.currency_code)
    return f"{shown} {unit} per {per}" if per != "1" else f"{shown} {unit}"


def figures(title: str, *columns: str) -> Table:
    """A table whose first column is a word and whose others are numbers."""
    table = FittingTable(
        title=Text(title, no_wrap=True, overflow="ignore"),  # It may be wider than the table.
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def rows(
    columns: Sequence[str], cells: Sequence[Sequence[str]], title: str = "", right: str = ""
) -> Table:
    """Return a table of words; the columns that `right` names are numbers."""
    table = FittingTable(
        title=Text(title, no_wrap=True, overflow="ignore") if title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right.split() else "left"
        # Ids, which are there to be copied, days and numbers stay whole.
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column not in WORDS)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _estimate(wallet: wallets.Wallet) -> str:
    if not wallet.estimated_amount.value:
        return NOTHING
    return f"{_rounded(wallet.estimated_amount)} {wallet.currency_code}"


def _rounded(message: decimal_pb2.Decimal) -> str:
    return f"{decimal(message).quantize(Decimal('0.01')):,}" if message.value else NOTHING


def _sides(step: types.WaterfallStep) -> tuple[str, str]:
    inputs, outputs = dict(step.inputs), dict(step.outputs)
    if inputs.get("parts") == outputs.get("amount"):
        inputs.pop("parts", None)  # One part is the whole.
    return _side(inputs), _side(outputs)


def _side(values: dict[str, str]) -> str:
    """One side of a step; what belongs together on one line, and numbers as people write them."""
    lines = []
    unit = values.pop("unit", "")
    if "rate" in values:
        rate, per = _plain(values.pop("rate")), _plain(values.pop("per", "1"))
        lines.append(f"{rate} {unit} per {per}" if per != "1" else f"{rate} {unit}")
    if "amount" in values:
        lines.append(f"{_plain(values.pop('amount'))} {unit}")
    if "lower" in values or "upper" in values:
        lower = _plain(values.pop("lower", "0"))
        lines.append(f"tier {lower} – {_plain(values.pop('upper', '')) or 'any'}")
    if "adjustment" in values:
        kind, value = values.pop("adjustment").lower(), _plain(values.pop("value", ""))
        lines.append(f"{kind} {value} %" if kind == "percentage" else f"{kind} {value}")
    if "entry" in values:
        lines.append(values.pop("entry"))
    return "\n".join(lines + [f"{key} {_plain(values[key])}" for key in sorted(values)])


def _plain(text: str) -> str:
    return grouped(Decimal(text)) if NUMBER.fullmatch(text) else text


def _total(lines: Sequence[summaries.LiableSummary]) -> str:
    totals: dict[str, Decimal] = {}
    for line in lines:
        code, value = money(line.amount)
        totals[code] = totals.get(code, Decimal(0)) + value
    return ", ".join(f"{value:,.2f} {code}" for code, value in sorted(totals.items()))
