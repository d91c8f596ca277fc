"""Blocking while recording: wallets that refuse usage which they cannot cover."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from server.domain.consumption.placement import cell_of
from server.domain.consumption.recording import Counted, Outcome, Place, WalletKey, rejected
from server.domain.ids import AssetId, WalletId
from server.domain.wallets.blocking import cap_reached, fitting
from server.store.connection import Transaction
from server.store.settlement import wallets
from server.usecases.settlement.as_rated import rated_as_before

Placed = tuple[int, Counted, Place]


async def refuse_blocked(
    tx: Transaction,
    placed: Sequence[Placed],
    outcomes: dict[int, Outcome],
) -> list[Placed]:
    """Lock the blocking wallets in key order, and refuse the records that they do not cover.

    Returns the records that may be stored. Nobody else draws on these wallets until the transaction
    ends.
    """
    by_wallet: dict[WalletKey, list[Placed]] = {}
    for entry in placed:
        meter = entry[1].slot.meter
        for wallet_id in meter.blocking:
            by_wallet.setdefault((meter.account_id, wallet_id), []).append(entry)
    # All locks before any read, in the order of keys, so that concurrent batches cannot deadlock.
    for key in sorted(by_wallet):
        await wallets.lock(tx, *key)
    for key in sorted(by_wallet):
        since = _since(entry for entry in by_wallet[key] if entry[2].late is not None)
        read = await wallets.get(tx, *key, with_sources=True, since=since)
        wallet = await rated_as_before(tx, read)
        asked = [entry for entry in by_wallet[key] if entry[0] not in outcomes]
        numbers = await wallets.asset_numbers(tx, key[0], _assets(asked))
        cells = [cell_of(item, place, numbers[item.usage.asset_id]) for _, item, place in asked]
        fits = fitting(wallet.state, cells, now=wallet.now)
        for (index, item, _), fit in zip(asked, fits, strict=True):
            if not fit:
                outcomes[index] = rejected(cap_reached(key, wallet.resource_id, item))
    return [entry for entry in placed if entry[0] not in outcomes]


def _since(late: Iterable[Placed]) -> dict[WalletId, datetime]:
    """Return the start of the earliest final period that usage belongs to, by its own wallet."""
    found: dict[WalletId, datetime] = {}
    for _, item, _ in late:
        start, wallet_id = item.slot.period.start, item.slot.meter.wallet_id
        found[wallet_id] = min(start, found.get(wallet_id, start))
    return found


def _assets(placed: Iterable[Placed]) -> set[AssetId]:
    return {item.usage.asset_id for _, item, _ in placed}
