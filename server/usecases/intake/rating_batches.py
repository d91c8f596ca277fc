"""Rating batches: stored with the job that rates them, and rated in one transaction.

If a worker dies, the batch stays pending without results, and the next worker rates it as a whole.
"""

from dataclasses import dataclass
from uuid import UUID

from server.domain.billing.rating_batches import LineResult, RatingBatch, verdict
from server.domain.consumption.recording import Usage
from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import AccountId, JobId, RatingBatchId, derive
from server.domain.limits import value_of
from server.domain.work import JobKind
from server.env import new_id
from server.store import jobs
from server.store.access import tenants
from server.store.billing import rating_batches as store
from server.store.billing.rating_batches import NewRequest
from server.store.connection import Transaction
from server.store.jobs import Job
from server.store.keys import TimeKey
from server.store.selling import accounts
from server.usecases.intake.preview import Previewed, PreviewUsage, previews, read_inputs

MOST_WORK = value_of("rating_batch.cells")
"""As for a preview, but less, because a job has to end within seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRatingBatch:
    """Lines of one account to rate, as they were read."""

    account_id: AccountId
    lines: tuple[Usage, ...]
    skips_waterfall: bool


async def create(tx: Transaction, command: CreateRatingBatch) -> RatingBatch:
    """Store a batch, and schedule its rating. Raises ACCOUNT_NOT_FOUND."""
    account_id = command.account_id
    await accounts.get(tx, account_id)
    new = NewRequest(
        id=RatingBatchId(new_id()),
        account_id=account_id,
        lines=command.lines,
        skips_waterfall=command.skips_waterfall,
    )
    await store.add(tx, new)
    job = Job(
        id=JobId(derive(new.id, "rate")),
        kind=JobKind.RATE_BATCH,
        rank=JobKind.RATE_BATCH.rank,
        account_id=account_id,
        payload={"rating_batch_id": str(new.id)},
        fire_time=await tenants.now(tx),
    )
    await jobs.add(tx, [job])
    return await store.get(tx, account_id, new.id)


async def rate(tx: Transaction, job: Job) -> None:
    """Rate the batch that a job names, unless that is done."""
    request_id = RatingBatchId(UUID(job.payload["rating_batch_id"]))
    # The job may run twice; the second run finds the batch finished.
    if not await store.lock(tx, job.account_id, request_id):
        return
    request = await store.get(tx, job.account_id, request_id)
    try:
        command = PreviewUsage(job.account_id, request.lines)
        found = await read_inputs(tx, command, most_work=MOST_WORK)
        results = [_result(one, request.skips_waterfall) for one in previews(found)]
    except (InvalidArgument, FailedPrecondition) as error:
        results = [LineResult(error=error) for _ in request.lines]
    await store.finish(tx, request, results, verdict(results))


async def fail(tx: Transaction, job: Job, error: str) -> None:
    """Fail the batch whose job was waived, line by line."""
    request_id = RatingBatchId(UUID(job.payload["rating_batch_id"]))
    request = await store.get(tx, job.account_id, request_id)
    text = f"rating it was given up after errors, the last of which was {error}"
    results = [LineResult(error=FailedPrecondition("JOB_WAIVED", text)) for _ in request.lines]
    await store.finish(tx, request, results, verdict(results))


async def list_requests(
    tx: Transaction,
    account_id: AccountId,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[RatingBatch]:
    """Return an account's batches, newest first. Raises ACCOUNT_NOT_FOUND."""
    await accounts.get(tx, account_id)
    return await store.list_requests(tx, account_id, after=after, limit=limit)


def _result(found: Previewed, skips_waterfall: bool) -> LineResult:
    if found.error is not None:
        return LineResult(error=found.error)
    own = found.effects[0]
    error = None
    if own.failure is not None:
        assert found.item is not None, found
        words = own.line.failure_text if own.line is not None else ""
        text = f"{found.item.usage.resource_id} cannot be priced: {words or own.failure}"
        error = FailedPrecondition(own.failure, text)
    return LineResult(
        error=error,
        used=own.used,
        overage=own.overage,
        amount=own.amount,
        unit=own.unit,
        steps=() if skips_waterfall or own.line is None else own.line.steps,
    )
