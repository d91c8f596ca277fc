"""Unique counts: the first record of each value in a window counts 1, later ones count 0.

A value belongs to the window in which the usage happened, whichever period handles it.
"""

from decimal import Decimal

from server.domain.consumption.aggregation import window
from server.domain.consumption.recording import Counted
from server.domain.exact import ZERO
from server.domain.ids import AssetId, WalletId

ONE = Decimal(1)

UniqueValue = tuple[WalletId, AssetId, str, str]
"""A value in its window, for an asset and a wallet."""


def unique_value(item: Counted) -> UniqueValue | None:
    """Return the value to count, or None for usage whose quantity is counted."""
    meter, usage = item.slot.meter, item.usage
    if meter.unique_label is None or not usage.labels:
        return None
    return meter.wallet_id, usage.asset_id, window_key(item), usage.labels[meter.unique_label]


def window_key(item: Counted) -> str:
    """Return the key of the window within which equal values count once."""
    slot, meter = item.slot, item.slot.meter
    place = window(slot.day.start, slot.period.start, meter.unique_period, meter.zone)
    return f"{slot.period.start.isoformat()}/{place}"


def as_counted(item: Counted, is_new: bool) -> Counted:
    """Return the record with its counted quantity: 1 for a new value, 0 for a known one."""
    if item.slot.meter.unique_label is None:
        return item
    quantity = ONE if is_new else ZERO
    return item._replace(quantity=quantity, counted_text=str(quantity))
