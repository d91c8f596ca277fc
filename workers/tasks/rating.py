"""Jobs about rating batches: price what one asks for."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.intake import rating_batches


async def rate_batch(tx: Transaction, job: Job) -> None:
    """Rate the request that the job names, unless that is done."""
    await rating_batches.rate(tx, job)
