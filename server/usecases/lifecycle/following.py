"""Following: assets have on each day the rates that the catalog has on that day.

Every change of the catalog adds a job, which adds one for each account with such assets. An account
compares the rates of its assets with the whole catalog, so a job that is repeated, late or left out
because a later one does the same changes nothing. Rates of days to come are written ahead.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date

from server.domain.calendar import local_date, local_midnight
from server.domain.errors import FailedPrecondition
from server.domain.ids import ResourceId, WalletId
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.selling.following import (
    DatedTerms,
    Followed,
    Listed,
    followed,
    followed_changes,
)
from server.domain.selling.rebinding import wallets_of
from server.domain.selling.sales import Asset, AssetResource, Buyer
from server.store import jobs
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.jobs import NO_ACCOUNT, Job
from server.store.selling import asset_changes, asset_rates, assets, orders
from server.store.selling.asset_rates import Key, NewTimeline
from server.store.selling.assets import AssetFilter
from server.usecases.lifecycle import rate_changes
from server.usecases.lifecycle.sold_catalogs import SoldCatalog, SoldCatalogs

ACCOUNTS = 500
"""The accounts for which a job adds jobs."""

ASSETS = 200
"""The assets of an account that a job is about."""


async def follow_next(tx: Transaction, job: Job) -> None:
    """Do a job: add those of the next accounts, or let the next assets of an account follow."""
    revision, after = int(job.payload["revision"]), job.payload["after"]
    if job.account_id == NO_ACCOUNT:
        await _add_accounts(tx, job, revision, after)
        return
    buyer = await orders.lock_buyer(tx, job.account_id)
    found = await assets.list_assets(
        tx,
        job.account_id,
        AssetFilter(follows=True),
        after=(int(after or 0),),
        limit=ASSETS,
    )
    await follow(tx, buyer, found)
    if len(found) == ASSETS:
        last = str(found[-1].number)
        next_job = tenants.follow_job(
            tx, revision, job.fire_time, account_id=job.account_id, after=last
        )
        await jobs.add(tx, [next_job])


async def _add_accounts(tx: Transaction, job: Job, revision: int, after: str) -> None:
    if not after and await tenants.has_later_follow(tx, revision):
        return
    found = await asset_rates.following_accounts(tx, after, ACCOUNTS)
    new = [
        tenants.follow_job(tx, revision, job.fire_time, account_id=account_id)
        for account_id in found
    ]
    if len(found) == ACCOUNTS:
        new.append(tenants.follow_job(tx, revision, job.fire_time, after=found[-1]))
    await jobs.add(tx, new)


async def follow(tx: Transaction, buyer: Buyer, found: Sequence[Asset]) -> None:
    """Give assets of a locked account the rates that the catalog has on each day.

    Raises the errors of `mark_final`.
    """
    instant = await tenants.now(tx)
    today = local_date(buyer.zone, instant)
    stored = await asset_rates.timelines(tx, buyer.id, [asset.id for asset in found])
    catalogs = SoldCatalogs(tx, buyer.id)
    held: dict[Key, AssetResource] = {}
    changed: list[Followed] = []
    for asset in found:
        catalog = await catalogs.of(asset)
        for resource in asset.resources:
            rows = stored.get((asset.id, resource.resource_id), ())
            dated = [DatedTerms(local_date(buyer.zone, start), terms) for start, terms in rows]
            if not dated:
                continue
            listed = _listed(catalog, resource.resource_id, dated[0].terms.unit)
            one = followed(asset.id, dated, listed, today)
            if one is not None:
                held[asset.id, resource.resource_id] = resource
                changed.append(one)
    if changed:
        await _take_effect(tx, buyer, changed, held)
        await asset_changes.add(tx, buyer.id, followed_changes(changed, instant))


async def _take_effect(
    tx: Transaction, buyer: Buyer, changed: Sequence[Followed], held: dict[Key, AssetResource]
) -> None:
    """Change the rates, and mark the final periods in which they apply, to be corrected."""
    account_id, zone = buyer.id, buyer.zone
    by_start: dict[date, list[Followed]] = {}
    for one in changed:
        by_start.setdefault(one.start, []).append(one)
    firsts = {
        day: await rate_changes.mark_final(
            tx, account_id, _wallets(of_day, held), local_midnight(zone, day)
        )
        for day, of_day in sorted(by_start.items())
    }
    timelines = [
        NewTimeline(
            key=(one.asset_id, one.resource_id),
            terms=[(local_midnight(zone, part.start), part.terms) for part in one.terms],
            end=held[one.asset_id, one.resource_id].end_time,
        )
        for one in changed
    ]
    await asset_rates.replace_from(tx, account_id, timelines)
    for day, of_day in sorted(by_start.items()):
        due = [one for one in of_day if any(part.terms.due for part in one.terms)]
        for wallet_id in _wallets(due, held):
            since = (local_midnight(zone, day), firsts[day].get(wallet_id))
            of = {one.asset_id for one in due}
            await rate_changes.add_standing(tx, account_id, wallet_id, since, of)
    await orders.bump_rates(tx, account_id)


def _wallets(found: Sequence[Followed], held: dict[Key, AssetResource]) -> list[WalletId]:
    both = (wallets_of(held[one.asset_id, one.resource_id]) for one in found)
    return sorted({wallet_id for wallet_ids in both for wallet_id in wallet_ids})


def _listed(catalog: SoldCatalog, resource_id: ResourceId, unit: str) -> Listed:
    """Return the catalog for a resource of an asset."""

    def on(day: date) -> CatalogTerms | None:
        # A day without a discovery procedure is a gap like one without a rate.
        with suppress(FailedPrecondition):
            return catalog.on(day, {resource_id: unit}).get(resource_id)
        return None

    days = catalog.catalog.days
    return Listed(resource_id=resource_id, days=days, on=on, end=catalog.asset.end_date)
