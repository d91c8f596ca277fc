"""Changes of assets: what an act did to rates, grants and policies, field by field, as texts.

An asset keeps the terms it was sold with. Its rates also change when another asset is sold later: a
pack, a commitment, or a rate that was negotiated for the target that they share.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from server.domain.calendar import Cadence, local_date
from server.domain.exact import plain
from server.domain.ids import (
    AssetId,
    CredentialId,
    OrderId,
    QuoteId,
    RepriceRunId,
    ResourceId,
)
from server.domain.modeling.policies import PolicySource
from server.domain.rating.additions import Addition, competing, in_force
from server.domain.rating.rates import Rate, RateSegment, RateTerms, Tier
from server.domain.rating.sold_rates import AssetRates
from server.domain.selling.sales import Decision, LineGrant, LineResource, Order, SaleLine

Texts = dict[str, str]
"""The values of fields, by their paths; a field without a value is left out."""


class AssetAct(StrEnum):
    """The kind of an act that changed an asset."""

    SALE = "SALE"
    OTHER_SALE = "OTHER_SALE"
    LINK = "LINK"
    REPRICE = "REPRICE"
    FOLLOW = "FOLLOW"
    REBIND = "REBIND"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field with its value before and after; empty for none."""

    resource_id: ResourceId
    field: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAssetChange:
    """An act on an asset that takes effect on a day, at `act_time`, tenant time."""

    asset_id: AssetId
    act: AssetAct
    effective_date: date
    act_time: datetime
    fields: tuple[FieldChange, ...]
    order_id: OrderId | None = None
    reason: str = ""
    run_id: RepriceRunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetChange:
    """A stored act; `number` counts the acts on the asset. `approval` is that of the quote."""

    content: NewAssetChange
    number: int
    quote_id: QuoteId | None
    approval: Decision | None
    create_time: datetime
    created_by: CredentialId | None


def sold_changes(order: Order, act_time: datetime) -> list[NewAssetChange]:
    """Return the change of each asset that an order creates."""
    return [
        NewAssetChange(
            asset_id=asset_id,
            act=AssetAct.SALE,
            effective_date=line.start_date,
            act_time=act_time,
            fields=tuple(
                change
                for resource in line.resources
                for change in differences(resource.resource_id, {}, described(resource))
            ),
            order_id=order.id,
        )
        for line, asset_id in zip(order.lines, order.asset_ids, strict=True)
    ]


def link_change(asset_id: AssetId, line: SaleLine, act_time: datetime) -> NewAssetChange:
    """Return the change of a commitment that is linked to the anchor of a line from its start."""
    return NewAssetChange(
        asset_id=asset_id,
        act=AssetAct.LINK,
        effective_date=line.start_date,
        act_time=act_time,
        fields=tuple(
            FieldChange(
                resource_id=resource.resource_id, field="linked_asset", after=str(line.linked_id)
            )
            for resource in line.resources
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAct:
    """An act on an asset without its fields, and the number of the asset."""

    asset_id: AssetId
    asset_number: int
    number: int
    act: AssetAct
    create_time: datetime

    @property
    def turn(self) -> tuple[datetime, int]:
        """The sort key among the acts of an account."""
        return self.create_time, self.asset_number


@dataclass(frozen=True, slots=True, kw_only=True)
class RateArrival:
    """A rate of another asset that began to apply to an asset on a day."""

    act: StoredAct
    effective_date: date
    fields: tuple[FieldChange, ...]


def arrivals(
    asset_id: AssetId, rates: Mapping[ResourceId, AssetRates], acts: Iterable[StoredAct]
) -> Iterator[RateArrival]:
    """Yield the rates that later acts on other assets brought to an asset.

    `acts` are those on the asset and on the assets of all additions. Each is judged by what had
    been done until then.
    """
    # The link of a commitment comes after its sale, which brought nothing.
    brought_by: dict[AssetId, StoredAct] = {}
    own: tuple[datetime, int] | None = None
    for act in sorted(acts, key=lambda one: one.turn):
        if act.asset_id != asset_id:
            brought_by[act.asset_id] = act
        elif own is None:
            own = act.turn
    for resource_id, held in rates.items():
        known: list[Addition] = []
        for addition in sorted(held.additions, key=lambda one: brought_by[one.asset_id].turn):
            known.append(addition)
            act = brought_by[addition.asset_id]
            if own is not None and act.turn > own:
                yield from _arrival(resource_id, held, act, known)


def _arrival(
    resource_id: ResourceId, held: AssetRates, act: StoredAct, known: list[Addition]
) -> Iterator[RateArrival]:
    addition = known[-1]
    at = max([addition.start, *(stretch.start for stretch in held.stretches[:1])])
    own = held.own_at(at)
    if own is None or not addition.is_open(at):
        return
    segment = RateSegment(start=at, terms=own, overage=held.overage)
    before = in_force(segment, at, competing(known[:-1], held.is_fixed))
    after = in_force(segment, at, competing(known, held.is_fixed))
    fields = differences(resource_id, described_terms(before.terms), described_terms(after.terms))
    if fields:
        day = local_date(held.zone, at)
        yield RateArrival(act=act, effective_date=day, fields=fields)


def differences(resource_id: ResourceId, before: Texts, after: Texts) -> tuple[FieldChange, ...]:
    """Return the fields of a resource whose values differ, those of `after` first."""
    paths = dict.fromkeys((*after, *before))
    return tuple(
        FieldChange(
            resource_id=resource_id,
            field=path,
            before=before.get(path, ""),
            after=after.get(path, ""),
        )
        for path in paths
        if before.get(path) != after.get(path)
    )


def described(resource: LineResource) -> Texts:
    """Return the values of a resource of a line as texts."""
    policies, sources = resource.policies, resource.policies.sources
    texts = described_terms(resource.terms)
    for grant in resource.grants:
        texts |= _described_grant(grant)
    texts |= _named(
        {
            "aggregation_policy": _policy(sources.aggregation),
            "rating_frequency_policy": _policy(sources.rating_frequency),
            "overage_policy": _policy(sources.overage),
            "commitment_policy": "" if resource.commitment is None else _policy(sources.commitment),
        }
    )
    return texts | {"overage": policies.overage, "drawdown_order": policies.wallet.order}


def described_terms(terms: RateTerms | None) -> Texts:
    """Return a rate, its tiers, its adjustments and the terms of commitments as texts."""
    if terms is None:
        return {}
    rate, tiers = terms.effective_rate, terms.effective_tiers
    texts = {
        "rate": "" if rate is None else _rate(rate),
        "tiers": f"{terms.mode}: {'; '.join(map(_tier, tiers))}" if tiers else "",
        "adjustments": "; ".join(
            f"{', '.join(f'{key}={value}' for key, value in row.attributes)}:"
            f" {row.adjustment.kind} {plain(row.adjustment.value)}"
            for row in terms.adjustments
        ),
    }
    if terms.is_held:
        texts["catalog_gap"] = "the last terms hold"
    texts |= {f"custom_fields/{key}": text for key, text in terms.effective_fields.items()}
    for committed in terms.committed:
        for path, text in described_terms(committed).items():
            texts[f"commitments/{committed.commitment}/{path}"] = text
    return _named(texts)


def _described_grant(grant: LineGrant) -> Texts:
    validity = grant.validity.cadence if grant.validity else None
    path = f"grants/{grant.product_grant_id}"
    return _named(
        {
            f"{path}/quantity": plain(grant.quantity),
            f"{path}/refresh_policy": _policy(grant.refresh_policy),
            f"{path}/rollover_policy": _policy(grant.rollover_policy),
            f"{path}/validity": _cadence(validity),
        }
    )


def _named(texts: Mapping[str, str]) -> Texts:
    return {path: text for path, text in texts.items() if text}


def _rate(rate: Rate) -> str:
    text = f"{plain(rate.value)} {rate.unit}"
    text += "" if rate.per == 1 and not rate.is_package else f" per {plain(rate.per)}"
    return f"{text} begun" if rate.is_package else text


def _tier(tier: Tier) -> str:
    upper = "" if tier.upper is None else f" to {plain(tier.upper)}"
    text = f"{plain(tier.lower)}{upper} {tier.adjustment.kind} {plain(tier.adjustment.value)}"
    text += "" if tier.package is None else f" per {plain(tier.package)} begun"
    return text if tier.flat is None else f"{text} and {plain(tier.flat)} flat"


def _policy(source: PolicySource) -> str:
    return "" if source.id is None else f"{source.id}, version {source.version}"


def _cadence(cadence: Cadence | None) -> str:
    return "" if cadence is None else f"{cadence.count} {cadence.unit}"


def between(
    changes: Iterable[AssetChange],
    *,
    effective_date: date | None,
    as_of: datetime | None,
) -> list[AssetChange]:
    """Return the changes that apply on a day or before and were known at a time, oldest first."""
    found = [
        change
        for change in changes
        if (effective_date is None or change.content.effective_date <= effective_date)
        and (as_of is None or change.content.act_time <= as_of)
    ]
    return sorted(found, key=_turn)


def _turn(change: AssetChange) -> tuple[datetime, bool, AssetId, int]:
    """Return the sort key: an asset's own sale comes before those of the same order."""
    is_other = change.content.act is AssetAct.OTHER_SALE
    return change.create_time, is_other, change.content.asset_id, change.number
