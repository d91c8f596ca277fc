"""Grants: the issues of an entitlement, with their starts and expiries.

Every date is counted from the entitlement's anchor. Dates are civil dates in the account's zone,
ends are exclusive, and an issue starts and expires at local midnight. Source: usage entitlement
refresh and rollover policies.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import count
from uuid import UUID

from server.domain.calendar import DAY, Cadence, Period, add_months, local_date, local_midnight
from server.domain.exact import ZERO, Rounding, divide, exact, truncate
from server.domain.ids import AssetId, EntitlementId, GrantId, WalletId, derive
from server.domain.modeling.policies import RefreshPolicy, RolloverPolicy, Validity

# The ids of an entitlement that is only looked at.
NIL = UUID(int=0)


class GrantKind(StrEnum):
    """The origin of a grant."""

    SALE = "SALE"
    REFRESH = "REFRESH"
    ROLLOVER = "ROLLOVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """The grant of one asset action, with its policies.

    `start` is the first day, `end` the day after the last. Issues are counted from `anchor`.
    Without `validity` an issue lasts for one refresh interval, or as long as the entitlement if
    there is no refresh. `next_index` is the first issue that is not posted yet. `spend_cap` is the
    most that usage under a commitment to spend costs during a whole issue.

    If its asset was bound to another target, each of both wallets has a part of it. The wallet
    before has the issues before `issues_until`, and what is left of them moves to the wallet
    `leaves_to` at `leave_time`. The wallet after has the issues from `issues_from` on.
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
    spend_cap: Decimal | None = None
    issues_from: int | None = None
    issues_until: int | None = None
    leave_time: datetime | None = None
    leaves_to: WalletId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One issue in a wallet: its `quantity` when it was opened, and its `balance` now.

    `index` is the issue's position from the anchor. A remainder that rolled over has the index of
    the issue whose window it joins, and the number of its `rollovers`. One that was moved here from
    another wallet pays from its `arrive_time` on; `source_id` is the grant that it was there.
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
    arrive_time: datetime | None = None
    source_id: GrantId | None = None

    @property
    def opens(self) -> datetime:
        """The time from which on its wallet has it."""
        return self.start if self.arrive_time is None else self.arrive_time

    def holding(self, balance: Decimal) -> "Grant":
        """Return this grant with another balance."""
        # Written out, because `replace` takes three times as long and every movement comes here.
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
            arrive_time=self.arrive_time,
            source_id=self.source_id,
        )

    def is_open(self, at: datetime) -> bool:
        """Return whether it can pay for usage at `at`."""
        return self.opens <= at and (self.expire is None or at < self.expire)


@exact
def issues(entitlement: Entitlement, zone: str, *, through: datetime) -> tuple[Grant, ...]:
    """Return the unposted issues that start by `through`, oldest first, with full balance.

    An issue whose refresh interval is covered in part is prorated by days and truncated at the
    unit's scale. An issue of zero is left out.
    """
    found: list[Grant] = []
    for k in _indices(entitlement):
        start, end = _days(entitlement, k)
        # Issues come in the order of their starts, and may go on without end.
        if (end and start >= end) or local_midnight(zone, start) > through:
            break
        issue = _issue(entitlement, zone, k)
        if issue:
            found.append(issue)
    return tuple(found)


def due_issues(
    entitlements: Iterable[Entitlement], zone: str, *, through: datetime
) -> tuple[Grant, ...]:
    """Return the due issues of several entitlements, in the order of their posting."""
    found = (
        issue
        for entitlement in entitlements
        for issue in issues(entitlement, zone, through=through)
    )
    return tuple(sorted(found, key=lambda issue: (issue.start, issue.id)))


def next_indices(opened: Iterable[Grant]) -> dict[EntitlementId, int]:
    """Return the index after the last opened issue, by entitlement."""
    indices: dict[EntitlementId, int] = {}
    for grant in opened:
        # A rollover carries a remainder of an earlier issue and takes no index, and what moved here
        # was issued elsewhere.
        if grant.kind is not GrantKind.ROLLOVER and grant.arrive_time is None:
            after = max(indices.get(grant.entitlement_id, 0), grant.index + 1)
            indices[grant.entitlement_id] = after
    return indices


def next_start(entitlement: Entitlement, zone: str, *, after: datetime) -> datetime | None:
    """Return the start of the next issue after `after`, or None. Posted issues are skipped."""
    for k in _indices(entitlement):
        start, end = _days(entitlement, k)
        if end and start >= end:
            return None
        if (instant := local_midnight(zone, start)) > after:
            return instant
    return None


@exact
def refresh_window(entitlement: Entitlement, zone: str, instant: datetime) -> Period | None:
    """Return the refresh interval that contains `instant`, clipped to the entitlement.

    None if the entitlement has no refresh or is not in force at `instant`, or if the interval has
    so few days that its issue is zero.
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
def edge_quantities(
    quantity: Decimal,
    *,
    unit_scale: int,
    days: tuple[date, date | None],
    refresh: RefreshPolicy | None,
) -> tuple[Decimal, Decimal | None]:
    """Return the quantities of the first and the last issue of a sale on `days`, end exclusive.

    Each is prorated if the sale covers its refresh interval in part. The last is None without an
    end. Source: R44.
    """
    start, end = days
    sold = Entitlement(
        id=EntitlementId(NIL),
        wallet_id=WalletId(NIL),
        asset_id=AssetId(NIL),
        number=0,
        quantity=quantity,
        unit_scale=unit_scale,
        start=start,
        end=end,
        anchor=start,
        refresh=refresh,
    )
    first = _quantity(sold, _first_index(sold))
    if end is None or refresh is None:
        return first, None if end is None else first
    return first, _quantity(sold, refresh.cadence.index(start, end - DAY))


@exact
def prorated(quantity: Decimal, *, days: int, whole: int, scale: int) -> Decimal:
    """Return the share `days` / `whole` of `quantity`, truncated at the unit's scale."""
    if days == whole:
        return truncate(quantity, scale)
    # Truncated, so that a part of an interval never grants more than its share.
    return divide(quantity * days, Decimal(whole), places=scale, mode=Rounding.DOWN)


def issued_through(entitlement: Entitlement, zone: str, instant: datetime) -> Entitlement:
    """Return an entitlement as it was when only the issues that start by `instant` were posted."""
    if entitlement.next_index is None:
        return entitlement
    first, day = _first_index(entitlement), local_date(zone, instant)
    if day < entitlement.start:
        index = first
    elif entitlement.refresh is None:
        index = first + 1
    else:
        index = entitlement.refresh.cadence.index(entitlement.anchor, day) + 1
    return replace(entitlement, next_index=min(index, entitlement.next_index))


def issue_start(entitlement: Entitlement, zone: str, k: int) -> datetime:
    """Return the start of issue `k`."""
    return local_midnight(zone, _days(entitlement, k)[0])


def first_index_from(entitlement: Entitlement, zone: str, instant: datetime) -> int:
    """Return the index of the first issue that starts at `instant` or later."""
    first, day = _first_index(entitlement), local_date(zone, instant)
    if day <= entitlement.start:
        return first
    if entitlement.refresh is None:
        return first + 1
    index = entitlement.refresh.cadence.index(entitlement.anchor, day)
    is_start = issue_start(entitlement, zone, index) >= instant
    return index if is_start else index + 1


def _indices(entitlement: Entitlement) -> Iterable[int]:
    """Return the indexes of the unposted issues, without end for a refreshed entitlement."""
    first = _first_index(entitlement)
    after = first if entitlement.next_index is None else entitlement.next_index
    after = max(after, entitlement.issues_from or after)
    until = first + 1 if entitlement.refresh is None else entitlement.issues_until
    if until is not None and entitlement.issues_until is not None:
        until = min(until, entitlement.issues_until)
    return count(after) if until is None else range(after, until)


def _first_index(entitlement: Entitlement) -> int:
    """Return the index of the issue whose interval contains the entitlement's first day."""
    if entitlement.refresh is None:
        return 0
    return entitlement.refresh.cadence.index(entitlement.anchor, entitlement.start)


def _days(entitlement: Entitlement, k: int) -> tuple[date, date | None]:
    """Return the start and end of the covered days of interval `k`; none if they are reversed."""
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
    """Return the end of issue `k`: its validity from the anchor, or the entitlement's end."""
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
    # Sold so late in its interval that the validity would be over already, so it counts from the
    # sale: otherwise the customer would get nothing for the first interval.
    return validity.nth(entitlement.start, 1)


def _validity(entitlement: Entitlement) -> Cadence | None:
    if entitlement.validity is not None:
        return entitlement.validity.cadence
    return None if entitlement.refresh is None else entitlement.refresh.cadence


def _valid_from_anchor(anchor: date, refresh: Cadence, validity: Cadence, k: int) -> date:
    # The months are added at once: two steps from the 31st would lose days twice.
    if refresh.months:
        months = refresh.months * k + validity.months
        return add_months(anchor, months) + timedelta(days=validity.days)
    return validity.nth(refresh.nth(anchor, k), 1)
