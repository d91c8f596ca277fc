"""Rewinding: a wallet as it was before a final period, and what a new walk from there changes.

What is known now is walked from the state before the earliest period that it affects. The
difference between the movements of this walk and those that were posted since then is what a
correction posts. Source: R26.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from server.domain.exact import ZERO, exact
from server.domain.ids import GrantId
from server.domain.selling.grants import issued_through
from server.domain.settlement.ledger import CauseKind, EntryKind, Movement
from server.domain.settlement.wallet_states import WalletState


class Effect(NamedTuple):
    """A cause and the grant that it moves, at the time at which the movement counts.

    `leg` tells the legs of a boundary apart, and is 0 for others.
    """

    effective_time: datetime
    cause_kind: CauseKind
    cause_id: UUID
    leg: int
    grant_id: GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The sum of what a cause moved on a grant, and of the usage that this paid for."""

    amount: Decimal = ZERO
    paid: Decimal = ZERO


BOUNDARY_LEGS = 3
"""The number of legs of a boundary: rolled out, rolled in, expired."""

NOTHING = Moved()

Effects = Mapping[Effect, Moved]
"""The sums of all movements, by cause and grant."""


def counts_since(effect: Effect, since: datetime) -> bool:
    """Return whether a movement belongs to the periods from `since` on.

    The boundaries at the start of a period belong to the walk of the period before it.
    """
    if effect.cause_kind is CauseKind.CELL:
        return effect.effective_time >= since
    return effect.effective_time > since


@exact
def rewound(state: WalletState, since: datetime, posted: Effects) -> WalletState:
    """Return a wallet as it was before the period from `since`; `posted` is what moved after it."""
    moved: dict[GrantId, Decimal] = {}
    for effect, sums in posted.items():
        if counts_since(effect, since):
            moved[effect.grant_id] = moved.get(effect.grant_id, ZERO) + sums.amount
    grants = state.posted_grants
    return replace(
        state,
        posted=grants,
        grants=tuple(
            grant.holding(grant.balance - moved.get(grant.id, ZERO))
            for grant in grants
            # A grant that starts later was not there.
            if grant.start <= since
        ),
        entitlements=tuple(
            issued_through(entitlement, state.terms.zone, since)
            for entitlement in state.entitlements
        ),
    )


@exact
def corrections(
    posted: Effects, movements: Iterable[Movement], *, since: datetime, through: datetime
) -> tuple[Movement, ...]:
    """Return the movements that turn what was posted into the movements of a new walk.

    `posted` is compared for the periods from `since` that end by `through`. All credits come before
    all debits, so that no grant is below zero at any entry. An issue that was not posted yet is
    posted as usual.
    """
    due = _effects(movements)
    known = {
        effect: sums
        for effect, sums in posted.items()
        if counts_since(effect, since) and not counts_since(effect, through)
    }
    kinds = {_effect(movement): movement for movement in movements}
    changes: list[Movement] = []
    # Several entries of a correction may have one cause, and each has a leg of its own.
    legs: dict[tuple[CauseKind, UUID, int], int] = {}
    for effect in sorted(due.keys() | known.keys()):
        before, after = known.get(effect, NOTHING), due.get(effect, NOTHING)
        for amount, paid in _parts(before, after):
            cause = (effect.cause_kind, effect.cause_id, effect.leg)
            turn = legs[cause] = legs.get(cause, -1) + 1
            is_usage = effect.cause_kind is CauseKind.CELL
            is_boundary = effect.cause_kind is CauseKind.BOUNDARY
            if effect.cause_kind is CauseKind.ISSUE and effect not in known:
                changes.append(kinds[effect])
                continue
            changes.append(
                Movement(
                    kind=EntryKind.CORRECTION,
                    grant_id=effect.grant_id,
                    amount=amount,
                    covered=paid if is_usage and paid != -amount else None,
                    effective_time=effect.effective_time,
                    cause_kind=effect.cause_kind,
                    cause_id=effect.cause_id,
                    leg=effect.leg + BOUNDARY_LEGS * turn if is_boundary else turn,
                )
            )
    return tuple(sorted(changes, key=lambda movement: movement.amount < 0))


def _parts(before: Moved, after: Moved) -> list[tuple[Decimal, Decimal]]:
    """Return the amounts to move, each with the usage that it pays for; none without a change."""
    amount, paid = after.amount - before.amount, after.paid - before.paid
    if amount:
        return [(amount, paid)]
    if not paid:
        return []
    # The same amount pays for other usage: an entry has an amount, so it is given back and taken.
    return [(-before.amount, -before.paid), (after.amount, after.paid)]


def _effects(movements: Iterable[Movement]) -> dict[Effect, Moved]:
    found: dict[Effect, Moved] = {}
    for movement in movements:
        effect = _effect(movement)
        known = found.get(effect, NOTHING)
        paid = ZERO
        if movement.cause_kind is CauseKind.CELL:
            paid = -movement.amount if movement.covered is None else movement.covered
        found[effect] = Moved(amount=known.amount + movement.amount, paid=known.paid + paid)
    return found


def _effect(movement: Movement) -> Effect:
    return Effect(
        movement.effective_time,
        movement.cause_kind,
        movement.cause_id,
        movement.leg if movement.cause_kind is CauseKind.BOUNDARY else 0,
        movement.grant_id,
    )
