"""The task that moves a sandbox's clock."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases import clock


async def advance_clock(tx: Transaction, job: Job) -> None:
    """Do the next step of the job's run."""
    await clock.step(tx, job)
