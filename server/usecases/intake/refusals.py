"""Keeping refused records, so that they can be found and corrected."""

from collections.abc import Sequence

from server.domain.consumption.refusals import Refusal
from server.env import new_id
from server.store.connection import Transaction
from server.store.consumption import refused_records as store


async def keep_refusals(tx: Transaction, refusals: Sequence[Refusal]) -> None:
    """Store the refused records of a call; the oldest ones of the tenant give way."""
    if refusals:
        # Sorted: ids of one millisecond have no order of their own.
        ids = sorted(new_id() for _ in refusals)
        await store.add(tx, list(zip(ids, refusals, strict=True)))
