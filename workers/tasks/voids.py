"""The task of void runs."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.intake import void_runs


async def void_usage(tx: Transaction, job: Job) -> None:
    """Void the next records of the job's run."""
    await void_runs.void_slice(tx, job)
