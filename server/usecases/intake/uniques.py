"""Counting distinct values while recording: the first record of each value in a window counts 1."""

from collections.abc import Sequence

from server.domain.consumption.uniques import as_counted, unique_value
from server.store.connection import Transaction
from server.store.consumption import recording as store
from server.usecases.intake.blocking import Placed


async def count_unique(tx: Transaction, placed: Sequence[Placed]) -> list[Placed]:
    """Return the records with their counted quantity, and store the new values.

    Every record must be one that is not stored yet.
    """
    asked = [(item, value) for _, item, _ in placed if (value := unique_value(item))]
    new = await store.add_unique_values(tx, asked)
    return [
        (index, as_counted(item, item.usage.key in new), place) for index, item, place in placed
    ]


async def forget_unique(tx: Transaction, refused: Sequence[Placed]) -> None:
    """Delete the values of records that are refused after all, so that they can count again."""
    counted = [item for _, item, _ in refused if item.slot.meter.unique_label and item.quantity]
    if counted:
        await store.forget_unique_values(tx, counted)
