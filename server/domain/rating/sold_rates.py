"""The rates that assets and targets were sold under, by resource, and those in force on a day."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

from server.domain.calendar import PolicyPeriod, local_date, local_midnight, rating_period
from server.domain.ids import AccountId, AssetId, ResourceId
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.additions import (
    Addition,
    best_agreement,
    brought,
    chosen_for_target,
    competing,
    in_force,
)
from server.domain.rating.rates import RateSegment, RateTerms

# A resource of an asset.
AssetResourceKey = tuple[AccountId, AssetId, ResourceId]


class TargetResourceKey(NamedTuple):
    """A resource of a contract or custom target, or of the account if `target_id` is empty."""

    account_id: AccountId
    target_id: str
    resource_id: ResourceId

    @property
    def name(self) -> str:
        """The resource name of the target."""
        account = f"accounts/{self.account_id}"
        return f"{account}/bindingTargets/{self.target_id}" if self.target_id else account


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetStretch:
    """The terms that an asset was sold under, from one local midnight to another."""

    start: datetime
    end: datetime | None
    terms: RateTerms

    def is_open(self, instant: datetime) -> bool:
        """Return whether they are in force at `instant`."""
        return self.start <= instant and (self.end is None or instant < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldRates:
    """The additions of a wallet whose rating periods have this `length`.

    The periods are counted from the `anchor`, in the time `zone` of the buyer; the first one begins
    with `service_start`.
    """

    zone: str
    anchor: date
    service_start: datetime
    length: PolicyPeriod
    additions: tuple[Addition, ...] = ()

    def rated_from(self, day: date) -> date:
        """Return the first day of the rating period that contains the start of `day`."""
        midnight = local_midnight(self.zone, day)
        period = rating_period(self.zone, self.anchor, self.length, midnight)
        return local_date(self.zone, period.since(self.service_start).start)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRates(SoldRates):
    """The rates that one resource of an asset was sold under, with additions and agreements."""

    is_fixed: bool
    overage: OveragePolicy
    stretches: tuple[AssetStretch, ...]

    def on(
        self, day: date, currency_code: str | None, *, asks_target: bool = True
    ) -> RateSegment | None:
        """Return the segment in force as `day` begins, in that currency if one is given.

        Without `asks_target`, agreements for the target do not compete.
        """
        midnight = local_midnight(self.zone, day)
        own = self._own(midnight, currency_code)
        if own is None:
            return None
        segment = RateSegment(start=midnight, terms=own, overage=self.overage)
        return in_force(
            segment, midnight, competing(self.additions, self.is_fixed or not asks_target)
        )

    def own_at(self, instant: datetime) -> RateTerms | None:
        """Return the terms of the asset itself, without additions."""
        for stretch in self.stretches:
            if stretch.is_open(instant):
                return stretch.terms
        return None

    def at_target(self, day: date, currency_code: str | None) -> RateSegment | None:
        """Return the agreement for its target, with the packs and commitments that win over it.

        Negotiated terms of the asset itself are not considered.
        """
        midnight = local_midnight(self.zone, day)
        agreed = self.agreed_at_target(day, currency_code)
        if agreed is None:
            return None
        terms = brought(agreed, self.own_at(midnight))
        segment = RateSegment(start=midnight, terms=terms, overage=self.overage)
        found = in_force(segment, midnight, competing(self.additions, is_fixed=True))
        return replace(found, sold_with=found.sold_with or agreed.asset_id)

    def agreed_at_target(self, day: date, currency_code: str | None) -> Addition | None:
        """Return the agreement from another anchor of its target that is in force as `day` begins.

        The result is None if the asset has a fixed rate, or no rate that defines its unit.
        """
        midnight = local_midnight(self.zone, day)
        own = self._own(midnight, currency_code)
        if own is None or self.is_fixed:
            return None
        return best_agreement(own.unit, midnight, self.additions)

    def _own(self, instant: datetime, currency_code: str | None) -> RateTerms | None:
        own = self.own_at(instant)
        return None if own is None or currency_code not in (None, own.unit) else own


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRates(SoldRates):
    """The agreements for one resource of a target, and the other additions of its wallet."""

    def on(self, day: date, currency_code: str | None) -> RateSegment | None:
        """Return the target's segment as `day` begins, in that currency if one is given."""
        midnight = local_midnight(self.zone, day)
        added = [
            addition for addition in self.additions if currency_code in (None, _unit(addition))
        ]
        best = chosen_for_target(midnight, added)
        if best is None:
            return None
        segment = RateSegment(start=midnight, terms=brought(best, best.terms))
        # Packs and agreements were compared above, so only commitments are left to apply.
        promised = [addition for addition in added if addition.commitment is not None]
        return replace(in_force(segment, midnight, promised), sold_with=best.asset_id)


def _unit(one: Addition) -> str | None:
    return None if one.terms is None else one.terms.unit
