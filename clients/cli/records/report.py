"""The result of `usage record`, for people and for programs: what was refused, and what to do."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from clients.cli.records.options import Job, Options
from clients.cli.session import Session
from clients.home import program
from clients.left_lines import ID_COLUMN
from clients.recording import Account, Loading
from clients.refusals import Refusals
from clients.values import time

MOST_SHOWN = 10


def report(account: Account, target: Path | None, ambiguous: int, job: Job, now: Session) -> None:
    """Print the result; `target` is the file of the lines that were not kept."""
    if now.as_json:
        now.print_json(
            {
                **account.counts,
                "ambiguous_times": ambiguous,
                "lines_not_sent": account.unsent,
                **as_json(account.refusals),
                **({} if account.loaded is None else {"loaded_accounts": account.loaded}),
                "left_file": str(target) if target else None,
            }
        )
        return
    first = account.act.kept[0]
    said = [f"[bold]{account.counts[first]:,}[/] records {first}"]
    others = ((name.replace("_", " "), n) for name, n in account.counts.items() if name != first)
    said += [f"{n:,} {name}" for name, n in others if n]
    if account.unsent:
        said.append(f"{account.unsent:,} lines not sent")
    now.console.print(", ".join(said))
    list_refusals(account.refusals, job.layout.place)
    if target is not None:
        warn(_advice(account, target, job))
    elif account.left.count:
        warn("nothing was kept; correct what is named and run it again")


def as_json(refusals: Refusals) -> dict[str, Any]:
    """Return the refusals by reason, the most frequent first, and one by one, for programs."""
    return {
        "refused_by_reason": [
            {"count": group.count, "reason": group.first.reason, "first": asdict(group.first)}
            for group in refusals.by_frequency()
        ],
        "refused": [asdict(refusal) for refusal in refusals.listed],
    }


def list_refusals(refusals: Refusals, place: str) -> None:
    """Say what was refused: each reason once, the most frequent first."""
    groups = refusals.by_frequency()
    for group in groups[:MOST_SHOWN]:
        where = f"{place} {group.first.line:,}"
        if group.count > 1:
            where = f"{group.count:,} refused, first {where}"
        warn(f"{where}: {group.first.message} ({group.first.reason})")
    if len(groups) > MOST_SHOWN:
        rest = sum(group.count for group in groups[MOST_SHOWN:])
        warn(f"… and {rest:,} of {len(groups) - MOST_SHOWN:,} more reasons; --json lists all")


def say_ids(job: Job) -> str:
    """Return the sentence about the ids of the records."""
    layout = job.layout
    many = len(layout.measures) > 1
    if layout.id_column is not None:
        return f"ids: <{layout.id_column}>{'-<resource>' if many else ''}"
    return (
        f"ids: {layout.digest}-<{layout.place}>-<resource>. They are made of this file: recording"
        " it again counts nothing twice, but an edited copy is another file unless --id names a"
        " column."
    )


def say_ambiguous(count: int, first: int, job: Job) -> str:
    """Return the sentence about times that occur twice, of which the first is taken."""
    times = "1 time is" if count == 1 else f"{count:,} times are"
    return (
        f"{times} in an hour that occurs twice in {job.options.time_zone}, the first on"
        f" {job.layout.place} {first:,}; the earlier of both hours was taken. Times with an offset,"
        " such as +02:00, tell them apart."
    )


def say_loading(declared: Loading, now: Session) -> None:
    """Print which accounts are loading, or why none is."""
    if declared.refused is not None:
        warn(f"no account is loading: {declared.refused.message}")
    elif not now.as_json:
        text = f"loading {_accounts(declared)}: usage of any age is accepted, corrections wait"
        now.console.print(text, style="dim", soft_wrap=True)


def say_loaded(declared: Loading, now: Session) -> None:
    """Print that the loading has ended, or until when it goes on."""
    if declared.open:
        reason = declared.refused.message if declared.refused else ""
        first = next(iter(declared.open.values()))
        warn(
            f"the loading of {_accounts(declared)} could not be ended: {reason}\n"
            f"  {first.name} lasts until {time(first.until_time):%Y-%m-%d %H:%M} UTC"
        )
    elif declared.refused is None and not now.as_json:
        now.console.print("loading ended: corrections are due now", style="dim")


def _accounts(declared: Loading) -> str:
    count = len(declared.open)
    return "1 account" if count == 1 else f"{count:,} accounts"


def warn(text: str) -> None:
    """Print to standard error."""
    Console(stderr=True, highlight=False).print(text, style="yellow", markup=False, soft_wrap=True)


def _advice(account: Account, target: Path, job: Job) -> str:
    count = account.left.count
    lines = f"{count:,} {'line was' if count == 1 else 'lines were'}"
    if job.layout.id_column is not None:
        return (
            f"{lines} not kept, and in {target}. Correct them there or in the file, and run it"
            " again: ids that are kept do not count twice."
        )
    return (
        f"{lines} not kept, and in {target} with the ids of their records.\n"
        f"  If the fault is in them, correct them there, and then:\n    {_again(target, job)}\n"
        f"  If it is elsewhere, put it right and run the same command again.\n"
        f"  Do not correct {job.source.path} itself: it would get other ids and count twice."
    )


def _again(target: Path, job: Job) -> str:
    """Return the command that records the corrected lines."""
    options = job.options
    pairs = _pairs(options)
    words = [word for name, value in pairs if value is not None for word in (name, value)]
    if options.decimal_comma:
        words.append("--decimal-comma")
    if options.is_loading:
        words.append("--loading")
    quoted = " ".join(shlex.quote(word) for word in [str(target), *words, "--id", ID_COLUMN])
    return f"{program()} record {quoted}"


def _pairs(options: Options) -> list[tuple[str, str | None]]:
    return [
        ("--account", options.account),
        ("--account-column", options.account_column),
        ("--asset", options.asset),
        ("--asset-column", options.asset_column),
        ("--time", options.time),
        ("--time-zone", options.time_zone),
        *[("--measure", measure) for measure in options.measures],
        *[("--label", label) for label in options.labels],
        ("--unit", options.unit),
        ("--unit-column", options.unit_column),
        ("--delimiter", options.delimiter),
        ("--format", options.format),
    ]
