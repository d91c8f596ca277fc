"""Periods at an instant: the rating period with its freeze, the billing period, refresh windows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.calendar import (
    Cadence,
    Period,
    RatingPeriod,
    freeze_time,
    period_containing,
    rating_period,
)
from server.domain.ids import ResourceId, WalletId
from server.domain.modeling.policies import RatingFrequency
from server.domain.selling.grants import refresh_window
from server.domain.selling.sales import SoldEntitlement


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCalendar:
    """The calendar of one usage resource, which the asset has from `start` until `end`.

    The periods of its target begin with `service_start`, that of the target's first asset.
    `kept` is the last rating period that was opened by the time of the question, or None.
    """

    resource_id: ResourceId
    wallet_id: WalletId
    start: datetime
    end: datetime | None
    zone: str
    anchor: date
    service_start: datetime
    billing: Cadence
    frequency: RatingFrequency
    kept: RatingPeriod | None = None
    entitlements: tuple[SoldEntitlement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshWindow:
    """A refresh window, and the entitlement that is refreshed in it."""

    sold: SoldEntitlement
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePeriods:
    """The periods of one usage resource of an asset that contain an instant."""

    resource_id: ResourceId
    wallet_id: WalletId
    rating: RatingPeriod
    billing: Period
    windows: tuple[RefreshWindow, ...]


def periods_at(calendar: ResourceCalendar, instant: datetime) -> ResourcePeriods | None:
    """Return the periods that contain `instant`, or None if the asset lacks the resource then."""
    if instant < calendar.start or (calendar.end is not None and calendar.end <= instant):
        return None
    zone, anchor = calendar.zone, calendar.anchor
    return ResourcePeriods(
        resource_id=calendar.resource_id,
        wallet_id=calendar.wallet_id,
        rating=_rating(calendar, instant).since(calendar.service_start),
        billing=period_containing(zone, anchor, calendar.billing, instant).since(
            calendar.service_start
        ),
        windows=tuple(
            RefreshWindow(sold=sold, period=window)
            for sold in calendar.entitlements
            if (window := refresh_window(sold.entitlement, zone, instant)) is not None
        ),
    )


def begun(billing: Period, service_start: datetime, instant: datetime) -> Period:
    """Return the billing period at `instant` of an account whose first asset starts then.

    The first period begins with that asset; before it, periods are whole.
    """
    return billing.since(service_start) if service_start <= instant else billing


def same(periods: Iterable[Period]) -> Period | None:
    """Return the one period that all of `periods` equal, or None."""
    found = set(periods)
    return found.pop() if len(found) == 1 else None


def _rating(calendar: ResourceCalendar, instant: datetime) -> RatingPeriod:
    """Return the rating period at `instant`; one that was opened late has its stored freeze."""
    zone, frequency = calendar.zone, calendar.frequency
    found = rating_period(zone, calendar.anchor, frequency.period, instant)
    if calendar.kept is not None and calendar.kept.start == found.start:
        return calendar.kept
    return RatingPeriod(found.start, found.end, freeze_time(zone, found.end, frequency.delay))
