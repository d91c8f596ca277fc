"""The task of void runs and amend runs."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.intake import record_runs


async def change_records(tx: Transaction, job: Job) -> None:
    """Void or amend the next records of the job's run."""
    await record_runs.change_slice(tx, job)
