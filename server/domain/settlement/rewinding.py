"""Rewinding: a wallet as it was before a final period, and what a new walk from there changes.

What is known now is walked from the state before the earliest period that it affects. The
difference between the movements of this walk and those that were posted since then is what a
correction posts. Source: R26.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from server.domain.exact import ZERO, exact
from server.domain.ids import GrantId
from server.domain.selling.grants import issued_through, next_indices
from server.domain.settlement.ledger import CauseKind, EntryKind, Movement
from server.domain.settlement.walk import MOVED_IN, Settlement
from server.domain.settlement.wallet_states import WalletState


class MovementKey(NamedTuple):
    """A cause and the grant that it moves, at the time at which the movement counts.

    `leg` tells the legs of a boundary or a move apart, and is 0 for others.
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


class Span(NamedTuple):
    """Consecutive rating periods: those that start at or after `since`, and before `until`."""

    since: datetime
    until: datetime | None = None

    def ends_after(self, start: datetime | None) -> bool:
        """Return whether it has the whole period that starts at `start`; False if unknown."""
        return start is not None and self.until is not None and start < self.until


class PeriodSize(NamedTuple):
    """A rating period and the number of its cells."""

    start: datetime
    cells: int


ALL_PERIODS = Span(datetime(1900, 1, 1, tzinfo=UTC))
"""All rating periods of a wallet: it begins before the first usage of every wallet."""

BOUNDARY_LEGS = 3
"""The number of legs of a boundary: rolled out, rolled in, expired; a move has fewer."""

WITH_LEGS = frozenset({CauseKind.BOUNDARY, CauseKind.MOVE})
"""The causes whose legs are told apart."""

POSTED_ONCE = frozenset({CauseKind.ISSUE, CauseKind.MOVE})
"""The causes that a correction posts as usual if they were not posted before."""

NOTHING = Moved()

PostedSums = Mapping[MovementKey, Moved]
"""The sums of all movements, by cause and grant."""


def counts_since(key: MovementKey, since: datetime) -> bool:
    """Return whether a movement belongs to the periods from `since` on.

    The boundaries at the start of a period belong to the walk of the period before it.
    """
    if key.cause_kind is CauseKind.CELL:
        return key.effective_time >= since
    return key.effective_time > since


@exact
def rewound(state: WalletState, since: datetime, posted: PostedSums) -> WalletState:
    """Return a wallet as it was before the period from `since`; `posted` is what moved after it."""
    moved: dict[GrantId, Decimal] = {}
    arrived: dict[GrantId, Decimal] = {}
    for key, sums in posted.items():
        if counts_since(key, since):
            moved[key.grant_id] = moved.get(key.grant_id, ZERO) + sums.amount
            if key.cause_kind is CauseKind.MOVE and key.leg == MOVED_IN:
                arrived[key.grant_id] = arrived.get(key.grant_id, ZERO) + sums.amount
    grants = state.posted_grants
    return replace(
        state,
        posted=grants,
        grants=tuple(
            grant.holding(grant.balance - moved.get(grant.id, ZERO))
            for grant in grants
            # A grant that starts or arrives later was not there.
            if grant.opens <= since
        ),
        arrivals=tuple(
            replace(grant, quantity=arrived[grant.id], balance=arrived[grant.id])
            for grant in grants
            if arrived.get(grant.id)
        ),
        entitlements=tuple(
            issued_through(entitlement, state.terms.zone, since)
            for entitlement in state.entitlements
        ),
    )


@exact
def less(state: WalletState, moved: Mapping[GrantId, Decimal]) -> WalletState:
    """Return a wallet whose grants do not have the sums of some movements yet."""
    grants = tuple(
        grant.holding(grant.balance - moved.get(grant.id, ZERO)) for grant in state.grants
    )
    return replace(state, grants=grants)


def continued(state: WalletState, before: Settlement, at: datetime) -> WalletState:
    """Return a wallet that was read from the period at `at` on, as a walk up to there left it."""
    issued = next_indices(before.opened)
    return replace(
        state,
        grants=tuple(
            grant
            for grant in before.grants
            if grant.balance or grant.expire is None or grant.expire > at
        ),
        entitlements=tuple(
            entitlement
            if entitlement.id not in issued
            else replace(entitlement, next_index=issued[entitlement.id])
            for entitlement in state.entitlements
        ),
    )


def spans(
    since: datetime,
    periods: Iterable[PeriodSize],
    *,
    limit: int,
    last_used: datetime | None = None,
) -> tuple[Span, ...]:
    """Return the periods since a time in slices of at most `limit` cells.

    A period is never split, so one that is larger is a slice of its own. There is always one slice.
    With `last_used`, the start of the last period whose usage changed, a slice ends with the period
    that follows it: most remainders are used up there, and then the later periods are as before.
    """
    found = tuple(periods)
    later = [period.start for period in found if last_used and period.start > last_used]
    starts, cells = [since], 0
    for period in found:
        if cells and (cells + period.cells > limit or later[1:2] == [period.start]):
            starts.append(period.start)
            cells = 0
        cells += period.cells
    return tuple(map(Span, starts, [*starts[1:], None]))


@exact
def keeps_balances(movements: Iterable[Movement]) -> bool:
    """Return whether movements leave every grant with the balance that it has."""
    moved: dict[GrantId, Decimal] = {}
    for movement in movements:
        moved[movement.grant_id] = moved.get(movement.grant_id, ZERO) + movement.amount
    return not any(moved.values())


@exact
def corrections(
    posted: PostedSums, movements: Iterable[Movement], *, since: datetime, through: datetime
) -> tuple[Movement, ...]:
    """Return the movements that turn what was posted into the movements of a new walk.

    `posted` is compared for the periods from `since` that end by `through`. An issue or a move that
    was not posted yet is posted as usual.
    """
    due = sums_of(movements)
    known = {
        key: sums
        for key, sums in posted.items()
        if counts_since(key, since) and not counts_since(key, through)
    }
    by_key = {_key_of(movement): movement for movement in movements}
    changes: list[Movement] = []
    for key in sorted(due.keys() | known.keys()):
        if key.cause_kind in POSTED_ONCE and key not in known:
            changes.append(by_key[key])
            continue
        parts = _parts(known.get(key, NOTHING), due.get(key, NOTHING))
        changes += [_correcting(key, change) for change in parts]
    return tuple(changes)


def in_posting_order(movements: Iterable[Movement], revision: int) -> tuple[Movement, ...]:
    """Return all movements of a wallet's correction as they are posted, with its revision.

    All credits come before all debits, so that no grant is below zero at any entry. Issues are
    posted once, and so have no revision. Several movements may have one cause; the legs are unique.
    """
    turns: dict[tuple[CauseKind, UUID, int], int] = {}
    found: list[Movement] = []
    for movement in movements:
        if movement.cause_kind is CauseKind.ISSUE:
            found.append(movement)
            continue
        cause = (movement.cause_kind, movement.cause_id, movement.leg)
        turn = turns[cause] = turns.get(cause, -1) + 1
        has_legs = movement.cause_kind in WITH_LEGS
        leg = movement.leg + BOUNDARY_LEGS * turn if has_legs else turn
        found.append(replace(movement, leg=leg, cause_revision=revision))
    return tuple(sorted(found, key=lambda movement: movement.amount < 0))


def _correcting(key: MovementKey, change: Moved) -> Movement:
    is_usage = key.cause_kind is CauseKind.CELL
    return Movement(
        kind=EntryKind.CORRECTION,
        grant_id=key.grant_id,
        amount=change.amount,
        covered=change.paid if is_usage and change.paid != -change.amount else None,
        effective_time=key.effective_time,
        cause_kind=key.cause_kind,
        cause_id=key.cause_id,
        leg=key.leg,
    )


def _parts(before: Moved, after: Moved) -> list[Moved]:
    """Return what has to be moved, in one or two parts; none without a change."""
    amount, paid = after.amount - before.amount, after.paid - before.paid
    if amount:
        return [Moved(amount=amount, paid=paid)]
    if not paid:
        return []
    # The same amount pays for other usage: an entry has an amount, so it is given back and taken.
    return [Moved(amount=-before.amount, paid=-before.paid), after]


def sums_of(movements: Iterable[Movement]) -> dict[MovementKey, Moved]:
    """Return the sums of movements, by cause and grant."""
    found: dict[MovementKey, Moved] = {}
    for movement in movements:
        key = _key_of(movement)
        known = found.get(key, NOTHING)
        paid = ZERO
        if movement.cause_kind is CauseKind.CELL:
            paid = -movement.amount if movement.covered is None else movement.covered
        found[key] = Moved(amount=known.amount + movement.amount, paid=known.paid + paid)
    return found


def _key_of(movement: Movement) -> MovementKey:
    return MovementKey(
        movement.effective_time,
        movement.cause_kind,
        movement.cause_id,
        movement.leg if movement.cause_kind in WITH_LEGS else 0,
        movement.grant_id,
    )
