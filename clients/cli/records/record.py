"""`usage record FILE`: usage out of a file of CSV or JSON, each line once."""

import sys
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from clients import UsageClient, UsageError
from clients.cli.records.options import Job, Options, job_of, with_options
from clients.cli.records.report import (
    as_json,
    list_refusals,
    report,
    say_ambiguous,
    say_ids,
    say_loaded,
    say_loading,
    warn,
)
from clients.cli.session import MISUSED, PARTLY, Session, fail, session
from clients.intake.layout import BadLine, IntakeError
from clients.left_lines import LeftLines
from clients.recording import RECORD, Act, Loading, Sending, unreadable
from clients.refusals import Refusals

# Lines between two steps of the progress of the check.
STEP = 1_000


@dataclass(frozen=True, slots=True)
class Checked:
    """The number of times in a file that occur twice, and its accounts."""

    ambiguous: int
    accounts: frozenset[str]


@with_options
def record(context: typer.Context, file: Path, options: Options) -> None:
    """Record the usage in a file of CSV or JSON. Running it again counts nothing twice."""
    run(context, file, options, RECORD)


def run(context: typer.Context, file: Path, options: Options, act: Act) -> None:
    """Read a file twice: check all of it, then do with its records what is to be done."""
    now = session(context)
    try:
        job = _prepared(file, options, now)
        if not now.as_json:
            now.console.print(say_ids(job), style="dim", soft_wrap=True)
        checked = _check(job, now)
    except IntakeError as error:
        fail(MISUSED, f"{file}: {error}")

    async def work(client: UsageClient) -> int:
        if not job.options.is_loading:
            return await _send(client, job, act, checked, now)
        declared = Loading()
        try:
            await declared.start(client, sorted(checked.accounts))
            say_loading(declared, now)
            return await _send(client, job, act, checked, now, declared=len(declared.open))
        finally:
            # Also when it is interrupted.
            await declared.end(client)
            say_loaded(declared, now)

    now.run(work)


def _prepared(file: Path, options: Options, now: Session) -> Job:
    with _progress(now, prepares=True) as progress:
        # How much a packed file holds is not known before it is read.
        size = None if file.suffix.lower() == ".gz" else file.stat().st_size
        task = progress.add_task("opening", total=size)
        return job_of(file, options, lambda size: progress.advance(task, size))


async def _send(
    client: UsageClient,
    job: Job,
    act: Act,
    checked: Checked,
    now: Session,
    declared: int | None = None,
) -> int:
    with _progress(now) as progress:
        task = progress.add_task(f"{act.command}ing", total=job.size)
        sending = Sending(
            client,
            measures=len(job.layout.measures),
            stop_at_refusal=job.stops,
            left=LeftLines(job.layout, job.header()),
            advance=lambda size: progress.advance(task, size),
            act=act,
        )
        try:
            account = await sending.send(job.lines())
            progress.update(task, completed=job.size)
        except UsageError:
            warn("nothing is lost: run the same command again, and what is kept stays as it is")
            raise
        except IntakeError as error:
            fail(
                MISUSED,
                f"{job.source.path}: {error}\n  What comes before that line is done.",
            )
    target = None
    if account.left.count and account.kept:
        target = account.left.write(job.source.name)
    account.loaded = declared
    report(account, target, checked.ambiguous, job, now)
    return 0 if account.is_whole else PARTLY


def _check(job: Job, now: Session) -> Checked:
    """Read everything before anything is sent.

    Ends the program if a mangled line is to stop it all.
    """
    refusals, accounts = Refusals(), set[str]()
    ambiguous = first = 0
    with _progress(now, prepares=True) as progress:
        task = progress.add_task("checking", total=job.size)
        size = 0
        for count, line in enumerate(job.lines(), 1):
            size += len(line.raw) + 1
            if count % STEP == 0:
                progress.update(task, completed=size)
            if isinstance(line, BadLine):
                refusals.add(unreadable(line))
                continue
            accounts.add(line.account)
            if line.is_ambiguous:
                ambiguous += 1
                first = first or line.number
    if ambiguous and not now.as_json:
        warn(say_ambiguous(ambiguous, first, job))
    if refusals.count and job.stops:
        if now.as_json:
            now.print_json({"accepted": 0, "ambiguous_times": ambiguous, **as_json(refusals)})
        list_refusals(refusals, job.layout.place)
        warn(
            "nothing was sent. Correct the file and run it again, or leave such lines out with"
            " --on-error skip"
        )
        raise typer.Exit(PARTLY)
    return Checked(ambiguous, frozenset(accounts))


def _progress(now: Session, *, prepares: bool = False) -> Progress:
    """Return a progress bar on standard error; that of a preparation leaves nothing behind."""
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        disable=now.as_json or (prepares and not console.is_terminal),
        transient=prepares,
    )
