"""Unique counts: in a window, the earliest record of each value counts 1, all others count 0.

Values are counted separately by dimensions, as all usage is. A value belongs to the window in which
the usage happened, whenever it arrives. Records with the same time are in the order of
their ids, so the order of arrival does not matter. Source: R31.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from server.domain.calendar import Period, PolicyPeriod, local_date, local_midnight
from server.domain.consumption.cells import window
from server.domain.consumption.recording import Counted, Slot
from server.domain.exact import ZERO
from server.domain.ids import AccountId, AssetId, CellId, RecordId, WalletId

ONE = Decimal(1)

UniqueValue = tuple[WalletId, AssetId, str, str]
"""A value in its window, for an asset, its dimensions and a wallet."""


class CountedValue(NamedTuple):
    """The stored record that counts a value, and its cell."""

    account_id: AccountId
    record_id: RecordId
    time: datetime
    cell_id: CellId


def unique_value(item: Counted) -> UniqueValue | None:
    """Return the value to count, or None for usage whose quantity is counted."""
    meter, usage = item.slot.meter, item.usage
    if meter.unique_label is None or not usage.labels:
        return None
    return meter.wallet_id, usage.asset_id, window_key(item), usage.labels[meter.unique_label]


def window_key(item: Counted) -> str:
    """Return the key of the window and the dimensions within which equal values count once."""
    slot, meter = item.slot, item.slot.meter
    place = window(slot.day.start, slot.period.start, meter.unique_period, meter.zone)
    return f"{slot.period.start.isoformat()}/{place}/{item.dimensions}"


def as_counted(item: Counted, is_new: bool) -> Counted:
    """Return the record with its counted quantity: 1 for a new value, 0 for a known one."""
    if item.slot.meter.unique_label is None:
        return item
    quantity = ONE if is_new else ZERO
    return item._replace(quantity=quantity, counted_text=str(quantity))


def takes_over(item: Counted, counted: CountedValue) -> bool:
    """Return True if a record counts a value instead of the stored one, because it is earlier.

    Usage that a cap could refuse takes over nothing: the grants of its day may not cover it.
    """
    usage = item.usage
    is_earlier = (usage.time, usage.record_id) < (counted.time, counted.record_id)
    return is_earlier and not item.slot.meter.blocking


def window_of(slot: Slot) -> Period:
    """Return the time within which equal values of a slot count once."""
    meter, period = slot.meter, slot.period
    length = meter.unique_period
    if length is PolicyPeriod.RATING_PERIOD:
        return period
    if length in (PolicyPeriod.HOUR, PolicyPeriod.DAY):
        return slot.day
    first = local_date(meter.zone, period.start)
    k = length.cadence.index(first, local_date(meter.zone, slot.day.start))
    start, end = (local_midnight(meter.zone, length.cadence.nth(first, n)) for n in (k, k + 1))
    return Period(start, min(end, period.end))
