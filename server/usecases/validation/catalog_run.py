"""Validate a whole catalog: a run in slices, each a job that schedules the next one.

The findings are stored with the run. A slice that fails runs again, and stores nothing twice.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from server.domain.errors import Aborted, InvalidArgument, NotFound
from server.domain.ids import JobId, ProductId, RunId, derive
from server.domain.validation import ProductVerdict, Severity, validate
from server.domain.work import JobKind
from server.env import new_id
from server.store import jobs, runs
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.runs import Run
from server.store.validation import findings as store
from server.store.validation.findings import CatalogFinding, FindingKey, FindingsQuery
from server.usecases import clock
from server.usecases.validation.validator import ValidateProducts, load_setups

KIND = "VALIDATE_CATALOG"
SLICE = 20
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateCatalog:
    """The days to check; without a start, from today."""

    start: date | None
    end: date | None
    with_drafts: bool


async def begin(tx: Transaction, asked: ValidateCatalog) -> Run:
    """Start to validate all products. Raises RUN_IN_PROGRESS, INTERVAL_INVALID."""
    now = await tenants.now(tx)
    start = asked.start or now.date()
    if asked.end is not None and asked.end <= start:
        text = f"must be after the first day that matters, {start}"
        raise InvalidArgument.at("end_date", "INTERVAL_INVALID", text, start_date=str(start))
    under_way = await runs.running(tx, KIND)
    if under_way is not None:
        name = f"runs/{under_way}"
        text = f"{name} is looking at the catalog; wait for it"
        raise Aborted("RUN_IN_PROGRESS", text, {"run": name})
    await store.forget_old(tx, KEPT)
    run_id = RunId(new_id())
    await runs.add(tx, run_id, kind=KIND, start=now, target=now)
    counts = {"products": await store.count_products(tx), "products_done": 0}
    await runs.save_counts(tx, run_id, counts | {"errors": 0, "warnings": 0})
    await jobs.add(tx, [_slice(run_id, "", replace(asked, start=start), now)])
    return await clock.get(tx, run_id)


async def validate_slice(tx: Transaction, job: Job) -> None:
    """Validate the next products of a run, and schedule the next slice or end the run."""
    run_id, after = RunId(UUID(job.payload["run_id"])), job.payload["after"]
    run = await runs.find(tx, run_id)
    if run is None or run.state != "RUNNING":
        return
    asked = ValidateCatalog(
        start=date.fromisoformat(job.payload["start"]),
        end=date.fromisoformat(job.payload["end"]) if job.payload["end"] else None,
        with_drafts=bool(job.payload["with_drafts"]),
    )
    product_ids = await store.next_products(tx, after, SLICE)
    verdicts = await _verdicts(tx, asked, product_ids)
    found = [finding for verdict in verdicts for finding in _findings(verdict)]
    await store.add(tx, run_id, found)
    counts = {
        "products": run.done_counts["products"],
        "products_done": run.done_counts["products_done"] + len(product_ids),
        "errors": run.done_counts["errors"] + _count(found, Severity.ERROR),
        "warnings": run.done_counts["warnings"] + _count(found, Severity.WARNING),
    }
    if len(product_ids) == SLICE:
        await runs.save_counts(tx, run_id, counts)
        await jobs.add(tx, [_slice(run_id, product_ids[-1], asked, job.fire_time)])
        return
    # Products may have been added or deleted since the start, so the total becomes the number done.
    counts["products"] = counts["products_done"]
    await runs.end(tx, run_id, state="DONE")
    await runs.save_counts(tx, run_id, counts)


async def fail(tx: Transaction, job: Job, error: str) -> None:
    """End the run whose next slice was waived; its findings are kept."""
    run_id = RunId(UUID(job.payload["run_id"]))
    run = await runs.find(tx, run_id)
    await runs.end(tx, run_id, state="FAILED", error=error, failed_job_id=job.id)
    if run is not None:
        await runs.save_counts(tx, run_id, run.done_counts)


async def list_findings(
    tx: Transaction,
    run_id: RunId,
    asked: FindingsQuery,
    *,
    after: FindingKey | None,
    limit: int,
) -> list[CatalogFinding]:
    """Return the findings of a validation so far. Raises RUN_NOT_FOUND."""
    run = await runs.find(tx, run_id)
    if run is None or run.kind != KIND:
        raise NotFound.of("Run", f"runs/{run_id}")
    return await store.list_findings(tx, run_id, asked, after=after, limit=limit)


async def _verdicts(
    tx: Transaction,
    asked: ValidateCatalog,
    product_ids: list[ProductId],
) -> list[ProductVerdict]:
    if not product_ids:
        return []
    wanted = ValidateProducts(
        product_ids=tuple(product_ids),
        start=asked.start,
        end=asked.end,
        with_drafts=asked.with_drafts,
    )
    return [validate(setup) for setup in await load_setups(tx, wanted)]


def _findings(verdict: ProductVerdict) -> list[CatalogFinding]:
    """Return one finding for each listed breach: the first hundred of a rule."""
    return [
        CatalogFinding(
            product_id=verdict.product_id,
            rule_id=result.rule.id,
            severity=result.rule.severity,
            position=position,
            message=finding.message,
            records=tuple(finding.records),
        )
        for result in verdict.results
        for position, finding in enumerate(result.findings)
    ]


def _count(found: list[CatalogFinding], severity: Severity) -> int:
    return sum(finding.severity is severity for finding in found)


def _slice(run_id: RunId, after: str, asked: ValidateCatalog, at: datetime) -> Job:
    return Job(
        id=JobId(derive(run_id, "slice", after)),
        kind=JobKind.VALIDATE_CATALOG,
        rank=JobKind.VALIDATE_CATALOG.rank,
        payload={
            "run_id": str(run_id),
            "after": after,
            "start": str(asked.start),
            "end": str(asked.end or ""),
            "with_drafts": "yes" if asked.with_drafts else "",
        },
        fire_time=at,
    )
