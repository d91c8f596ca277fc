"""Settlement: the walk through time that turns increments into movements.

The walk takes increments in turn. Before one that is drawn at t it handles every boundary up to t:
remainders expire or roll over, then issues that are due are credited. It serves both the final
drawdown of one rating period and, over all periods that are not final, the live balance; doing
the periods one after the other is doing them at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from heapq import heappop, heappush

from server.domain.consumption.aggregation import Increment, turn
from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, EntitlementId, GrantId, WalletId
from server.domain.modeling.policies import AggregationPolicy, DrawdownOrder
from server.domain.rating.rates import HUNDRED, HUNDREDTH, AdjustmentKind, RateTerms, pick
from server.domain.selling.grants import Entitlement, Grant, GrantKind, issues
from server.domain.settlement.drawdown import NONE_COMMITTED, ONE, Debit, Ratios, draw_down
from server.domain.settlement.ledger import CauseKind, EntryKind, Movement
from server.domain.settlement.rollover import rolled, rollover_cap

Commitments = Mapping[AssetId, RateTerms | None]
"""The assets that are commitments; with terms where these are a discount on what is drawn."""

NO_COMMITMENTS: Commitments = {}

_DAWN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletTerms:
    """How one wallet counts and spends."""

    id: WalletId
    zone: str
    aggregation: AggregationPolicy
    order: DrawdownOrder = DrawdownOrder.EXPIRING_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledIncrement:
    """How one increment was paid for."""

    increment: Increment
    drawn: Decimal
    overage: Decimal
    debits: tuple[Debit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Movements in posting order, results in turn, all grants, and those of them that are new.

    `grants` (by start) and `opened` (in posting order) carry the balances after the walk.
    """

    movements: tuple[Movement, ...]
    results: tuple[SettledIncrement, ...]
    grants: tuple[Grant, ...]
    opened: tuple[Grant, ...]


@exact
def settle(
    terms: WalletTerms,
    grants: Iterable[Grant],
    entitlements: Iterable[Entitlement],
    increments: Iterable[Increment],
    *,
    through: datetime,
    commitments: Commitments = NO_COMMITMENTS,
) -> Settlement:
    """Draw `increments` on the grants, and handle all boundaries up to and including `through`.

    What the assets of `commitments` granted pays first.

    `grants` are those posted so far, of any time. Always: drawn plus overage is the quantity, the
    movements sum to the change of the balances, and no grant goes below zero.
    """
    before = tuple(grants)
    turns = sorted(increments, key=turn)
    horizon = max([through, *(increment.at for increment in turns)])
    walk = _Walk(terms, {entitlement.id: entitlement for entitlement in entitlements})
    walk.commit(commitments, turns)
    walk.begin(before, horizon)
    results = []
    for increment in turns:
        walk.reach(increment.at)
        results.append(walk.draw(increment))
    walk.reach(through)
    settlement = walk.settlement(tuple(results))
    _check(before, settlement)
    return settlement


@exact
def settled_anew(
    terms: WalletTerms,
    entitlements: Iterable[Entitlement],
    increments: Iterable[Increment],
    ends: Mapping[datetime, datetime],
    commitments: Commitments,
) -> tuple[SettledIncrement, ...]:
    """How increments are paid for, period by period, from the first issue of all that was granted.

    `ends` says when the periods end in which they are drawn.
    """
    unissued = tuple(replace(one, next_index=None) for one in entitlements)
    periods: dict[datetime, list[Increment]] = {}
    for one in increments:
        periods.setdefault(one.period_start, []).append(one)
    grants: tuple[Grant, ...] = ()
    results: list[SettledIncrement] = []
    for start in sorted(periods):
        settlement = settle(
            terms,
            grants,
            unissued,
            periods[start],
            through=ends[start],
            commitments=commitments,
        )
        grants = settlement.grants
        results += settlement.results
    return tuple(results)


def revision(reopened: int) -> int:
    """That of what the close of a period moves which was opened again so many times."""
    return 2 * reopened


def revised(settlement: Settlement, reopened: int) -> Settlement:
    """The settlement as a period's next close posts it; issues are posted once and stay."""
    moved = tuple(
        movement
        if movement.cause_kind is CauseKind.ISSUE
        else replace(movement, cause_revision=revision(reopened))
        for movement in settlement.movements
    )
    return replace(settlement, movements=moved) if reopened else settlement


def opening(grant: Grant) -> Movement:
    """The movement that credits a new issue."""
    return Movement(
        kind=EntryKind.GRANT if grant.kind is GrantKind.SALE else EntryKind.REFRESH,
        grant_id=grant.id,
        amount=grant.quantity,
        effective_time=grant.start,
        cause_kind=CauseKind.ISSUE,
        cause_id=grant.id,
    )


Window = tuple[EntitlementId, datetime, datetime | None]
"""An entitlement, and when a remainder of it that rolled over starts and expires."""

# Boundaries at one instant: what expires goes first, what is issued comes after.
_ENDS, _BEGINS = 0, 1


@dataclass(slots=True)
class _Walk:
    """The grants as they are at `now`, and the boundaries still ahead."""

    terms: WalletTerms
    entitlements: dict[EntitlementId, Entitlement]
    now: datetime = _DAWN
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    issues: dict[GrantId, Grant] = field(default_factory=dict)
    opened: list[GrantId] = field(default_factory=list)
    joined: dict[Window, GrantId] = field(default_factory=dict)
    rolled: dict[Window, Decimal] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    boundaries: list[tuple[datetime, int, int, GrantId]] = field(default_factory=list)
    ratios: dict[datetime, Ratios] = field(default_factory=dict)

    def begin(self, grants: tuple[Grant, ...], horizon: datetime) -> None:
        """Take the grants that exist, and look up which issues are due by `horizon`."""
        for grant in grants:
            self._keep(grant)
        for entitlement in self.entitlements.values():
            for issue in issues(entitlement, self.terms.zone, through=horizon):
                if issue.id not in self.grants:
                    self.issues[issue.id] = issue
                    heappush(self.boundaries, (issue.start, _BEGINS, 0, issue.id))

    def commit(self, commitments: Commitments, increments: Iterable[Increment]) -> None:
        """Work out what a unit takes of each commitment, by all that its period used."""
        committed = [e for e in self.entitlements.values() if e.asset_id in commitments]
        if not committed:
            return
        used: dict[datetime, Decimal] = {}
        for one in increments:
            used[one.origin_start] = used.get(one.origin_start, ZERO) + one.quantity
        self.ratios = {
            start: {one.id: _ratio(commitments[one.asset_id], whole) for one in committed}
            for start, whole in used.items()
        }

    def reach(self, instant: datetime) -> None:
        """Handle every boundary up to and including `instant`."""
        while self.boundaries and self.boundaries[0][0] <= instant:
            self.now, side, _, grant_id = heappop(self.boundaries)
            if side == _ENDS:
                self._end(self.grants[grant_id])
            else:
                issue = self.issues.pop(grant_id)
                self._open(issue, opening(issue))

    def draw(self, increment: Increment) -> SettledIncrement:
        """Spend one increment, after all boundaries before it."""
        drawdown = draw_down(
            self.grants.values(),
            increment.quantity,
            order=self.terms.order,
            at=increment.at,
            ratios=self.ratios.get(increment.origin_start, NONE_COMMITTED),
        )
        kind = EntryKind.CORRECTION if increment.is_correction else EntryKind.DRAWDOWN
        for leg, debit in enumerate(drawdown.debits):
            self._move(
                Movement(
                    kind=kind,
                    grant_id=debit.grant_id,
                    amount=-debit.amount,
                    covered=None if debit.amount == debit.quantity else debit.quantity,
                    effective_time=increment.at,
                    cause_kind=CauseKind.CELL,
                    cause_id=increment.cell_id,
                    leg=leg,
                )
            )
        return SettledIncrement(
            increment=increment,
            drawn=increment.quantity - drawdown.overage,
            overage=drawdown.overage,
            debits=drawdown.debits,
        )

    def settlement(self, results: tuple[SettledIncrement, ...]) -> Settlement:
        """What came of it."""
        return Settlement(
            movements=tuple(self.movements),
            results=results,
            grants=tuple(sorted(self.grants.values(), key=lambda g: (g.start, g.id))),
            opened=tuple(self.grants[grant_id] for grant_id in self.opened),
        )

    def _end(self, grant: Grant) -> None:
        """Let a remainder roll over if it may, and expire if not; nothing left, nothing moves."""
        if grant.balance == 0:
            return
        entitlement = self.entitlements.get(grant.entitlement_id)
        successor = self._successor(grant, entitlement) if entitlement else None
        rolling = successor.quantity if successor else ZERO
        out = Movement(
            kind=EntryKind.ROLLOVER,
            grant_id=grant.id,
            amount=-rolling,
            effective_time=self.now,
            cause_kind=CauseKind.BOUNDARY,
            cause_id=grant.id,
        )
        if entitlement and successor:
            self._move(out)
            self._succeed(entitlement, successor, replace(out, amount=rolling, leg=1))
        rest = grant.balance - rolling
        if rest:
            leg = 2 if successor else 0
            self._move(replace(out, kind=EntryKind.EXPIRY, amount=-rest, leg=leg))

    def _successor(self, grant: Grant, entitlement: Entitlement) -> Grant | None:
        """What a remainder becomes, as far as there is room in the window it rolls into."""
        successor = rolled(grant, entitlement, self.terms.zone)
        cap = rollover_cap(entitlement)
        if successor is None or cap is None:
            return successor
        window = (entitlement.id, successor.start, successor.expire)
        before = self.rolled.get(window, ZERO)
        quantity = min(successor.quantity, cap - before)
        if quantity <= 0:
            return None
        self.rolled[window] = before + quantity
        return replace(successor, quantity=quantity, balance=quantity)

    def _succeed(self, entitlement: Entitlement, successor: Grant, movement: Movement) -> None:
        """Open the grant that a remainder rolls into.

        Where rollovers are not counted, remainders of one window become one grant: otherwise a
        wallet that is never emptied would grow by a grant, and a pair of entries, every interval.
        """
        is_counted = entitlement.rollover is None or entitlement.rollover.max_count is not None
        window = (entitlement.id, successor.start, successor.expire)
        joined = None if is_counted else self.joined.get(window)
        if joined is None:
            self.joined[window] = successor.id
            self._open(successor, replace(movement, grant_id=successor.id))
            return
        grant = self.grants[joined]
        self.grants[joined] = replace(
            grant,
            quantity=grant.quantity + successor.quantity,
            rollovers=max(grant.rollovers, successor.rollovers),
        )
        self._move(replace(movement, grant_id=joined))

    def _open(self, grant: Grant, movement: Movement) -> None:
        known = self.grants.get(grant.id)
        if known is None:
            self._keep(grant.holding(ZERO))
            self.opened.append(grant.id)
        else:
            # It was opened before the period was opened again, and has been emptied since.
            quantity = max(known.quantity, grant.quantity)
            self.grants[grant.id] = replace(known, quantity=quantity)
        self._move(movement)

    def _keep(self, grant: Grant) -> None:
        assert grant.id not in self.grants, grant
        self.grants[grant.id] = grant
        if grant.expire is not None:
            heappush(self.boundaries, (grant.expire, _ENDS, self._lives_used(grant), grant.id))

    def _lives_used(self, grant: Grant) -> int:
        """Under a cap, what has rolled over less often goes first: it has more lives left.

        Where rollovers are not counted none has fewer, and what others joined stays in its place.
        """
        entitlement = self.entitlements.get(grant.entitlement_id)
        rollover = None if entitlement is None else entitlement.rollover
        return grant.rollovers if rollover is not None and rollover.max_count is not None else 0

    def _move(self, movement: Movement) -> None:
        grant = self.grants[movement.grant_id]
        balance = grant.balance + movement.amount
        assert balance >= 0, (grant, movement)
        self.grants[grant.id] = grant.holding(balance)
        self.movements.append(movement)


def _ratio(terms: RateTerms | None, used: Decimal) -> Decimal:
    """What a unit takes of a commitment: less than one by the percentage of its tier."""
    tier = None if terms is None else pick(terms.effective_tiers, terms.bounds, used)
    if tier is None or tier.adjustment.kind is not AdjustmentKind.PERCENTAGE:
        return ONE
    return (HUNDRED - tier.adjustment.value) * HUNDREDTH


def _check(before: tuple[Grant, ...], settlement: Settlement) -> None:
    """Nothing is created or lost; a wallet that fails this is not written."""
    moved = sum((movement.amount for movement in settlement.movements), ZERO)
    opening_balance = sum((grant.balance for grant in before), ZERO)
    closing_balance = sum((grant.balance for grant in settlement.grants), ZERO)
    assert opening_balance + moved == closing_balance, settlement
    for result in settlement.results:
        paid = sum((debit.quantity for debit in result.debits), ZERO)
        assert paid == result.drawn, result
        assert paid + result.overage == result.increment.quantity, result
