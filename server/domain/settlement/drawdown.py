"""Drawdown: spending usage on the grants of one wallet.

Quantities are in the usage resource's default unit. The overage policy, not this module, decides
whether overage is charged. Source: drawdown order of usage entitlement buckets.
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
"""The amount that a unit of usage takes from the grants of a commitment; 1 from others."""

NONE_COMMITTED: Ratios = {}

Numbers = Mapping[EntitlementId, int]
"""The numbers of entitlements, which count them within their account."""

NO_NUMBERS: Numbers = {}

Turn = tuple[datetime | timedelta, datetime | timedelta, int]


def _expiring_first(grant: Grant) -> Turn:
    return (grant.expire or FOREVER, grant.start, -grant.rollovers)


def _granted_first(grant: Grant) -> Turn:
    return (grant.start, grant.expire or FOREVER, -grant.rollovers)


def _granted_last(grant: Grant) -> Turn:
    return (EPOCH - grant.start, grant.expire or FOREVER, grant.rollovers)


# A remainder that rolled over was granted earlier than the issue it joined, so of equal grants the
# one that rolled over more often pays first (under GRANTED_LAST: last). Of those that are still
# equal, that of the older entitlement pays first: equal sales cost the same. The id breaks the last
# ties, so that the result does not depend on the order in which the grants were read.
TURN: dict[DrawdownOrder, Callable[[Grant], Turn]] = {
    DrawdownOrder.EXPIRING_FIRST: _expiring_first,
    DrawdownOrder.GRANTED_FIRST: _granted_first,
    DrawdownOrder.GRANTED_LAST: _granted_last,
}


@dataclass(frozen=True, slots=True)
class Debit:
    """The quantity that one grant pays for, and the amount that this takes from the grant.

    The amount is less than the quantity where the grant's commitment has a discount, and more where
    it has a surcharge.
    """

    grant_id: GrantId
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The debits of the grants in their order, and the overage that no grant covers."""

    debits: tuple[Debit, ...]
    overage: Decimal

    @property
    @exact
    def drawn(self) -> Decimal:
        """The quantity that the grants pay for together."""
        return sum((debit.quantity for debit in self.debits), ZERO)


@exact
def draw_down(
    grants: Iterable[Grant],
    quantity: Decimal,
    *,
    order: DrawdownOrder,
    at: datetime,
    ratios: Ratios = NONE_COMMITTED,
    numbers: Numbers = NO_NUMBERS,
) -> Drawdown:
    """Spend `quantity` on the grants open at `at`: commitments first, then in the policy's order.

    Always: the debits plus the overage equal `quantity`, and no grant is debited twice or below
    zero.
    """
    assert quantity >= 0, quantity
    debits: list[Debit] = []
    owed = quantity
    payers = [grant for grant in grants if grant.balance > 0 and grant.is_open(at)]
    turn = TURN[order]
    # Most usage has a single payer, for which the key would cost more than the payment.
    if len(payers) > 1:
        payers.sort(
            key=lambda candidate: (
                candidate.entitlement_id not in ratios,
                turn(candidate),
                numbers.get(candidate.entitlement_id, 0),
                candidate.id,
            ),
        )
    for grant in payers if owed else ():
        debit = _debit(grant, owed, ratios.get(grant.entitlement_id, ONE))
        # Under a surcharge, a remainder may be too small for the smallest quantity.
        if debit.quantity == 0:
            continue
        debits.append(debit)
        owed -= debit.quantity
        if owed == 0:
            break
    return Drawdown(tuple(debits), owed)


def _debit(grant: Grant, owed: Decimal, ratio: Decimal) -> Debit:
    """Return the debit of a grant for `owed`, when a unit of usage takes `ratio` from it."""
    if ratio == ONE:
        spent = min(grant.balance, owed)
        return Debit(grant.id, spent, spent)
    # Rounded up: a small quantity would otherwise be paid for by an amount of zero, for free.
    amount = round_to(owed * ratio, PLACES, Rounding.UP)
    if amount <= grant.balance:
        return Debit(grant.id, owed, amount)
    # Rounded down, so that the grant never pays for more than its balance covers. The whole balance
    # is taken: a remainder that covers nothing would stay open.
    covered = divide(grant.balance, ratio, places=PLACES, mode=Rounding.DOWN)
    return Debit(grant.id, min(covered, owed), grant.balance)
