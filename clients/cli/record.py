"""`usage record FILE`: usage out of a file of CSV or JSON lines, each line once."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from clients import UsageClient, UsageError, intake, recording
from clients.cli.session import MISUSED, PARTLY, Session, fail, session
from clients.home import program
from clients.intake import BadLine, IntakeError, Layout, Line, Measure
from clients.recording import ID_COLUMN, Account, Refusal, Sending

MOST_SHOWN = 10
JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})


class OnError(StrEnum):
    """The treatment of a line that is refused."""

    STOP = "stop"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Job:
    """The checked arguments of the command line."""

    file: Path
    layout: Layout
    asset: str
    on_error: OnError

    @property
    def is_csv(self) -> bool:
        """By its name; what is not called JSON is read as CSV."""
        return self.file.suffix.lower() not in JSON_SUFFIXES

    def lines(self) -> Iterator[Line | BadLine]:
        """Read the file from its beginning."""
        read = intake.read_csv if self.is_csv else intake.read_json
        with self.file.open("rb") as lines:
            yield from read(lines, self.layout)

    def header(self) -> bytes:
        """The first line of CSV; nothing of JSON lines."""
        if not self.is_csv:
            return b""
        with self.file.open("rb") as lines:
            return intake.header_line(lines)


def record(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a header, or JSON lines")
    ],
    account: Annotated[str, typer.Option(help="the account: ACME or accounts/ACME")],
    asset: Annotated[str, typer.Option(help="the asset that was used: its id or its name")],
    time: Annotated[str, typer.Option(metavar="COLUMN", help="the column of the time of usage")],
    measure: Annotated[
        list[str],
        typer.Option(metavar="COLUMN=RESOURCE", help="a quantity and its resource; repeatable"),
    ],
    time_zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="zone of times without one: Europe/Berlin"),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="the column of a unique id; without it ids are made of the file and the line",
        ),
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="at a line that cannot be kept: stop there, or skip it")
    ] = OnError.STOP,
) -> None:
    """Record the usage in a file of CSV or JSON lines. Running it again counts nothing twice."""
    now = session(context)
    try:
        layout = Layout(
            time_column=time,
            measures=_measures(measure),
            digest=_digest(file),
            id_column=id_column,
            zone=_zone(time_zone),
        )
        job = Job(file, layout, _asset(account, asset), on_error)
        if not now.as_json:
            now.console.print(_say_ids(job), style="dim", soft_wrap=True)
        total = _check(job, now)
    except IntakeError as error:
        fail(MISUSED, f"{file}: {error}")

    async def work(client: UsageClient) -> int:
        return await _send(client, job, now, total)

    now.run(work)


async def _send(client: UsageClient, job: Job, now: Session, total: int) -> int:
    with _progress(now) as progress:
        task = progress.add_task("recording", total=total)
        sending = Sending(
            client,
            job.asset,
            measures=len(job.layout.measures),
            stop_at_refusal=job.on_error is OnError.STOP,
            advance=lambda size: progress.advance(task, size),
        )
        try:
            account = await sending.send(job.lines())
            progress.update(task, completed=total)
        except UsageError:
            _warn("nothing is lost: run the same command again, and what is kept stays as it is")
            raise
        except IntakeError as error:
            fail(MISUSED, f"{job.file}: {error}\n  What comes before that line is recorded.")
    target = None
    if account.left and account.kept:
        target = recording.write_left(job.file, account.left, job.layout, job.header())
    _report(account, target, job, now)
    return 0 if account.is_whole else PARTLY


def _check(job: Job, now: Session) -> int:
    """Read everything before anything is sent, if a mangled line is to stop it all."""
    size = job.file.stat().st_size
    if job.on_error is OnError.SKIP:
        next(job.lines(), None)  # A header that will not do is refused before anything is sent.
        return size
    bad = [line for line in job.lines() if isinstance(line, BadLine)]
    if bad:
        refusals = [Refusal(b.number, b.line_id, "LINE_UNREADABLE", b.reason) for b in bad]
        if now.as_json:
            now.print_json({"accepted": 0, "refused": [asdict(one) for one in refusals]})
        _list(refusals)
        _warn(
            "nothing was sent. Correct the file and run it again, or leave such lines out with"
            " --on-error skip"
        )
        raise typer.Exit(PARTLY)
    return size


def _report(account: Account, target: Path | None, job: Job, now: Session) -> None:
    if now.as_json:
        now.print_json(
            {
                **account.counts,
                "zero_quantities": account.zeros,
                "lines_not_sent": account.unsent,
                "refused": [asdict(one) for one in account.refusals],
                "left_file": str(target) if target else None,
            }
        )
        return
    said = [f"[bold]{account.counts['accepted']:,}[/] records accepted"]
    said += [f"{n:,} {name}" for name, n in account.counts.items() if n and name != "accepted"]
    if account.zeros:
        said.append(f"{account.zeros:,} quantities of zero left out")
    if account.unsent:
        said.append(f"{account.unsent:,} lines not sent")
    now.console.print(", ".join(said))
    _list(account.refusals)
    if target is not None:
        _warn(
            f"{_lines(account)} not kept, and in {target} with the ids of their records.\n"
            f"  If the fault is in them, correct them there, and then:\n    {_again(target, job)}\n"
            f"  If it is elsewhere, put it right and run the same command again.\n"
            f"  Do not correct {job.file} itself: it would get other ids and count twice."
            if job.layout.id_column is None
            else f"{_lines(account)} not kept, and in {target}. Correct them there or in the file,"
            " and run it again: ids that are kept do not count twice."
        )
    elif account.left:
        _warn("nothing was kept; correct what is named and run it again")


def _lines(account: Account) -> str:
    count = len(account.left)
    return f"{count:,} {'line was' if count == 1 else 'lines were'}"


def _again(target: Path, job: Job) -> str:
    measures = " ".join(f"--measure {m.column}={m.resource}" for m in job.layout.measures)
    zone = f" --time-zone {job.layout.zone}" if job.layout.zone else ""
    account, asset = job.asset.split("/")[1::2]
    return (
        f"{program()} record {target} --account {account} --asset {asset}"
        f" --time {job.layout.time_column}{zone} {measures} --id {ID_COLUMN}"
    )


def _say_ids(job: Job) -> str:
    layout = job.layout
    many = len(layout.measures) > 1
    if layout.id_column is not None:
        return f"ids: <{layout.id_column}>{'-<resource>' if many else ''}"
    return (
        f"ids: {layout.digest}-<line>-<resource>. They are made of this file: recording it again"
        " counts nothing twice, but an edited copy is another file unless --id names a column."
    )


def _measures(texts: list[str]) -> tuple[Measure, ...]:
    found = []
    for text in texts:
        column, equals, resource = text.rpartition("=")
        resource = resource.removeprefix("usageResources/")
        if not equals or not column or not resource:
            raise IntakeError(f"--measure {text}: expected COLUMN=RESOURCE")
        found.append(Measure(column, resource))
    if len({one.resource for one in found}) != len(found):
        raise IntakeError("two measures are of one resource; their records would share an id")
    return tuple(found)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise IntakeError(f"--time-zone {name}: no such zone; say it like Europe/Berlin") from None


def _asset(account: str, asset: str) -> str:
    parent = account if account.startswith("accounts/") else f"accounts/{account}"
    if not asset.startswith("accounts/"):
        return f"{parent}/assets/{asset.removeprefix('assets/')}"
    if not asset.startswith(f"{parent}/assets/"):
        raise IntakeError(f"--asset {asset} is not of --account {account}")
    return asset


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:12]


def _list(refusals: list[Refusal]) -> None:
    """Say what was refused: each reason once, with its lines."""
    lines: dict[tuple[str, str], list[int]] = {}
    for one in refusals:
        lines.setdefault((one.message, one.reason), []).append(one.line)
    for (message, reason), numbers in list(lines.items())[:MOST_SHOWN]:
        where = f"line {numbers[0]}"
        if len(numbers) > 1:
            where = f"{where} and {len(numbers) - 1:,} more like it"
        _warn(f"{where}: {message} ({reason})")
    if len(lines) > MOST_SHOWN:
        _warn(f"… and {len(lines) - MOST_SHOWN:,} more reasons; --json lists all")


def _warn(text: str) -> None:
    Console(stderr=True, highlight=False).print(text, style="yellow", markup=False, soft_wrap=True)


def _progress(now: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=now.as_json,
    )
