"""Report of a load: a table and a chart for people, the same figures for programs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clients.histogram import PRECISION, Histogram
from clients.load import METHOD, Figures, Plan
from clients.tables import FittingTable

MILLISECOND = 1_000_000
PERCENTILES = {
    "p50": Fraction(50, 100),
    "p90": Fraction(90, 100),
    "p95": Fraction(95, 100),
    "p99": Fraction(99, 100),
    "p99.9": Fraction(999, 1000),
}
# Where rows of the drawing begin, in each power of ten.
STEPS = (Fraction(1), Fraction(3, 2), Fraction(2), Fraction(3), Fraction(5), Fraction(7))
EIGHTHS = " ▏▎▍▌▋▊▉█"
BAR_WIDTH = 36
CATALOG, FILE = "CATALOG", "FILE"


@dataclass(frozen=True, slots=True)
class About:
    """Return the target and the question of a load."""

    plan: Plan
    batch: int
    question_count: int
    source: str


def opening(about: About) -> str:
    """Return one line about the load that begins."""
    plan = about.plan
    pace = "as fast as it answers" if plan.rate is None else f"{plan.rate:g} calls a second"
    source = "catalog" if about.source == CATALOG else "file"
    return (
        f"DiscoverRates at {plan.address} for {plan.seconds:g} s, {pace}:"
        f" {_so_many(plan.connections, 'connection')}, {_so_many(plan.in_flight, 'call')} at once"
        f" on each, {_so_many(about.batch, 'question')} a call,"
        f" {about.question_count:,} different in the {source}"
    )


def screens(about: About, figures: Figures) -> Iterator[RenderableType]:
    """Throughput, errors, percentiles, and the latencies drawn."""
    seconds = about.plan.seconds
    yield ""
    yield f"[bold]{figures.calls_in_time / seconds:,.0f} calls/s[/], " + (
        f"[bold]{figures.answers_in_time / seconds:,.0f} answers/s[/]"
        f" ({figures.call_count:,} calls, {figures.answer_count:,} answers)"
    )
    for what, counts in (("calls failed", figures.errors), ("unanswered", figures.unanswered)):
        for (code, reason), count in counts.most_common():
            yield f"[red]{count:,} {what}: {code}{'' if reason == code else f' ({reason})'}[/]"
    if figures.not_begun_count:
        yield (
            f"[red]{figures.not_begun_count:,} calls were due and never made:[/] the service,"
            " or this driver, does not keep up; more --in-flight or a lower --rate tells which"
        )
    if figures.delays.count:
        late = figures.delays.percentile(PERCENTILES["p99"])
        yield f"[dim]The driver's own timer was late by up to {_ms(late)} ms (p99).[/]"
    if figures.latencies.count:
        yield ""
        yield _percentiles(figures.latencies)
        yield _drawing(figures.latencies)


def as_json(about: About, figures: Figures) -> dict[str, Any]:
    """All figures, named as in protos; times are milliseconds."""
    plan, latencies = about.plan, figures.latencies
    return {
        "address": plan.address,
        "method": METHOD,
        "loop": "CLOSED" if plan.rate is None else "OPEN",
        "target_calls_per_second": plan.rate,
        "connection_count": plan.connections,
        "in_flight_count": plan.in_flight,
        "batch_size": about.batch,
        "question_count": about.question_count,
        "question_source": about.source,
        "warmup_seconds": plan.warmup_seconds,
        "seconds": plan.seconds,
        "calls_per_second": round(figures.calls_in_time / plan.seconds, 1),
        "answers_per_second": round(figures.answers_in_time / plan.seconds, 1),
        "call_count": figures.call_count,
        "answer_count": figures.answer_count,
        "not_begun_count": figures.not_begun_count,
        "errors": _counted(figures.errors),
        "unanswered": _counted(figures.unanswered),
        "latency_precision": float(PRECISION),
        "latency_ms": {
            "min": latencies.lowest / MILLISECOND,
            "mean": latencies.mean / MILLISECOND,
            **{
                name.replace(".", "_"): latencies.percentile(share) / MILLISECOND
                for name, share in PERCENTILES.items()
            },
            "max": latencies.highest / MILLISECOND,
        },
        "driver_delay_p99_ms": figures.delays.percentile(PERCENTILES["p99"]) / MILLISECOND,
        "histogram": [
            {"from_ms": float(first), "to_ms": float(behind), "count": count}
            for first, behind, count in rows(latencies)
        ],
    }


def rows(latencies: Histogram) -> list[tuple[Fraction, Fraction, int]]:
    """Counts in the rows of the drawing, from the shortest to the longest, in milliseconds."""
    # A bucket lies where its end does: as percentiles do, it says a little too much.
    longest = [(behind - 1, count) for _, behind, count in latencies.buckets()]
    edges = _edges(longest[-1][0] if longest else 0)
    counts = [0] * len(edges)
    place = 0
    for last, count in longest:
        while edges[place] * MILLISECOND <= last:
            place += 1
        counts[place] += count
    used = [place for place, count in enumerate(counts) if count]
    if not used:
        return []
    return [
        (edges[place - 1] if place else Fraction(0), edges[place], counts[place])
        for place in range(used[0], used[-1] + 1)
    ]


def _edges(longest: int) -> list[Fraction]:
    """Ends of rows, in milliseconds, from ten microseconds to beyond the longest."""
    found = [Fraction(1, 100)]
    power = Fraction(1, 100)
    while found[-1] * MILLISECOND <= longest:
        found += [power * step for step in STEPS[1:]] + [power * 10]
        power *= 10
    return found


def _percentiles(latencies: Histogram) -> Table:
    table = FittingTable(
        title=Text(f"Latency in ms, at most {float(PRECISION):.1%} too high", no_wrap=True),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    figures = {name: latencies.percentile(share) for name, share in PERCENTILES.items()}
    shown = {"min": latencies.lowest, "mean": latencies.mean, **figures, "max": latencies.highest}
    for name in shown:
        table.add_column(name, justify="right")
    table.add_row(*map(_ms, shown.values()))
    return table


def _drawing(latencies: Histogram) -> Table:
    """A row for each span of latencies: a bar, its share, and the share up to there."""
    table = FittingTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify in ("right", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    found = rows(latencies)
    most = max(count for *_, count in found)
    reached = 0
    for first, behind, count in found:
        reached += count
        table.add_row(
            f"{float(first):g} – {float(behind):g} ms",
            Text(_bar(count, most), style="green"),
            f"{count / latencies.count:.2%}",
            Text(f"{reached / latencies.count:.2%}", style="dim"),
        )
    return table


def _bar(count: int, most: int) -> str:
    """A bar in eighths of a character; what is there at all is seen."""
    eighths = max(count * BAR_WIDTH * 8 // most, 1 if count else 0)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _so_many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _ms(nanos: int) -> str:
    value = nanos / MILLISECOND
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _counted(counts: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"code": code, "reason": reason, "count": count}
        for (code, reason), count in counts.most_common()
    ]
