"""Rollover: the grant that the rest of a grant becomes when it expires."""

from datetime import datetime
from decimal import Decimal
from itertools import count

from server.domain.calendar import local_midnight
from server.domain.exact import Rounding, divide, exact
from server.domain.ids import GrantId, derive
from server.domain.selling.grants import Entitlement, Grant, GrantKind, expiry


@exact
def rolled(grant: Grant, entitlement: Entitlement, zone: str) -> Grant | None:
    """What the remainder of `grant` becomes when it expires, if it may roll over.

    It joins the window of the following issue, or of the first that ends later: of issues a day
    apart that live a month, the last two of a month end together. Nothing rolls over when the
    policy does not allow it or its count is used up, when nothing is left, or when the entitlement
    has ended by then.
    """
    policy = entitlement.rollover
    if policy is None or grant.expire is None or grant.balance == 0:
        return None
    if policy.max_count is not None and grant.rollovers >= policy.max_count:
        return None
    if entitlement.end and local_midnight(zone, entitlement.end) <= grant.expire:
        return None
    index, expire = _later_window(entitlement, zone, grant.index, grant.expire)
    return Grant(
        id=GrantId(derive(grant.id, "rollover")),
        wallet_id=grant.wallet_id,
        entitlement_id=grant.entitlement_id,
        kind=GrantKind.ROLLOVER,
        index=index,
        rollovers=grant.rollovers + 1,
        quantity=grant.balance,
        start=grant.expire,
        expire=expire,
        balance=grant.balance,
    )


@exact
def rollover_cap(entitlement: Entitlement) -> Decimal | None:
    """How much may roll into one window; None without limit."""
    policy = entitlement.rollover
    caps = [] if policy is None or policy.max_quantity is None else [policy.max_quantity]
    if policy is not None and policy.max_percent is not None:
        part = entitlement.quantity * policy.max_percent
        places = entitlement.unit_scale
        caps.append(divide(part, Decimal(100), places=places, mode=Rounding.DOWN))
    return min(caps, default=None)


def _later_window(
    entitlement: Entitlement, zone: str, k: int, after: datetime
) -> tuple[int, datetime | None]:
    """The first issue after `k` that ends after `after`, which the entitlement does too."""
    for later in count(k + 1):
        expire = expiry(entitlement, zone, later)
        if expire is None or expire > after:
            return later, expire
    raise AssertionError(entitlement)
