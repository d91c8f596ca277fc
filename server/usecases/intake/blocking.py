"""Blocking while recording: wallets that refuse what they cannot pay for are held and asked."""

from collections.abc import Iterable, Mapping, Sequence

from server.domain.calendar import Period
from server.domain.consumption.aggregation import Cell, Measure
from server.domain.consumption.recording import Counted, Outcome, Place, WalletKey, rejected
from server.domain.errors import FailedPrecondition
from server.domain.exact import plain
from server.domain.ids import AssetId
from server.domain.wallets.blocking import fitting
from server.store.connection import Transaction
from server.store.settlement import wallets
from server.store.settlement.wallets import StoredWallet

Placed = tuple[int, Counted, Place]


async def refuse_blocked(
    tx: Transaction,
    placed: Sequence[Placed],
    outcomes: dict[int, Outcome],
) -> list[Placed]:
    """Hold the wallets that block, in the order of their keys, and refuse what they do not cover.

    What is left may be kept: nobody else draws on these wallets until the transaction ends.
    """
    by_wallet: dict[WalletKey, list[Placed]] = {}
    for one in placed:
        meter = one[1].slot.meter
        for wallet_id in meter.blocking:
            by_wallet.setdefault((meter.account_id, wallet_id), []).append(one)
    for key in sorted(by_wallet):
        await wallets.lock(tx, *key)
    for key in sorted(by_wallet):
        wallet = await wallets.get(tx, *key, with_sources=True)
        asked = [one for one in by_wallet[key] if one[0] not in outcomes]
        numbers = await wallets.asset_numbers(tx, key[0], _assets(asked))
        cells = [cell_of(item, place, numbers) for _, item, place in asked]
        fits = fitting(wallet.state, cells, now=wallet.now)
        for (index, item, _), fit in zip(asked, fits, strict=True):
            if not fit:
                outcomes[index] = rejected(cap_reached(wallet, item))
    return [one for one in placed if one[0] not in outcomes]


def _assets(placed: Iterable[Placed]) -> set[AssetId]:
    return {item.usage.asset_id for _, item, _ in placed}


def cell_of(item: Counted, place: Place, numbers: Mapping[AssetId, int]) -> Cell:
    """The usage of one record, as a cell of its own."""
    usage, slot = item.usage, item.slot
    return Cell(
        id=place.cell_id,
        wallet_id=slot.meter.wallet_id,
        asset_id=usage.asset_id,
        asset_number=numbers[usage.asset_id],
        dimensions=place.dimensions,
        start=slot.day.start,
        end=slot.day.end,
        origin_start=slot.period.start,
        period=_handling(place),
        measure=Measure.of(item.quantity, usage.time, usage.record_id),
    )


def _handling(place: Place) -> Period:
    slot = place.slot
    is_own = place.period_start == slot.period.start
    return slot.period if is_own else slot.meter.period_of(place.period_start)


def cap_reached(wallet: StoredWallet, item: Counted) -> FailedPrecondition:
    """The refusal of usage that a wallet does not cover."""
    name = f"accounts/{wallet.account_id}/wallets/{wallet.id}"
    return FailedPrecondition(
        "CAP_REACHED",
        f"{plain(item.quantity)} are more than is left of {wallet.resource_id}, which is not"
        " sold beyond its grants; buy more, or use less",
        {"wallet": name, "quantity": plain(item.quantity), "usage_resource": wallet.resource_id},
    )
