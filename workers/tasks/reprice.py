"""The task of reprice runs."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.lifecycle import reprice_runs


async def reprice(tx: Transaction, job: Job) -> None:
    """Find the next accounts of the job's run, or reprice the account of the job."""
    await reprice_runs.reprice_next(tx, job)
