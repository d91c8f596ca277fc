"""Blocking: refusal of usage that grants do not cover, where the sale does not include overage.

A record fits if it does not raise the overage that the wallet would have if its usage were final
now. Records are taken in the order of arrival; one that does not fit does not exclude later ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from server.domain.consumption.cells import Cell, merged
from server.domain.consumption.recording import Counted, WalletKey
from server.domain.errors import FailedPrecondition
from server.domain.exact import ZERO, exact, plain
from server.domain.ids import ResourceId
from server.domain.settlement.standing import with_standing
from server.domain.settlement.wallet_states import WalletState
from server.domain.wallets.balances import project


@exact
def fitting(state: WalletState, cells: Sequence[Cell], *, now: datetime) -> list[bool]:
    """Return whether each of these cells, one for each record, fits after the ones before it.

    The cells belong to the wallet itself, or to a wallet whose usage costs its tokens.
    """
    allowed = _overage(state, now)
    fits: list[bool] = []
    while len(fits) < len(cells):
        left = cells[len(fits) :]
        # Each projection walks the whole wallet, so a binary search for the longest prefix that
        # fits is cheaper than one projection for each record.
        count = _longest(state, left, allowed, now)
        state = with_usage(state, left[:count])
        fits += [True] * count
        if count < len(left):
            # The first cell after the longest prefix is the one that does not fit.
            fits.append(False)
    return fits


def cap_reached(wallet: WalletKey, resource_id: ResourceId, item: Counted) -> FailedPrecondition:
    """Return the refusal of usage that a wallet does not cover."""
    account_id, wallet_id = wallet
    name = f"accounts/{account_id}/wallets/{wallet_id}"
    return FailedPrecondition(
        "CAP_REACHED",
        f"{plain(item.quantity)} are more than is left of {resource_id}, which is not"
        " sold beyond its grants; buy more, or use less",
        {"wallet": name, "quantity": plain(item.quantity), "usage_resource": resource_id},
    )


def _longest(state: WalletState, cells: Sequence[Cell], allowed: Decimal, now: datetime) -> int:
    """Return the number of first cells that fit together."""
    # The whole batch is tried first, so that a batch that fits needs one projection only.
    low, high = 0, len(cells)
    count = high
    while low < high:
        if _overage(with_usage(state, cells[:count]), now) <= allowed:
            low = count
        else:
            high = count - 1
        count = (low + high + 1) // 2
    return low


def _overage(state: WalletState, now: datetime) -> Decimal:
    return sum((result.overage for result in project(state, now=now).results), ZERO)


def with_usage(state: WalletState, cells: Sequence[Cell]) -> WalletState:
    """Return the wallet with more usage, its own or that of wallets on which it depends."""
    own = [cell for cell in cells if cell.wallet_id == state.terms.id]
    if own:
        state = with_standing(replace(state, cells=_merged(state.cells, own)))
    if len(own) == len(cells):
        return state
    return replace(
        state,
        sources=tuple(_with_own(source, cells) for source in state.sources),
        moved_from=tuple(_with_own(source, cells) for source in state.moved_from),
    )


def _with_own(source: WalletState, cells: Sequence[Cell]) -> WalletState:
    return with_usage(source, [cell for cell in cells if cell.wallet_id == source.terms.id])


def _merged(cells: Sequence[Cell], more: Sequence[Cell]) -> tuple[Cell, ...]:
    known = {cell.id: cell for cell in cells}
    for cell in more:
        first = known.get(cell.id)
        both = (
            cell if first is None else replace(first, measure=merged([first.measure, cell.measure]))
        )
        known[cell.id] = both
    return tuple(known.values())
