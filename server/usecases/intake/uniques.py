"""Counting different values while recording: the first of each in its window counts one."""

from collections.abc import Sequence

from server.domain.consumption.uniques import as_counted, unique_value
from server.store.connection import Transaction
from server.store.consumption import recording as store
from server.usecases.intake.blocking import Placed


async def count_unique(tx: Transaction, placed: Sequence[Placed]) -> list[Placed]:
    """Return the records with what they count, and remember the values that are new.

    Every record must be one that is not kept yet.
    """
    asked = [(item, value) for _, item, _ in placed if (value := unique_value(item))]
    new = await store.add_unique_values(tx, asked)
    return [
        (index, as_counted(item, item.usage.key in new), place) for index, item, place in placed
    ]


async def forget_unique(tx: Transaction, refused: Sequence[Placed]) -> None:
    """Values that were counted by records which are not kept after all count again."""
    counted = [item for _, item, _ in refused if item.slot.meter.unique_label and item.quantity]
    if counted:
        await store.forget_unique_values(tx, counted)
