"""The task of catalog validation."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.validation import catalog_run


async def validate_catalog(tx: Transaction, job: Job) -> None:
    """Validate the next products of the job's run."""
    await catalog_run.validate_slice(tx, job)
