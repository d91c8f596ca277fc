"""Rollover: the grant that a remainder becomes when its grant expires."""

from datetime import datetime
from decimal import Decimal
from itertools import count

from server.domain.calendar import local_midnight
from server.domain.exact import Rounding, divide, exact
from server.domain.ids import GrantId, derive
from server.domain.modeling.policies import RolloverPolicy
from server.domain.selling.grants import Entitlement, Grant, GrantKind, expiry


@exact
def rolled(grant: Grant, entitlement: Entitlement, zone: str) -> Grant | None:
    """Return the grant that the remainder of `grant` becomes when it expires, or None.

    It joins the window of the following issue, or of the first issue that ends later: of issues a
    day apart with a validity of a month, the last two of a month can end together. The result is
    None if the policy does not allow rollover or its count is used up, if nothing is left, or if
    the entitlement has ended by then.
    """
    policy = entitlement.rollover
    if policy is None or grant.expire is None or grant.balance == 0:
        return None
    if policy.max_count is not None and grant.rollovers >= policy.max_count:
        return None
    if entitlement.end and local_midnight(zone, entitlement.end) <= grant.expire:
        return None
    rolling = _rolling(grant, entitlement)
    if rolling == 0:
        return None
    index, expire = _later_window(entitlement, zone, grant.index, grant.expire)
    return Grant(
        id=_rolled_id(grant, entitlement, policy, expire),
        wallet_id=grant.wallet_id,
        entitlement_id=grant.entitlement_id,
        kind=GrantKind.ROLLOVER,
        index=index,
        rollovers=_rollovers(grant, policy),
        quantity=rolling,
        start=grant.expire,
        expire=expire,
        balance=rolling,
    )


def _rollovers(grant: Grant, policy: RolloverPolicy) -> int:
    """Return how often a remainder has rolled over, or 1 if that is not counted.

    Uncounted remainders of one window become one grant, which must not depend on the ages of those
    that were not empty: late usage changes which ones these are, and the grant is there already.
    """
    return 1 if policy.max_count is None else grant.rollovers + 1


def _rolled_id(
    grant: Grant, entitlement: Entitlement, policy: RolloverPolicy, expire: datetime | None
) -> GrantId:
    """Return the id of the grant that a remainder becomes.

    Uncounted remainders of one window become one grant, whichever of them are not empty.
    """
    if policy.max_count is not None:
        return GrantId(derive(grant.id, "rollover"))
    window = (grant.expire, expire)
    times = ["" if time is None else time.isoformat() for time in window]
    return GrantId(derive(entitlement.id, "rollover", *times))


def _rolling(grant: Grant, entitlement: Entitlement) -> Decimal:
    """Return the part of a remainder that may roll over; a share of it is truncated."""
    policy = entitlement.rollover
    if policy is None or policy.remainder_percent is None:
        return grant.balance
    return _share(grant.balance, policy.remainder_percent, entitlement)


def _share(quantity: Decimal, percent: Decimal, entitlement: Entitlement) -> Decimal:
    places = entitlement.unit_scale
    return divide(quantity * percent, Decimal(100), places=places, mode=Rounding.DOWN)


@exact
def rollover_cap(entitlement: Entitlement) -> Decimal | None:
    """Return the most that may roll over into one window, or None for no limit."""
    policy = entitlement.rollover
    caps = [] if policy is None or policy.max_quantity is None else [policy.max_quantity]
    if policy is not None and policy.max_percent is not None:
        caps.append(_share(entitlement.quantity, policy.max_percent, entitlement))
    return min(caps, default=None)


def _later_window(
    entitlement: Entitlement, zone: str, index: int, after: datetime
) -> tuple[int, datetime | None]:
    """Return the index and expiry of the first issue after `k` that ends after `after`.

    It exists, because the entitlement ends after `after`.
    """
    for later in count(index + 1):
        expire = expiry(entitlement, zone, later)
        if expire is None or expire > after:
            return later, expire
    raise AssertionError(entitlement)
