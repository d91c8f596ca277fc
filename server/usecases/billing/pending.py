"""Final periods whose usage has changed, so that what was posted is to be corrected."""

from collections.abc import Iterable

from server.domain.billing.causes import Cause
from server.domain.consumption.recording import PeriodKey
from server.store.connection import Transaction


async def mark(tx: Transaction, keys: Iterable[PeriodKey], cause: Cause) -> None:
    """Make the jobs that correct what was posted for some final periods."""
