"""Grants: the issues of an entitlement, when they start and expire, and what rolls over.

Every date is counted from the entitlement's anchor. Dates are civil dates in the account's zone,
ends are exclusive, and an issue begins and expires at local midnight. Source: usage entitlement
refresh and rollover policies.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import count

from server.domain.calendar import Cadence, Period, add_months, local_date, local_midnight
from server.domain.exact import ZERO, Rounding, divide, exact, truncate
from server.domain.ids import AssetId, EntitlementId, GrantId, WalletId, derive
from server.domain.modeling.policies import RefreshPolicy, RolloverPolicy, Validity


class GrantKind(StrEnum):
    """Where a grant came from."""

    SALE = "SALE"
    REFRESH = "REFRESH"
    ROLLOVER = "ROLLOVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What one asset action granted, and under which policies.

    `start` and `end` are the first day and the day after the last. Issues are counted from
    `anchor`. Without `validity` an issue lives one refresh interval, or as long as the entitlement
    if it is not refreshed. `next_index` is the first issue not posted yet.
    """

    id: EntitlementId
    wallet_id: WalletId
    asset_id: AssetId
    number: int
    quantity: Decimal
    unit_scale: int
    start: date
    end: date | None
    anchor: date
    refresh: RefreshPolicy | None = None
    validity: Validity | None = None
    rollover: RolloverPolicy | None = None
    next_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One issue in a wallet: `quantity` when it was opened, `balance` now.

    `index` is the issue's place from the anchor; a remainder that rolled over carries the place of
    the issue it joins, and `rollovers` counts how often it did.
    """

    id: GrantId
    wallet_id: WalletId
    entitlement_id: EntitlementId
    kind: GrantKind
    index: int
    rollovers: int
    quantity: Decimal
    start: datetime
    expire: datetime | None
    balance: Decimal

    def holding(self, balance: Decimal) -> "Grant":
        """This grant with another balance; `replace` would take three times as long."""
        return Grant(
            id=self.id,
            wallet_id=self.wallet_id,
            entitlement_id=self.entitlement_id,
            kind=self.kind,
            index=self.index,
            rollovers=self.rollovers,
            quantity=self.quantity,
            start=self.start,
            expire=self.expire,
            balance=balance,
        )

    def is_open(self, at: datetime) -> bool:
        """Whether it may pay for usage at `at`."""
        return self.start <= at and (self.expire is None or at < self.expire)


@exact
def issues(entitlement: Entitlement, zone: str, *, through: datetime) -> tuple[Grant, ...]:
    """The issues not posted yet that start at or before `through`, oldest first, with full balance.

    An issue whose refresh interval the entitlement covers in part is prorated by days and truncated
    at the unit's scale; one of nothing is not issued.
    """
    found: list[Grant] = []
    for k in _indices(entitlement):
        start, end = _days(entitlement, k)
        if (end and start >= end) or local_midnight(zone, start) > through:
            break
        issue = _issue(entitlement, zone, k)
        if issue:
            found.append(issue)
    return tuple(found)


def due_issues(
    entitlements: Iterable[Entitlement], zone: str, *, through: datetime
) -> tuple[Grant, ...]:
    """Return the issues of several entitlements that are due, in the order of their posting."""
    found = (issue for one in entitlements for issue in issues(one, zone, through=through))
    return tuple(sorted(found, key=lambda issue: (issue.start, issue.id)))


def next_start(entitlement: Entitlement, zone: str, *, after: datetime) -> datetime | None:
    """When the next issue after `after` starts; posted ones are not looked at."""
    for k in _indices(entitlement):
        start, end = _days(entitlement, k)
        if end and start >= end:
            return None
        if (instant := local_midnight(zone, start)) > after:
            return instant
    return None


@exact
def refresh_window(entitlement: Entitlement, zone: str, instant: datetime) -> Period | None:
    """The refresh interval around `instant`, cut where the entitlement starts and ends.

    None if the entitlement is not refreshed or not in force at `instant`, or if the interval has so
    few days that nothing is issued for it.
    """
    day = local_date(zone, instant)
    has_ended = entitlement.end is not None and entitlement.end <= day
    if entitlement.refresh is None or day < entitlement.start or has_ended:
        return None
    k = entitlement.refresh.cadence.index(entitlement.anchor, day)
    start, end = _days(entitlement, k)
    assert end is not None, entitlement
    if _issue(entitlement, zone, k) is None:
        return None
    return Period(local_midnight(zone, start), local_midnight(zone, end))


@exact
def prorated(quantity: Decimal, *, days: int, whole: int, scale: int) -> Decimal:
    """The part of `quantity` that `days` are of `whole`, truncated at the unit's scale."""
    if days == whole:
        return truncate(quantity, scale)
    return divide(quantity * days, Decimal(whole), places=scale, mode=Rounding.DOWN)


def _indices(entitlement: Entitlement) -> Iterable[int]:
    """The places of the issues not posted yet; without end if the entitlement is refreshed."""
    first = _first_index(entitlement)
    after = first if entitlement.next_index is None else entitlement.next_index
    return range(after, first + 1) if entitlement.refresh is None else count(after)


def _first_index(entitlement: Entitlement) -> int:
    """The place of the issue whose interval holds the entitlement's first day."""
    if entitlement.refresh is None:
        return 0
    return entitlement.refresh.cadence.index(entitlement.anchor, entitlement.start)


def _days(entitlement: Entitlement, k: int) -> tuple[date, date | None]:
    """The days of interval `k` that the entitlement covers; none when start is not before end."""
    if entitlement.refresh is None:
        return entitlement.start, entitlement.end
    start, end = _interval(entitlement, entitlement.refresh.cadence, k)
    return max(start, entitlement.start), min(end, entitlement.end or end)


def _interval(entitlement: Entitlement, refresh: Cadence, k: int) -> tuple[date, date]:
    return refresh.nth(entitlement.anchor, k), refresh.nth(entitlement.anchor, k + 1)


def _quantity(entitlement: Entitlement, k: int) -> Decimal:
    covered_start, covered_end = _days(entitlement, k)
    if entitlement.refresh is None or covered_end is None:
        return entitlement.quantity
    start, end = _interval(entitlement, entitlement.refresh.cadence, k)
    return prorated(
        entitlement.quantity,
        days=(covered_end - covered_start).days,
        whole=(end - start).days,
        scale=entitlement.unit_scale,
    )


def _issue(entitlement: Entitlement, zone: str, k: int) -> Grant | None:
    quantity = _quantity(entitlement, k)
    if quantity == ZERO:
        return None
    is_first = k == _first_index(entitlement)
    return Grant(
        id=GrantId(derive(entitlement.id, "issue", k)),
        wallet_id=entitlement.wallet_id,
        entitlement_id=entitlement.id,
        kind=GrantKind.SALE if is_first else GrantKind.REFRESH,
        index=k,
        rollovers=0,
        quantity=quantity,
        start=local_midnight(zone, _days(entitlement, k)[0]),
        expire=expiry(entitlement, zone, k),
        balance=quantity,
    )


def expiry(entitlement: Entitlement, zone: str, k: int) -> datetime | None:
    """When issue `k` ends: its validity, counted from the anchor, or the entitlement's end."""
    ends = [day for day in (_valid_to(entitlement, k), entitlement.end) if day]
    return local_midnight(zone, min(ends)) if ends else None


def _valid_to(entitlement: Entitlement, k: int) -> date | None:
    validity = _validity(entitlement)
    if validity is None:
        return None
    if entitlement.refresh is None:
        return validity.nth(entitlement.start, k + 1)
    refresh = entitlement.refresh.cadence
    day = _valid_from_anchor(entitlement.anchor, refresh, validity, k)
    if day > entitlement.start:
        return day
    # Sold so late in its interval that the validity is over: it counts from the sale.
    return validity.nth(entitlement.start, 1)


def _validity(entitlement: Entitlement) -> Cadence | None:
    if entitlement.validity is not None:
        return entitlement.validity.cadence
    return None if entitlement.refresh is None else entitlement.refresh.cadence


def _valid_from_anchor(anchor: date, refresh: Cadence, validity: Cadence, k: int) -> date:
    if refresh.months:
        months = refresh.months * k + validity.months
        return add_months(anchor, months) + timedelta(days=validity.days)
    return validity.nth(refresh.nth(anchor, k), 1)
