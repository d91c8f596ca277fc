"""Calendars: the dates that periods of an account and of an asset's resources are counted from."""

from datetime import date, datetime

from asyncpg import Record

from server.domain.billing.periods import ResourceCalendar
from server.domain.calendar import (
    Cadence,
    CadenceUnit,
    Delay,
    DelayUnit,
    PolicyPeriod,
    RatingPeriod,
    local_midnight,
)
from server.domain.ids import AccountId, AssetId, ResourceId, WalletId
from server.domain.modeling.policies import RatingFrequency
from server.domain.selling.sales import Asset, AssetResource
from server.store.connection import Transaction
from server.store.selling import assets
from server.store.sql import load

SQL = load("billing/calendars.sql")


async def of_asset(
    tx: Transaction, account_id: AccountId, asset_id: AssetId, time: datetime
) -> list[ResourceCalendar]:
    """Return the calendars of an asset by usage resource, for periods at `time`.

    Raises ASSET_NOT_FOUND.
    """
    asset: Asset = await assets.get(tx, account_id, asset_id)
    rows = await tx.fetch(SQL["asset_calendars"], tx.tenant_id, account_id, asset_id, time)
    resources = {resource.resource_id: resource for resource in asset.resources}
    return [_calendar(resources[ResourceId(row["usage_resource_id"])], row) for row in rows]


async def first_start(tx: Transaction, account_id: AccountId, after: date) -> date | None:
    """Return the first day of an account's first asset, if it is after a day; else None."""
    found: date | None = await tx.fetchval(SQL["first_start"], tx.tenant_id, account_id, after)
    return found


async def anchors(tx: Transaction, account_id: AccountId) -> list[date]:
    """Return the dates from which the periods of an account's targets are counted."""
    return [row["anchor_date"] for row in await tx.fetch(SQL["anchors"], tx.tenant_id, account_id)]


def _calendar(resource: AssetResource, row: Record) -> ResourceCalendar:
    days, hours = row["waiting_days"], row["waiting_hours"]
    delay = Delay(hours, DelayUnit.HOURS) if days is None else Delay(days)
    start = row["period_start_time"]
    return ResourceCalendar(
        resource_id=resource.resource_id,
        wallet_id=WalletId(row["wallet_id"]),
        start=resource.start_time,
        end=resource.end_time,
        zone=row["time_zone"],
        anchor=row["anchor_date"],
        service_start=local_midnight(row["time_zone"], row["start_date"]),
        billing=Cadence(CadenceUnit(row["billing_unit"]), row["billing_count"]),
        frequency=RatingFrequency(period=PolicyPeriod(row["rating_period"]), delay=delay),
        kept=None
        if start is None
        else RatingPeriod(start, row["period_end_time"], row["freeze_time"]),
        entitlements=resource.entitlements,
    )
