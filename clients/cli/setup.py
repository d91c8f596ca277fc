"""`usage setup FILE`: a product with all it needs, or a catalog, described in a file."""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from usage_management.v1 import setup_service_pb2 as pb

from clients import UsageClient, UsageError
from clients.catalogs.exchange import Part, parts
from clients.cli.session import MISUSED, REFUSED, Session, fail, session
from clients.descriptions import Description, DescriptionError, Fault, read
from clients.tables import FittingTable

DOES = {
    pb.SetupStep.CREATED: ("create", "green"),
    pb.SetupStep.ACTIVATED: ("activate", "green"),
    pb.SetupStep.REUSED: ("use", "dim"),
    pb.SetupStep.UNCHANGED: ("keep", "dim"),
    pb.SetupStep.CONFLICT: ("CONFLICT", "red"),
    pb.SetupStep.DEACTIVATED: ("deactivate", "green"),
    pb.SetupStep.MADE_DEFAULT: ("make default", "green"),
}
DID = {
    pb.SetupStep.CREATED: "created",
    pb.SetupStep.ACTIVATED: "activated",
    pb.SetupStep.REUSED: "used as it was",
    pb.SetupStep.UNCHANGED: "unchanged",
    pb.SetupStep.DEACTIVATED: "deactivated",
    pb.SetupStep.MADE_DEFAULT: "made default",
}
WHOLE = Part(pb.Catalog())
KEPT = (pb.SetupStep.REUSED, pb.SetupStep.UNCHANGED)


def setup(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="YAML or JSON, as in clients/examples/*.yaml"
        ),
    ],
    plan: Annotated[
        bool, typer.Option("--plan", help="show what would be done, and change nothing")
    ] = False,
) -> None:
    """Set up the product in a file with all it needs, or a catalog that `usage export` wrote.

    All of it happens, or nothing; running it again changes nothing. A catalog of more than 1,000
    records is set up in parts.

    Exits with 1 when something is there and differs, and with 2 when the file cannot be read.
    """
    now = session(context)
    message: pb.SetUpProductRequest | pb.Catalog
    try:
        description = read(file)
        if "product" in description.content:
            message = description.into(pb.SetUpProductRequest())
            message.validate_only = message.validate_only or plan
        else:
            message = description.into(pb.Catalog())
    except DescriptionError as error:
        end_unread(now, file, error.faults)
    setting_up = _SettingUp(now, file, description, plan)
    if isinstance(message, pb.Catalog):
        now.run(partial(setting_up.catalog, parts(message)))
    else:
        now.run(partial(setting_up.product, message))


@dataclass(frozen=True, slots=True)
class _SettingUp:
    """A file that is set up, or shown as a plan."""

    now: Session
    file: Path
    description: Description
    is_plan: bool

    async def product(self, request: pb.SetUpProductRequest, client: UsageClient) -> int:
        """Set up a product; the exit code."""
        try:
            answer = await client.setup.SetUpProduct(request)
        except UsageError as error:
            return self._refused(error)
        return _say_done(self.now, answer, is_plan=request.validate_only)

    async def catalog(self, found: list[Part], client: UsageClient) -> int:
        """Set up a catalog part by part; the exit code."""
        if self.is_plan and len(found) > 1:
            text = f"{self.file} is set up in {len(found)} parts, which cannot be planned"
            fail(MISUSED, text)
        steps: list[pb.SetupStep] = []
        answer = pb.SetUpCatalogResponse()
        for number, part in enumerate(found):
            request = pb.SetUpCatalogRequest(catalog=part.catalog, validate_only=self.is_plan)
            try:
                answer = await client.setup.SetUpCatalog(request)
            except UsageError as error:
                done = f"{number} of {len(found)} parts are set up" if number else ""
                return self._refused(error, part, done)
            steps += answer.steps
        if not self.now.as_json:
            steps = [step for step in steps if step.action not in KEPT]
        whole = pb.SetUpProductResponse(steps=steps, setup_time=answer.setup_time)
        return _say_done(self.now, whole, is_plan=self.is_plan)

    def _refused(self, error: UsageError, part: Part = WHOLE, done: str = "") -> int:
        """Say what was refused, each part with its line in the file."""
        if self.now.as_json or not error.is_answer:
            raise error
        placed = [(part.placed(one.field), one) for one in error.violations]
        found = [
            Fault(_line(self.description, place), place, f"{one.description} ({one.reason})")
            for place, one in placed
        ]
        place = part.placed(error.facts.get("field", ""))
        line = self.description.line_of(place)
        found = found or [Fault(line, place, f"{error.message} ({error.reason})")]
        total = int(error.facts.get("violations_total", len(found)))
        more = [f"  and {total - len(found)} more"] if total > len(found) else []
        more += [f"  {done}; correct the file and run it again"] if done else []
        lines = [f"refused: {error.message}", *(f"  {self.file}: {one}" for one in found), *more]
        fail(REFUSED, "\n".join(lines))


def _say_done(now: Session, answer: pb.SetUpProductResponse, *, is_plan: bool) -> int:
    """Print the steps; the exit code."""
    conflicts = [step for step in answer.steps if step.action == pb.SetupStep.CONFLICT]
    if now.as_json:
        now.print_json(answer)
    else:
        if answer.steps:
            now.console.print(plan_table(answer, is_plan=is_plan))
        now.console.print(_summary(answer, is_plan=is_plan), soft_wrap=True)
    return REFUSED if conflicts else 0


def plan_table(answer: pb.SetUpProductResponse, *, is_plan: bool) -> Table:
    """The steps, in their order."""
    table = FittingTable(
        box=SIMPLE_HEAD, title="The plan" if is_plan else None, title_justify="left"
    )
    table.add_column("step")
    table.add_column("record", overflow="fold")
    table.add_column("differs in")
    for step in answer.steps:
        word, style = DOES[step.action]
        said = word if is_plan else DID.get(step.action, word)
        table.add_row(Text(said, style), step.name, _difference(step))
    return table


def _difference(step: pb.SetupStep) -> str:
    return f"its name: {step.existing}" if step.existing else ", ".join(step.fields)


def _summary(answer: pb.SetUpProductResponse, *, is_plan: bool) -> str:
    counts = dict.fromkeys(DOES, 0)
    for step in answer.steps:
        counts[step.action] += 1
    if counts[pb.SetupStep.CONFLICT]:
        number = counts[pb.SetupStep.CONFLICT]
        differ = "is there and differs" if number == 1 else "are there and differ"
        return f"Nothing can be set up: {_records(number)} {differ}."
    made, activated = counts[pb.SetupStep.CREATED], counts[pb.SetupStep.ACTIVATED]
    if all(counts[action] == 0 for action in counts if action not in KEPT):
        return "Everything is there and in force; nothing changes."
    verb = "would be " if is_plan else ""
    said = f"{_records(made)} {verb}created, {activated} {verb}activated."
    return f"{said} Run it without --plan to do it." if is_plan else said


def _records(number: int) -> str:
    return "1 record" if number == 1 else f"{number} records"


def _line(description: Description, field: str) -> int:
    """The line of a field of the request, or of the record with that name."""
    return description.line_of(field) or description.line_of_text(field)


def end_unread(now: Session, file: Path, faults: list[Fault]) -> NoReturn:
    """Say what cannot be read of a file, and exit."""
    if now.as_json:
        found = [{"line": one.line, "field": one.path, "description": one.text} for one in faults]
        print(json.dumps({"error": {"file": str(file), "faults": found}}), file=sys.stderr)
        raise typer.Exit(MISUSED)
    fail(MISUSED, "\n".join([f"{file} cannot be read:", *(f"  {one}" for one in faults)]))
