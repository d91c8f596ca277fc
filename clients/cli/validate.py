"""`usage validate`: what is wrong with the setup of products, and what to do about it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import groupby, islice
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import validation_service_pb2 as validation

from clients import UsageClient
from clients.cli.session import REFUSED, Session, as_dict, fail, session
from clients.pages import pages
from clients.tables import FittingTable

MOST_AT_ONCE = 10
PAUSE_SECONDS = 0.2
STYLES = {"ERROR": "red", "WARNING": "yellow"}


def validate(
    context: typer.Context,
    products: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PRODUCT]...", help="plan or products/plan; all of them if none"),
    ] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Look at drafts as if active.")] = False,
) -> None:
    """Hold products to the rules of their setup; exit 1 when one has errors.

    Without a name all products are looked at, and those with findings are told.
    """
    now = session(context)
    names = [one if "/" in one else f"products/{one}" for one in products or ()]

    async def work(client: UsageClient) -> int:
        if names:
            found = [one async for one in _looked_at(client, now, names, drafts)]
            count = len(found)
        else:
            found, count = await _whole_catalog(client, now, drafts)
        valid = all(one.valid for one in found)
        if now.as_json:
            now.print_json({"valid": valid, "products": [_plain(one) for one in found]})
        else:
            _print(now.console, found, count)
        return 0 if valid else REFUSED

    now.run(work)


async def _looked_at(
    client: UsageClient, now: Session, names: list[str], drafts: bool
) -> AsyncIterator[validation.ProductValidation]:
    """Return the findings of each product, ten a call."""
    with _progress(now) as progress:
        task = progress.add_task("validating", total=len(names))
        left = iter(dict.fromkeys(names))
        while some := list(islice(left, MOST_AT_ONCE)):
            answer = await client.validation.ValidateProducts(
                validation.ValidateProductsRequest(products=some, include_drafts=drafts)
            )
            for product in answer.products:
                yield product
            progress.advance(task, len(some))


async def _whole_catalog(
    client: UsageClient, now: Session, drafts: bool
) -> tuple[list[validation.ProductValidation], int]:
    """Return the findings of a run over all products, and how many were checked."""
    run = await client.validation.ValidateCatalog(
        validation.ValidateCatalogRequest(include_drafts=drafts)
    )
    with _progress(now) as progress:
        task = progress.add_task("validating", total=run.done_counts["products"])
        while run.state == access.Run.RUNNING:
            progress.update(task, completed=run.done_counts["products_done"])
            await asyncio.sleep(PAUSE_SECONDS)
            run = await client.access.GetRun(access.GetRunRequest(name=run.name))
        progress.update(task, completed=run.done_counts["products_done"])
    if run.state != access.Run.DONE:
        fail(REFUSED, f"{run.name} stopped: {run.error.message}; see {run.failed_job}")
    request = validation.ListValidationFindingsRequest(parent=run.name, page_size=1000)
    listed = [one async for one in pages(client.validation.ListValidationFindings, request)]
    by_product = groupby(listed, key=lambda one: one.product)
    found = [_product(name, list(own)) for name, own in by_product]
    return found, run.done_counts["products"]


def _product(name: str, found: Sequence[validation.CatalogFinding]) -> validation.ProductValidation:
    """A product with what was found of it, by rule, errors first."""
    results: dict[str, validation.ValidationResult] = {}
    for one in found:
        result = results.setdefault(one.rule.id, validation.ValidationResult(rule=one.rule))
        result.findings.append(one.finding)
        result.finding_count += 1
    ordered = sorted(results.values(), key=lambda one: (one.rule.severity, one.rule.id))
    valid = all(one.rule.severity != validation.ValidationRule.ERROR for one in ordered)
    return validation.ProductValidation(product=name, valid=valid, results=ordered)


def _print(console: Console, found: Sequence[validation.ProductValidation], count: int) -> None:
    """A line for each finding; then, by rule, what to do and the names to do it to."""
    table = FittingTable(box=SIMPLE_HEAD)
    for column in ("#", "product", "", "rule", "what is wrong"):
        table.add_column(column, overflow="fold")
    remedies: dict[str, list[Text]] = {}
    for product in found:
        for result in product.results:
            rule = result.rule
            own = remedies.setdefault(rule.id, [Text(f"{rule.id}  {rule.title} {rule.remedy}")])
            for finding in result.findings:
                number = str(table.row_count + 1)
                own.append(Text(f"  {number}  {'  '.join(finding.records)}", style="dim"))
                table.add_row(number, *_about(product, result), Text(finding.message))
            more = result.finding_count - len(result.findings)
            if more > 0:
                table.add_row("", *_about(product, result), f"and {more} more")
    if remedies:
        console.print(table)
    for line in (line for lines in remedies.values() for line in lines):
        console.print(line, soft_wrap=True)
    wrong = sum(not one.valid for one in found) or "none"
    products = "1 product" if count == 1 else f"{count} products"
    console.print(f"{products} looked at, {wrong} with errors")


def _about(
    product: validation.ProductValidation, result: validation.ValidationResult
) -> tuple[str, Text, str]:
    severity = validation.ValidationRule.Severity.Name(result.rule.severity)
    styled = Text(severity.lower(), style=STYLES.get(severity, ""))
    return product.product.rpartition("/")[2], styled, result.rule.id


def _plain(product: validation.ProductValidation) -> dict[str, Any]:
    """A product as JSON, which says that it is not valid too."""
    return {"valid": product.valid} | as_dict(product)


def _progress(now: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(file=sys.stderr),
        disable=now.as_json,
    )
