"""Loading: a time in which usage of any age is accepted, and corrections wait until it ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.audit import Audit
from server.domain.errors import InvalidArgument
from server.domain.ids import AccountId, AssetId, LoadingId, OrderId
from server.domain.limits import value_of

MOST_DAYS = value_of("loading.days")

AssetKey = tuple[AccountId, AssetId]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoading:
    """A loading that has not ended; without assets it is of the whole account."""

    asset_ids: tuple[AssetId, ...]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """A loading; `end` is when it ended, None as long as it is open."""

    id: LoadingId
    account_id: AccountId
    order_id: OrderId | None
    asset_ids: tuple[AssetId, ...]
    until: datetime
    end: datetime | None
    audit: Audit


def check_until(until: datetime, *, now: datetime, present: datetime | None = None) -> None:
    """Raise LOADING_TIME for an end in the past, before the present end, or too far ahead."""
    facts = {"now": now.isoformat(), "latest": (now + timedelta(days=MOST_DAYS)).isoformat()}
    if until <= now:
        text = f"must be after the tenant's clock, {facts['now']}"
    elif present is not None and until < present:
        facts["present"] = present.isoformat()
        text = f"is before the present end, {facts['present']}; EndLoading ends a loading sooner"
    elif until > now + timedelta(days=MOST_DAYS):
        text = f"is more than {MOST_DAYS} days ahead (loading.days), after {facts['latest']}"
    else:
        return
    raise InvalidArgument.at("until_time", "LOADING_TIME", text, **facts)
