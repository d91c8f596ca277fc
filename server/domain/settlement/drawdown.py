"""Drawdown: spending usage against the grants of one wallet.

Quantities are in the usage resource's default unit. What becomes of overage is another policy's
business. Source: drawdown order of usage entitlement buckets.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from server.domain.exact import PLACES, ZERO, Rounding, divide, exact, round_to
from server.domain.ids import EntitlementId, GrantId
from server.domain.modeling.policies import DrawdownOrder
from server.domain.selling.grants import Grant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)

ONE = Decimal(1)

Ratios = Mapping[EntitlementId, Decimal]
"""What a unit takes of the grants of commitments; of all others it takes one."""

NONE_COMMITTED: Ratios = {}

Turn = tuple[datetime | timedelta, datetime | timedelta, int, GrantId]


def _expiring_first(grant: Grant) -> Turn:
    return (grant.expire or FOREVER, grant.start, -grant.rollovers, grant.id)


def _granted_first(grant: Grant) -> Turn:
    return (grant.start, grant.expire or FOREVER, -grant.rollovers, grant.id)


def _granted_last(grant: Grant) -> Turn:
    return (EPOCH - grant.start, grant.expire or FOREVER, grant.rollovers, grant.id)


# Whose turn it is. What rolled over was granted earlier than the issue it joined. Ties break by id,
# so the result depends on the grants alone.
TURN: dict[DrawdownOrder, Callable[[Grant], Turn]] = {
    DrawdownOrder.EXPIRING_FIRST: _expiring_first,
    DrawdownOrder.GRANTED_FIRST: _granted_first,
    DrawdownOrder.GRANTED_LAST: _granted_last,
}


@dataclass(frozen=True, slots=True)
class Debit:
    """What one grant pays for, and what that takes of it: less of a discounted commitment."""

    grant_id: GrantId
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Drawdown:
    """What each grant pays, in turn, and what none does."""

    debits: tuple[Debit, ...]
    overage: Decimal

    @property
    @exact
    def drawn(self) -> Decimal:
        """What the grants pay for together."""
        return sum((debit.quantity for debit in self.debits), ZERO)


@exact
def draw_down(
    grants: Iterable[Grant],
    quantity: Decimal,
    *,
    order: DrawdownOrder,
    at: datetime,
    ratios: Ratios = NONE_COMMITTED,
) -> Drawdown:
    """Spend `quantity` on the grants open at `at`, commitments first, in the policy's order.

    Always: the debits plus the overage equal `quantity`, and no grant is debited twice or below
    zero.
    """
    assert quantity >= 0, quantity
    debits: list[Debit] = []
    owed = quantity
    payers = (grant for grant in grants if grant.balance > 0 and grant.is_open(at))
    turn = TURN[order]
    ordered = sorted(payers, key=lambda one: (one.entitlement_id not in ratios, turn(one)))
    for grant in ordered if owed else ():
        debit = _debit(grant, owed, ratios.get(grant.entitlement_id, ONE))
        debits.append(debit)
        owed -= debit.quantity
        if owed == 0:
            break
    return Drawdown(tuple(debits), owed)


def _debit(grant: Grant, owed: Decimal, ratio: Decimal) -> Debit:
    """What a grant pays for of what is owed, when a unit takes `ratio` of it."""
    if ratio == ONE:
        spent = min(grant.balance, owed)
        return Debit(grant.id, spent, spent)
    amount = round_to(owed * ratio, PLACES, Rounding.UP)  # what pays for something takes something
    if amount <= grant.balance:
        return Debit(grant.id, owed, amount)
    covered = divide(grant.balance, ratio, places=PLACES, mode=Rounding.DOWN)
    return Debit(grant.id, min(covered, owed), grant.balance)
