"""Counting distinct values while recording: the earliest record of each value in a window counts 1.

A record that arrives later and is earlier takes the count over, so that the order of arrival does
not matter.
"""

from collections.abc import Sequence

from server.domain.consumption.recording import Outcome
from server.domain.consumption.uniques import (
    CountedValue,
    UniqueValue,
    as_counted,
    takes_over,
    unique_value,
)
from server.store.connection import Transaction
from server.store.consumption import uniques as store
from server.usecases.intake.blocking import Placed


async def count_unique(tx: Transaction, placed: Sequence[Placed]) -> list[Placed]:
    """Return the records with their counted quantity, and store the new values.

    Every record must be one that is not stored yet.
    """
    asked = [(item, value) for _, item, _ in placed if (value := unique_value(item))]
    new = await store.add(tx, asked)
    return [
        (index, as_counted(item, item.usage.key in new), place) for index, item, place in placed
    ]


def refuse_uncounted(
    counting: Sequence[Placed], left: Sequence[Placed], outcomes: dict[int, Outcome]
) -> list[Placed]:
    """Refuse the records whose value was to be counted by a record that is refused.

    They count nothing themselves, so a cap would let them pass. Returns the records that are left.
    """
    refused = {
        value: outcomes[index]
        for index, item, _ in counting
        if index in outcomes and item.quantity and (value := unique_value(item))
    }
    for index, item, _ in left:
        value = unique_value(item)
        if value in refused:
            outcomes[index] = refused[value]
    return [entry for entry in left if entry[0] not in outcomes]


async def forget_unique(tx: Transaction, refused: Sequence[Placed]) -> None:
    """Delete the values of records that are refused after all, so that they can count again."""
    counted = [item for _, item, _ in refused if item.slot.meter.unique_label and item.quantity]
    if counted:
        await store.forget(tx, counted)


async def take_over(
    tx: Transaction, placed: Sequence[Placed]
) -> tuple[list[Placed], list[CountedValue]]:
    """Let earlier records count the values that stored records counted.

    Returns the records with their counted quantity, and the stored ones that count no longer, whose
    cells are to be measured again. It runs after wallets have refused what they do not cover: the
    number of values does not change.
    """
    repeated: dict[UniqueValue, list[Placed]] = {}
    for entry in placed:
        value = unique_value(entry[1])
        if value is not None and not entry[1].quantity:
            repeated.setdefault(value, []).append(entry)
    if not repeated:
        return list(placed), []
    known = await store.lock(tx, [(entries[0][1], value) for value, entries in repeated.items()])
    taking: dict[int, tuple[UniqueValue, CountedValue]] = {}
    for value, entries in repeated.items():
        index, item, _ = min(entries, key=_order)
        # A value of this batch is not stored yet, and its earliest record counts it.
        if value in known and takes_over(item, known[value]):
            taking[index] = (value, known[value])
    by_index = {index: item for index, item, _ in placed}
    await store.take_over(
        tx, [(by_index[index], value, old) for index, (value, old) in taking.items()]
    )
    counting = [
        (index, as_counted(item, True) if index in taking else item, place)
        for index, item, place in placed
    ]
    return counting, [old for _, old in taking.values()]


def _order(entry: Placed) -> tuple[object, str]:
    usage = entry[1].usage
    return usage.time, usage.record_id
