"""The task of rating batches."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.intake import rating_batches


async def rate_batch(tx: Transaction, job: Job) -> None:
    """Rate the job's batch, unless it is already rated."""
    await rating_batches.rate(tx, job)
