"""`usage bench rates`: loads a service with `DiscoverRates` and says how it answered."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageClient, questions
from clients.cli import load_report as report
from clients.cli.session import MISUSED, PARTLY, UNREACHABLE, Session, fail, session
from clients.descriptions import DescriptionError
from clients.load import Figures, Load, Plan, requests

MOST_SECONDS = 3_600
MOST_STREAMS = 128  # calls at once that the service allows a connection
WARMUP_SHARE = 5

bench = typer.Typer(help="Load a service, and say how it answers.", no_args_is_help=True)


@bench.callback()
def _group() -> None:
    """Load a service, and say how it answers. Without `rates`: the measurements of `make bench`."""


@bench.command("rates")
def rates_command(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=0.1, max=MOST_SECONDS, help="for how long")] = 10,
    connections: Annotated[int, typer.Option(min=1, max=1_000, help="how many connections")] = 2,
    in_flight: Annotated[
        int, typer.Option(min=1, max=MOST_STREAMS, help="calls at once on each connection")
    ] = 8,
    batch: Annotated[int, typer.Option(min=1, max=1_000, help="questions a call")] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1_000_000, help="calls a second, come what may; else as fast as it goes"
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON lines of RateQuestion; else what the catalog has rates for",
        ),
    ] = None,
) -> None:
    """Ask what things cost, as often as a service answers or at a rate, and say how it answered.

    The load goes to --address, or to the service of `usage up` here.
    With --rate a latency counts from when its call was due, so that a
    stall shows in all that should have been asked meanwhile.

    Exits with 4 when calls failed.
    """
    now = session(context)
    address, key = now.resolve()
    plan = Plan(
        address=address,
        key=key,
        seconds=seconds,
        connections=connections,
        in_flight=in_flight,
        rate=rate,
        warmup_seconds=min(1.0, seconds / WARMUP_SHARE),
        tls=now.tls(address),
    )

    async def work(client: UsageClient) -> int:
        asked = await _questions(client, file)
        prepared = requests(asked, batch)
        # One that is refused is told as usual, before there is any load.
        await client.rates.DiscoverRates(rates.DiscoverRatesRequest.FromString(prepared[0]))
        about = report.About(plan, batch, len(asked), report.FILE if file else report.CATALOG)
        if not now.as_json:
            now.console.print(report.opening(about), soft_wrap=True)
        return _tell(now, about, await _load(now, plan, prepared))

    now.run(work)


async def _questions(client: UsageClient, file: Path | None) -> list[rates.RateQuestion]:
    if file is None:
        found = await questions.of_catalog(client)
        if not found:
            fail(MISUSED, "this catalog has no rates in force; `usage demo` makes some")
        return found
    try:
        return questions.of_file(file)
    except DescriptionError as error:
        lines = [f"{file} cannot be read:", *(f"  {fault}" for fault in error.faults)]
        fail(MISUSED, "\n".join(lines))


async def _load(now: Session, plan: Plan, prepared: list[bytes]) -> Figures:
    """Run the plan under a bar. Ends the program when nobody answers."""
    whole = plan.warmup_seconds + plan.seconds
    load = Load(plan, prepared)
    with _progress(now) as progress:
        task = progress.add_task("  warming up", total=whole, calls=0)

        def tick(passed: float) -> None:
            doing = "  warming up" if passed < plan.warmup_seconds else "  measuring"
            progress.update(
                task,
                completed=min(passed, whole),
                description=doing,
                calls=load.figures.call_count,
            )

        try:
            figures = await load.run(tick)
        except TimeoutError:
            fail(UNREACHABLE, f"{plan.address} takes no more connections")
        progress.update(task, completed=whole, calls=figures.call_count)
    return figures


def _tell(now: Session, about: report.About, figures: Figures) -> int:
    if now.as_json:
        now.print_json(report.as_json(about, figures))
    else:
        for part in report.screens(about, figures):
            now.console.print(part, soft_wrap=isinstance(part, str))
    return PARTLY if figures.errors else 0


def _progress(now: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s, {task.fields[calls]:,} calls"),
        console=now.console,
        disable=now.as_json,
    )
