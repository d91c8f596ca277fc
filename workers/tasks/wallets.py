"""The tasks of one wallet: correcting final usage, closing a rating period, issuing grants."""

from datetime import datetime
from uuid import UUID

from server.domain.ids import WalletId
from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.billing import closing as settlement
from server.usecases.billing import corrections
from server.usecases.billing.closing import ClosePeriod, RefreshGrants
from server.usecases.billing.corrections import CorrectUsage


async def correct_usage(tx: Transaction, job: Job) -> None:
    """Take in what is pending for the job's wallet and those connected with it."""
    wallet_id = WalletId(UUID(job.payload["wallet_id"]))
    await corrections.correct_usage(
        tx, CorrectUsage(account_id=job.account_id, wallet_id=wallet_id)
    )


async def close_period(tx: Transaction, job: Job) -> None:
    """Close the job's rating period."""
    command = ClosePeriod(
        account_id=job.account_id,
        wallet_id=WalletId(UUID(job.payload["wallet_id"])),
        start=datetime.fromisoformat(job.payload["start_time"]),
    )
    await settlement.close_period(tx, command)


async def refresh_grants(tx: Transaction, job: Job) -> None:
    """Post the issues that are due at the job's time."""
    command = RefreshGrants(
        account_id=job.account_id,
        wallet_id=WalletId(UUID(job.payload["wallet_id"])),
        at=datetime.fromisoformat(job.payload["at"]),
    )
    await settlement.refresh_grants(tx, command)
