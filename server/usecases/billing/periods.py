"""Look up the periods that contain a time, of an account or of an asset."""

from dataclasses import dataclass
from datetime import datetime

from server.domain.billing.periods import (
    ResourcePeriods,
    begun,
    periods_at,
    same,
)
from server.domain.calendar import Period, local_date, local_midnight
from server.domain.ids import AccountId, AssetId
from server.store.access import tenants
from server.store.billing import calendars
from server.store.connection import Transaction
from server.store.selling import accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodsAt:
    """The periods that contain `time`: the billing period, and those of an asset by resource."""

    account_id: AccountId
    time: datetime
    billing: Period | None
    resources: tuple[ResourcePeriods, ...] = ()


async def periods_of(
    tx: Transaction,
    account_id: AccountId,
    asset_id: AssetId | None,
    time: datetime | None,
) -> PeriodsAt:
    """Return the periods of an asset, or of the account, at `time`; None means now.

    Raises ACCOUNT_NOT_FOUND, ASSET_NOT_FOUND.
    """
    at = await tenants.now(tx) if time is None else time
    if asset_id is None:
        return await _of_account(tx, account_id, at)
    return await _of_asset(tx, account_id, asset_id, at)


async def _of_account(tx: Transaction, account_id: AccountId, at: datetime) -> PeriodsAt:
    account = (await accounts.get(tx, account_id)).content
    zone, cycle = account.time_zone, account.billing
    # Targets are read only if the periods depend on them: there may be one for each asset.
    anchors = [] if cycle.is_fixed else await calendars.anchors(tx, account_id)
    billing = cycle.period_at(zone, anchors, at)
    if billing is not None:
        first = await calendars.first_start(tx, account_id, local_date(zone, billing.start))
        if first is not None:
            billing = begun(billing, local_midnight(zone, first), at)
    return PeriodsAt(account_id=account_id, time=at, billing=billing)


async def _of_asset(
    tx: Transaction, account_id: AccountId, asset_id: AssetId, at: datetime
) -> PeriodsAt:
    found = await calendars.of_asset(tx, account_id, asset_id, at)
    resources = [one for each in found if (one := periods_at(each, at)) is not None]
    return PeriodsAt(
        account_id=account_id,
        time=at,
        billing=same(resource.billing for resource in resources),
        resources=tuple(resources),
    )
