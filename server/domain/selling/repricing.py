"""Repricing: assets that are sold move to the rates of the catalog of a day. Source: R37."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import AccountId, AssetId, RepriceRunId, ResourceId
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.rating.rates import RateTerms
from server.domain.selling.asset_changes import (
    AssetAct,
    NewAssetChange,
    described_terms,
    differences,
)
from server.domain.selling.negotiation import check_price
from server.domain.selling.quoting import check_discount
from server.domain.selling.sales import Asset, RateBasis


class RepriceOutcome(StrEnum):
    """The outcome for a resource of an asset."""

    REPRICED = "REPRICED"
    UNCHANGED = "UNCHANGED"
    NO_CATALOG_RATE = "NO_CATALOG_RATE"
    FOLLOWS_CATALOG = "FOLLOWS_CATALOG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repriced:
    """A resource of an asset with its terms before and from a day on."""

    asset_id: AssetId
    resource_id: ResourceId
    outcome: RepriceOutcome
    before: RateTerms
    after: RateTerms
    is_fixed: bool


def repriced(asset: Asset, catalog: Mapping[ResourceId, CatalogTerms]) -> tuple[Repriced, ...]:
    """Return the resources of an asset at the rates of the catalog, in their order."""
    found = []
    for resource in asset.resources:
        before = resource.terms
        if before is None:
            continue
        listed = catalog.get(resource.resource_id)
        is_following = asset.rate_basis is RateBasis.FOLLOW_CATALOG
        after = before if listed is None or is_following else agreed(listed.terms, before)
        is_same = prices(after) == prices(before)
        outcome = RepriceOutcome.UNCHANGED if is_same else RepriceOutcome.REPRICED
        if listed is None:
            outcome = RepriceOutcome.NO_CATALOG_RATE
        if is_following:
            outcome = RepriceOutcome.FOLLOWS_CATALOG
        found.append(
            Repriced(
                asset_id=asset.id,
                resource_id=resource.resource_id,
                outcome=outcome,
                before=before,
                after=before if is_same else after,
                is_fixed=resource.is_fixed,
            )
        )
    return tuple(found)


def check_day(asset: Asset, day: date, path: str) -> None:
    """Raise INTERVAL_INVALID unless an asset is sold on a day."""
    if day < asset.start_date or (asset.end_date is not None and day >= asset.end_date):
        days = f"{asset.start_date} to {asset.end_date or 'no end'}"
        name = f"accounts/{asset.account_id}/assets/{asset.id}"
        text = f"{name} is sold from {days}, not on {day}"
        raise InvalidArgument.at(path, "INTERVAL_INVALID", text, asset=name)


def check_terms(asset: Asset, found: Iterable[Repriced]) -> None:
    """Raise RATE_NEGATIVE or TIERS_INVALID for new terms with which nothing can be sold."""
    for one in found:
        name = f"accounts/{asset.account_id}/assets/{asset.id}"
        check_price(one.resource_id, one.after, path=name)
        if asset.role.is_commitment:
            check_discount(one.after, asset.product_id, one.resource_id)


def check_last(
    account_id: AccountId, asset_id: AssetId, last: datetime | None, start: datetime
) -> None:
    """Raise REPRICED_LATER if an asset has rates that begin after a time."""
    if last is not None and last > start:
        name = f"accounts/{account_id}/assets/{asset_id}"
        text = f"{name} has rates from {last.isoformat()} on; reprice it from then on or later"
        raise FailedPrecondition("REPRICED_LATER", text, {"asset": name})


def repriced_changes(
    found: Iterable[Repriced],
    *,
    day: date,
    act_time: datetime,
    reason: str,
    run_id: RepriceRunId | None = None,
) -> list[NewAssetChange]:
    """Return the change of each asset that has new rates."""
    by_asset: dict[AssetId, list[Repriced]] = {}
    for one in found:
        by_asset.setdefault(one.asset_id, []).append(one)
    return [
        NewAssetChange(
            asset_id=asset_id,
            act=AssetAct.REPRICE,
            effective_date=day,
            act_time=act_time,
            fields=tuple(
                change
                for one in of_asset
                for change in differences(
                    one.resource_id, described_terms(one.before), described_terms(one.after)
                )
            ),
            reason=reason,
            run_id=run_id,
        )
        for asset_id, of_asset in by_asset.items()
    ]


def agreed(listed: RateTerms, before: RateTerms) -> RateTerms:
    """Return the terms of the catalog with everything that was agreed."""
    terms = replace(
        listed,
        attributes=before.attributes,
        negotiated_rate=before.negotiated_rate,
        negotiated_fields=before.negotiated_fields,
    )
    if before.negotiated_tiers is None:
        return terms
    return replace(
        terms,
        negotiated_tiers=before.negotiated_tiers,
        listed_as=(listed.bounds, listed.mode),
        bounds=before.bounds,
        mode=before.mode,
    )


def prices(terms: RateTerms) -> RateTerms:
    """Return the terms without the entries that they come from."""
    return replace(terms, base_entry=None, tier_entry=None, attribute_entry=None)
