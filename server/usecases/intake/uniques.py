"""Counting different values while recording: the first of each in its window counts one."""

from collections.abc import Sequence
from decimal import Decimal

from server.domain.consumption.aggregation import window
from server.domain.consumption.recording import Counted
from server.domain.exact import ZERO
from server.store.connection import Transaction
from server.store.consumption import recording as store
from server.usecases.intake.blocking import Placed

ONE = Decimal(1)


async def count_unique(tx: Transaction, placed: Sequence[Placed]) -> list[Placed]:
    """The records with what they count: one if their value is new in its window, else nothing.

    Values are remembered by the window in which usage happened, whichever period handles it. Every
    record must be one that is not kept yet.
    """
    asked = [
        (item, window_key(item), item.usage.labels[label])
        for _, item, _ in placed
        if (label := item.slot.meter.unique_label) and item.usage.labels
    ]
    new = await store.add_unique_values(tx, asked)
    return [
        (index, as_counted(item, item.usage.key in new), place) for index, item, place in placed
    ]


def window_key(item: Counted) -> str:
    """Within which equal values count once."""
    slot, meter = item.slot, item.slot.meter
    place = window(slot.day.start, slot.period.start, meter.unique_period, meter.zone)
    return f"{slot.period.start.isoformat()}/{place}"


def as_counted(item: Counted, is_new: bool) -> Counted:
    """The record with what it counts: of different values, one for a new one."""
    if item.slot.meter.unique_label is None:
        return item
    quantity = ONE if is_new else ZERO
    return item._replace(quantity=quantity, counted_text=str(quantity))


async def forget_unique(tx: Transaction, refused: Sequence[Placed]) -> None:
    """Values that were counted by records which are not kept after all count again."""
    counted = [item for _, item, _ in refused if item.slot.meter.unique_label and item.quantity]
    if counted:
        await store.forget_unique_values(tx, counted)
