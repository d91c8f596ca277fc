"""Show the figures of a load test, as a table for people."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, str, str]


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    parts = figures.get("overload") or {"": figures}
    for name, part in parts.items():
        table = Table("what", "measured", "promised", title=name or None, title_justify="left")
        rows = _overload(part) if name else _steady(part)
        for row in rows:
            table.add_row(*row)
        Console().print(table)


def _steady(part: dict[str, Any]) -> Iterator[Row]:
    ratio = f"{part['capacity_to_echo']:.0%} of an echo's {part['echo_calls_per_second']:,.0f}"
    yield "capacity, closed loop", f"{part['capacity_calls_per_second']:,.0f} calls/s, {ratio}", ""
    offered = f"{part['offered_calls_per_second']:,.0f} calls/s for {part['seconds']:g} s"
    yield "offered, open loop", offered, ""
    yield from _answers(part)
    changes = part["changes"]
    told = f"{changes['count']}, {changes['failed_count']} failed, {changes['unseen_count']} unseen"
    yield "changes of the catalog", told, "0 failed, 0 unseen"
    for process, found in enumerate(changes["staleness_ms"]):
        yield f"staleness, process {process}", _spread(found), "≤ 1,000 ms"
    recording = part["recording"]
    yield "records beside it", f"{recording['records_per_second']:,.0f} a second", ""
    yield "… a batch of 100 took", _spread(recording["ms"]), ""
    yield from _errors("… errors", recording["errors"])
    yield from _memory(part)


def _overload(part: dict[str, Any]) -> Iterator[Row]:
    yield "capacity, closed loop", f"{part['capacity_calls_per_second']:,.0f} calls/s", ""
    yield "really offered", f"{part['offered_calls_per_second']:,.0f} calls/s", "3 × the capacity"
    yield "goodput", f"{part['goodput']:.0%} of the capacity", "≥ 80 %"
    yield from _answers(part)
    health = part["health"]
    yield "health checks answered", _spread(health["ms"]), "all"
    yield from _errors("… not answered", health["failures"])
    back = part["seconds_until_as_before"]
    usual = f"{part['usual_p99_ms']:,.1f} ms"
    told = "never" if back is None else f"after {back:.1f} s"
    yield f"p99 at half the capacity as before ({usual})", told, "≤ 10 s"
    yield from _memory(part)


def _answers(part: dict[str, Any]) -> Iterator[Row]:
    yield "answered in time", f"{part['calls_per_second']:,.0f} calls/s", ""
    for name, value in part["latency_ms"].items():
        yield f"latency {name}", f"{value:,.2f} ms", ""
    yield from _errors("errors", part["errors"])
    yield from _errors("unanswered questions", part["unanswered"])
    if part["not_begun_count"]:
        yield "due, never made by the driver", f"{part['not_begun_count']:,}", ""
    yield "the driver's own timer was late, p99", f"{part['driver_delay_p99_ms']:,.2f} ms", ""


def _errors(what: str, errors: list[dict[str, Any]]) -> Iterator[Row]:
    told = [f"{one['count']:,} {one['code']} ({one['reason']})" for one in errors]
    yield what, "\n".join(told) or "0", ""


def _memory(part: dict[str, Any]) -> Iterator[Row]:
    for process, found in enumerate(part["server_mebibytes"]):
        told = f"{found['start']:,.0f}, {found['peak']:,.0f}, {found['end']:,.0f} MiB"
        yield f"memory of process {process}: start, peak, end", told, ""


def _spread(found: dict[str, float]) -> str:
    return (
        f"{found['count']:,}: p50 {found['p50']:,.0f}, p99 {found['p99']:,.0f},"
        f" at most {found['max']:,.0f} ms"
    )
