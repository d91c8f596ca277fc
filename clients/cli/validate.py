"""`usage validate`: what is wrong with the setup of products, and what to do about it."""

import sys
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from usage.v1 import catalog_service_pb2 as catalog
from usage.v1 import validation_service_pb2 as validation

from clients import UsageClient
from clients.cli.session import REFUSED, Session, as_dict, session
from clients.pages import pages

MOST_AT_ONCE = 10
STYLES = {"ERROR": "red", "WARNING": "yellow"}


def validate(
    context: typer.Context,
    products: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PRODUCT]...", help="plan or products/plan; all of them if none"),
    ] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Look at drafts as if active.")] = False,
) -> None:
    """Hold products to the rules of their setup; exit 1 when one has errors."""
    now = session(context)
    names = [one if "/" in one else f"products/{one}" for one in products or ()]

    async def work(client: UsageClient) -> int:
        found = [one async for one in _looked_at(client, now, names, drafts)]
        is_valid = all(one.is_valid for one in found)
        if now.as_json:
            now.print_json({"is_valid": is_valid, "products": [_plain(one) for one in found]})
        else:
            _print(now.console, found)
        return 0 if is_valid else REFUSED

    now.run(work)


async def _looked_at(
    client: UsageClient, now: Session, names: list[str], drafts: bool
) -> AsyncIterator[validation.ProductValidation]:
    """What is found of each product, ten asked about at once."""
    with _progress(now) as progress:
        if not names:
            task = progress.add_task("listing products", total=None)
            request = catalog.ListProductsRequest(page_size=1000)
            names = [one.name async for one in pages(client.catalog.ListProducts, request)]
            progress.remove_task(task)
        task = progress.add_task("validating", total=len(names))
        left = iter(dict.fromkeys(names))
        while some := list(islice(left, MOST_AT_ONCE)):
            answer = await client.validation.ValidateProducts(
                validation.ValidateProductsRequest(products=some, include_drafts=drafts)
            )
            for product in answer.products:
                yield product
            progress.advance(task, len(some))


def _print(console: Console, found: Sequence[validation.ProductValidation]) -> None:
    """A line for each finding; then, by rule, what to do and the names to do it to."""
    table = Table(box=SIMPLE_HEAD)
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
    wrong = sum(not one.is_valid for one in found) or "none"
    products = "1 product" if len(found) == 1 else f"{len(found)} products"
    console.print(f"{products} looked at, {wrong} with errors")


def _about(
    product: validation.ProductValidation, result: validation.ValidationResult
) -> tuple[str, Text, str]:
    severity = validation.ValidationRule.Severity.Name(result.rule.severity)
    styled = Text(severity.lower(), style=STYLES.get(severity, ""))
    return product.product.rpartition("/")[2], styled, result.rule.id


def _plain(product: validation.ProductValidation) -> dict[str, Any]:
    """A product as JSON, which says that it is not valid too."""
    return {"is_valid": product.is_valid} | as_dict(product)


def _progress(now: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(file=sys.stderr),
        disable=now.as_json,
    )
