"""Moves: what is left of an asset's grants goes to the wallets of its new binding target.

From a day on, the asset is bound to another target. The walk of its wallet before takes out what
is left of its grants at that time, and the walk of its wallet after brings in as much. The amount
is an outcome of the usage before, so that late usage changes both. Source: R26 c.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from server.domain.ids import GrantId, WalletId, derive
from server.domain.selling.grants import Entitlement, Grant
from server.domain.settlement.drawdown import FOREVER
from server.domain.settlement.ledger import CauseKind, Movement
from server.domain.settlement.rewinding import corrections, sums_of
from server.domain.settlement.walk import EARLIEST, MOVED_OUT, Settlement, arrival
from server.domain.settlement.wallet_states import WalletState


def departed(state: WalletState, settlement: Settlement) -> dict[WalletId, tuple[Grant, ...]]:
    """Return what a walk moved out of a wallet, as grants of the wallets where it arrives."""
    leaving = {one.id: one for one in state.entitlements if one.leaves_to is not None}
    if not leaving:
        return {}
    grants = {grant.id: grant for grant in settlement.grants}
    found: dict[WalletId, list[Grant]] = {}
    for movement in settlement.movements:
        if movement.cause_kind is CauseKind.MOVE and movement.leg == MOVED_OUT:
            grant = grants[movement.grant_id]
            arrived = _arrived(grant, leaving[grant.entitlement_id], movement)
            found.setdefault(arrived.wallet_id, []).append(arrived)
    return {wallet_id: tuple(arrived) for wallet_id, arrived in found.items()}


def arrivals(grants: Iterable[Grant]) -> tuple[Movement, ...]:
    """Return the movements that credit what moves to a wallet."""
    return tuple(arrival(grant) for grant in grants)


def replaced(
    known: Iterable[Grant],
    state: WalletState,
    moved: Iterable[Grant],
    *,
    since: datetime | None,
    through: datetime,
) -> tuple[Grant, ...]:
    """Return the arrivals of a wallet after those from another wallet were computed again.

    `moved` are those of the walk of `state` after `since` through `through`; others stay.
    """
    leaving = {one.id for one in state.entitlements if one.leaves_to is not None}
    kept = (
        grant
        for grant in known
        if grant.quantity
        and (
            grant.entitlement_id not in leaving
            or grant.opens > through
            or (since is not None and grant.opens <= since)
        )
    )
    return tuple(sorted((*kept, *moved), key=lambda grant: (grant.opens, grant.id)))


def first_changed(before: Iterable[Grant], now: Iterable[Grant]) -> datetime | None:
    """Return the time of the first arrival that differs, or None."""
    old, new = _quantities(before), _quantities(now)
    keys = (key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return min((opens for opens, _ in keys), default=None)


def changed_arrivals(
    posted: Sequence[Grant], now: Sequence[Grant], *, closed: datetime | None
) -> tuple[tuple[Movement, ...], tuple[Grant, ...]]:
    """Return the movements that turn posted arrivals into those of now, and the grants to open.

    Those until `closed` are left out: the walk over the final periods of their wallet has them.
    """
    known = {grant.id for grant in posted}
    before, after = (
        [
            arrival(grant)
            for grant in grants
            if grant.quantity and (closed is None or grant.opens > closed)
        ]
        for grants in (posted, now)
    )
    sums = sums_of(before)
    movements = corrections(sums, after, since=EARLIEST, through=FOREVER)
    moved = {movement.grant_id for movement in movements}
    return movements, tuple(grant for grant in now if grant.id in moved and grant.id not in known)


def _quantities(grants: Iterable[Grant]) -> dict[tuple[datetime, GrantId], Decimal]:
    return {(grant.opens, grant.id): grant.quantity for grant in grants if grant.quantity}


def moved_id(grant_id: GrantId, wallet_id: WalletId) -> GrantId:
    """Return the id that a grant has in the wallet to which it moves."""
    return GrantId(derive(grant_id, "moved", wallet_id))


def _arrived(grant: Grant, entitlement: Entitlement, movement: Movement) -> Grant:
    """Return a grant that moved out as it arrives: its window and its rollovers stay."""
    assert entitlement.leaves_to is not None, entitlement
    return replace(
        grant,
        id=moved_id(grant.id, entitlement.leaves_to),
        wallet_id=entitlement.leaves_to,
        quantity=-movement.amount,
        balance=-movement.amount,
        arrive_time=movement.effective_time,
        source_id=grant.id,
    )
