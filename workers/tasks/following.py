"""The task of assets that follow the catalog."""

from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.lifecycle import following


async def follow_catalog(tx: Transaction, job: Job) -> None:
    """Let the assets of an account, or of the next accounts, follow a change of the catalog."""
    await following.follow_next(tx, job)
