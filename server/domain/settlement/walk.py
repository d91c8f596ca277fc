"""Settlement: the walk through time that turns increments into movements.

The walk takes increments in turn. Before an increment that is drawn at t it handles every boundary
up to t: remainders expire or roll over, those of an asset that is bound elsewhere move to their new
wallet, then due issues and what moves here are credited. The same walk computes the
final drawdown of one rating period and, over all periods that are not final, the live balance.
Settling periods one after the other gives the same result as settling them at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from heapq import heappop, heappush

from server.domain.calendar import PolicyPeriod
from server.domain.consumption.aggregation import Increment, turn
from server.domain.exact import ZERO, exact
from server.domain.ids import AssetId, EntitlementId, GrantId, WalletId
from server.domain.modeling.policies import AggregationPolicy, DrawdownOrder
from server.domain.modeling.units import ScaleRounding
from server.domain.rating.rates import HUNDRED, HUNDREDTH, AdjustmentKind, RateTerms, pick
from server.domain.selling.grants import Entitlement, Grant, GrantKind, issues
from server.domain.settlement.drawdown import NONE_COMMITTED, ONE, Debit, Ratios, draw_down
from server.domain.settlement.ledger import CauseKind, EntryKind, Movement
from server.domain.settlement.rollover import rolled, rollover_cap

Commitments = Mapping[AssetId, RateTerms | None]
"""The assets that are commitments, with their terms where these discount what is drawn."""

NO_COMMITMENTS: Commitments = {}

# The legs of a boundary.
ROLLED_OUT, ROLLED_IN, EXPIRED = 0, 1, 2

# The legs of a move.
MOVED_OUT, MOVED_IN = 0, 1

# Before every instant, since a walk starts with the first boundary of its grants.
EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletTerms:
    """The aggregation and drawdown policies of one wallet, and the rounding of its usage.

    `anchor` and `rating` are the calendar of its rating periods.
    """

    id: WalletId
    zone: str
    aggregation: AggregationPolicy
    order: DrawdownOrder = DrawdownOrder.EXPIRING_FIRST
    rounding: ScaleRounding | None = None
    anchor: date | None = None
    rating: PolicyPeriod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledIncrement:
    """An increment with its payment."""

    increment: Increment
    drawn: Decimal
    overage: Decimal
    debits: tuple[Debit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Movements in posting order, results in turn, all grants, and the new grants.

    `grants` (by start) and `opened` (in posting order) have the balances after the walk.
    """

    movements: tuple[Movement, ...]
    results: tuple[SettledIncrement, ...]
    grants: tuple[Grant, ...]
    opened: tuple[Grant, ...]


@exact
def settle(  # noqa: PLR0913 - everything that a wallet's balance depends on
    terms: WalletTerms,
    grants: Iterable[Grant],
    entitlements: Iterable[Entitlement],
    increments: Iterable[Increment],
    *,
    through: datetime,
    commitments: Commitments = NO_COMMITMENTS,
    arrivals: Iterable[Grant] = (),
) -> Settlement:
    """Draw `increments` on the grants, and handle all boundaries up to and including `through`.

    Grants of `commitments` pay first. `grants` are all that were posted so far, and `arrivals`
    those that move here from other wallets. Always: drawn plus overage is the quantity, the
    movements add up to the change of the balances, and no grant goes below zero.
    """
    before = tuple(grants)
    turns = sorted(increments, key=turn)
    # Usage of the future may be drawn after `through`; it needs the issues up to its own time.
    horizon = max([through, *(increment.at for increment in turns)])
    walk = _Walk(terms, {entitlement.id: entitlement for entitlement in entitlements})
    walk.commit(commitments, turns)
    walk.begin(before, horizon)
    walk.expect(arrivals)
    results = []
    for increment in turns:
        walk.reach(increment.at)
        results.append(walk.draw(increment))
    walk.reach(through)
    settlement = walk.settlement(tuple(results))
    _check(before, settlement)
    return settlement


def opening(grant: Grant) -> Movement:
    """Return the movement that credits a new issue."""
    return Movement(
        kind=EntryKind.GRANT if grant.kind is GrantKind.SALE else EntryKind.REFRESH,
        grant_id=grant.id,
        amount=grant.quantity,
        effective_time=grant.start,
        cause_kind=CauseKind.ISSUE,
        cause_id=grant.id,
    )


def arrival(grant: Grant) -> Movement:
    """Return the movement that credits what was left of another grant, which moves here."""
    assert grant.source_id is not None, grant
    return Movement(
        kind=EntryKind.MOVED_IN,
        grant_id=grant.id,
        amount=grant.quantity,
        effective_time=grant.opens,
        cause_kind=CauseKind.MOVE,
        cause_id=grant.source_id,
        leg=MOVED_IN,
    )


Window = tuple[EntitlementId, datetime, datetime | None]
"""An entitlement, and the start and expiry of a remainder of it that rolled over."""

# Boundaries at one instant: what expires goes first, then what leaves, and what is issued or
# arrives comes after.
_ENDS, _LEAVES, _BEGINS = 0, 1, 2


@dataclass(slots=True)
class _Walk:
    """The grants as they are at `now`, and the boundaries that are still ahead.

    `payers` are the grants that have a balance: a long walk leaves many that are used up.
    """

    terms: WalletTerms
    entitlements: dict[EntitlementId, Entitlement]
    now: datetime = EARLIEST
    grants: dict[GrantId, Grant] = field(default_factory=dict)
    payers: dict[GrantId, Grant] = field(default_factory=dict)
    due: dict[GrantId, tuple[Grant, Movement]] = field(default_factory=dict)
    opened: list[GrantId] = field(default_factory=list)
    rolled: dict[Window, Decimal] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    boundaries: list[tuple[datetime, int, int, GrantId]] = field(default_factory=list)
    ratios: dict[datetime, Ratios] = field(default_factory=dict)
    numbers: dict[EntitlementId, int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = {key: one.number for key, one in self.entitlements.items()}

    def begin(self, grants: tuple[Grant, ...], horizon: datetime) -> None:
        """Add the existing grants, and queue the issues that are due by `horizon`."""
        for grant in grants:
            self._keep(grant)
        for entitlement in self.entitlements.values():
            for issue in issues(entitlement, self.terms.zone, through=horizon):
                self._queue(issue, opening(issue))

    def expect(self, arrivals: Iterable[Grant]) -> None:
        """Queue the grants that arrive from other wallets."""
        for grant in arrivals:
            self._queue(grant, arrival(grant))

    def _queue(self, grant: Grant, movement: Movement) -> None:
        """Queue a grant that opens later, unless it was posted."""
        if grant.id not in self.grants:
            self.due[grant.id] = grant, movement
            # The id makes the order total: the same wallet always gives the same entries.
            heappush(self.boundaries, (grant.opens, _BEGINS, 0, grant.id))

    def commit(self, commitments: Commitments, increments: Iterable[Increment]) -> None:
        """Compute what a unit takes from each commitment, by all usage of its rating period."""
        committed = [
            entitlement
            for entitlement in self.entitlements.values()
            if entitlement.asset_id in commitments
        ]
        if not committed:
            return
        # The whole period picks the tier of a discount, so all usage is added up before anything is
        # drawn.
        used: dict[datetime, Decimal] = {}
        for increment in increments:
            start = increment.period_start
            used[start] = used.get(start, ZERO) + increment.quantity
        self.ratios = {
            start: {
                entitlement.id: _ratio(commitments[entitlement.asset_id], whole)
                for entitlement in committed
            }
            for start, whole in used.items()
        }

    def reach(self, instant: datetime) -> None:
        """Handle every boundary up to and including `instant`."""
        while self.boundaries and self.boundaries[0][0] <= instant:
            self.now, side, _, grant_id = heappop(self.boundaries)
            if side == _ENDS:
                self._end(self.grants[grant_id])
            elif side == _LEAVES:
                self._leave(self.grants[grant_id])
            else:
                self._open(*self.due.pop(grant_id))

    def draw(self, increment: Increment) -> SettledIncrement:
        """Spend one increment. All boundaries before it have been handled."""
        drawdown = draw_down(
            self.payers.values(),
            increment.quantity,
            order=self.terms.order,
            at=increment.at,
            ratios=self.ratios.get(increment.period_start, NONE_COMMITTED),
            numbers=self.numbers,
        )
        # One cell may be paid for by several grants; the leg tells their movements apart.
        for leg, debit in enumerate(drawdown.debits):
            self._move(
                Movement(
                    kind=EntryKind.DRAWDOWN,
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
        """Return the result of the walk."""
        return Settlement(
            movements=tuple(self.movements),
            results=results,
            grants=tuple(sorted(self.grants.values(), key=lambda g: (g.start, g.id))),
            opened=tuple(self.grants[grant_id] for grant_id in self.opened),
        )

    def _end(self, grant: Grant) -> None:
        """Roll a remainder over if it may, and expire the rest. An empty grant moves nothing."""
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
            leg=ROLLED_OUT,
        )
        if entitlement and successor:
            self._move(out)
            self._succeed(successor, replace(out, amount=rolling, leg=ROLLED_IN))
        rest = grant.balance - rolling
        if rest:
            self._move(replace(out, kind=EntryKind.EXPIRY, amount=-rest, leg=EXPIRED))

    def _leave(self, grant: Grant) -> None:
        """Move what is left of a grant to another wallet. An empty grant moves nothing."""
        if grant.balance:
            self._move(
                Movement(
                    kind=EntryKind.MOVED_OUT,
                    grant_id=grant.id,
                    amount=-grant.balance,
                    effective_time=self.now,
                    cause_kind=CauseKind.MOVE,
                    cause_id=grant.id,
                    leg=MOVED_OUT,
                )
            )

    def _successor(self, grant: Grant, entitlement: Entitlement) -> Grant | None:
        """Return the grant that a remainder becomes, within the cap of its window."""
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

    def _succeed(self, successor: Grant, movement: Movement) -> None:
        """Open the grant into which a remainder rolls.

        Uncounted remainders of one window become one grant: otherwise a wallet that is never
        emptied would grow by one grant and two entries in every interval.
        """
        grant = self.grants.get(successor.id)
        movement = replace(movement, grant_id=successor.id)
        if grant is None:
            # The first remainder of a window opens its grant; later ones are added to it.
            self._open(successor, movement)
            return
        self.grants[grant.id] = replace(grant, quantity=grant.quantity + successor.quantity)
        self._move(movement)

    def _open(self, grant: Grant, movement: Movement) -> None:
        self._keep(grant.holding(ZERO))
        self.opened.append(grant.id)
        self._move(movement)

    def _keep(self, grant: Grant) -> None:
        assert grant.id not in self.grants, grant
        self._hold(grant)
        if grant.expire is not None:
            heappush(
                self.boundaries, (grant.expire, _ENDS, self._counted_rollovers(grant), grant.id)
            )
        entitlement = self.entitlements.get(grant.entitlement_id)
        if entitlement is not None and entitlement.leave_time is not None:
            # An issue that was posted after the move, before anybody knew of it, leaves at once.
            leaves = max(entitlement.leave_time, grant.opens)
            heappush(self.boundaries, (leaves, _LEAVES, 0, grant.id))

    def _counted_rollovers(self, grant: Grant) -> int:
        """Return how often a grant rolled over, if that is counted. Under a cap, fewer go first.

        A grant that rolled over less often has more rollovers left. Without a count it is 0 for
        all, so that a grant which others joined keeps its place.
        """
        entitlement = self.entitlements.get(grant.entitlement_id)
        rollover = None if entitlement is None else entitlement.rollover
        return grant.rollovers if rollover is not None and rollover.max_count is not None else 0

    def _move(self, movement: Movement) -> None:
        grant = self.grants[movement.grant_id]
        balance = grant.balance + movement.amount
        assert balance >= 0, (grant, movement)
        self._hold(grant.holding(balance))
        self.movements.append(movement)

    def _hold(self, grant: Grant) -> None:
        self.grants[grant.id] = grant
        if grant.balance:
            self.payers[grant.id] = grant
        else:
            self.payers.pop(grant.id, None)


def _ratio(terms: RateTerms | None, used: Decimal) -> Decimal:
    """Return what a unit takes from a commitment: one, less the percentage of its tier."""
    tier = None if terms is None else pick(terms.effective_tiers, terms.bounds, used)
    if tier is None or tier.adjustment.kind is not AdjustmentKind.PERCENTAGE:
        return ONE
    return (HUNDRED - tier.adjustment.value) * HUNDREDTH


def _check(before: tuple[Grant, ...], settlement: Settlement) -> None:
    """Assert that quantities are neither created nor lost; a wallet that fails is not written."""
    moved = sum((movement.amount for movement in settlement.movements), ZERO)
    opening_balance = sum((grant.balance for grant in before), ZERO)
    closing_balance = sum((grant.balance for grant in settlement.grants), ZERO)
    assert opening_balance + moved == closing_balance, settlement
    for result in settlement.results:
        paid = sum((debit.quantity for debit in result.debits), ZERO)
        assert paid == result.drawn, result
        assert paid + result.overage == result.increment.quantity, result
