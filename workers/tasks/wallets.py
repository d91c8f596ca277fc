"""The tasks of one wallet: closing a rating period, issuing grants."""

from datetime import datetime
from uuid import UUID

from server.domain.ids import WalletId
from server.store.connection import Transaction
from server.store.jobs import Job
from server.usecases.billing import closing as settlement
from server.usecases.billing.closing import ClosePeriod, RefreshGrants


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
