"""Jobs that move a sandbox's clock."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases import clock


async def advance_clock(tx: Transaction, job: Job) -> None:
    """Take one step of the run that the job names."""
    await clock.step(tx, job)
