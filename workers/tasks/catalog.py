"""Jobs about the catalogue: look at a slice of it."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.validation import catalog_run


async def validate_catalog(tx: Transaction, job: Job) -> None:
    """Hold the next products of the run that the job names to the rules."""
    await catalog_run.look_at_slice(tx, job)
