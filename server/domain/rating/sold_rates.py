"""What assets and targets were sold under, by resource, and what of that holds on a day."""

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
    """A resource of what assets are bound to: a contract or custom target, the account without."""

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
    """Terms an asset was sold under, from one local midnight to another."""

    start: datetime
    end: datetime | None
    terms: RateTerms

    def is_open(self, instant: datetime) -> bool:
        """Whether it holds at `instant`."""
        return self.start <= instant and (self.end is None or instant < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldRates:
    """What was added to a wallet whose rating periods are of this `length`.

    They begin as the `anchor` says, in the `zone` of the buyer.
    """

    zone: str
    anchor: date
    length: PolicyPeriod
    additions: tuple[Addition, ...] = ()

    def rated_from(self, day: date) -> date:
        """The first day of the rating period around the beginning of `day`."""
        midnight = local_midnight(self.zone, day)
        period = rating_period(self.zone, self.anchor, self.length, midnight)
        return local_date(self.zone, period.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRates(SoldRates):
    """What one resource of an asset was sold under, and what was added, for its target too."""

    is_fixed: bool
    overage: OveragePolicy
    stretches: tuple[AssetStretch, ...]

    def on(
        self, day: date, currency_code: str | None, *, asks_target: bool = True
    ) -> RateSegment | None:
        """What holds as `day` begins, if it is in that currency or none is named.

        Without `asks_target` nothing that was agreed for the target competes.
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
        """What the asset itself was sold under, whatever was added to it."""
        for stretch in self.stretches:
            if stretch.is_open(instant):
                return stretch.terms
        return None

    def at_target(self, day: date, currency_code: str | None) -> RateSegment | None:
        """What was agreed for its target, with the packs and commitments that go before that.

        Whether the asset has something negotiated of its own is not asked.
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
        """What was agreed on another anchor of its target and holds as `day` begins.

        None where the asset has a fixed rate, or no rate that says in what it is rated.
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
    """What was agreed for one resource of a target, and what else was added to its wallet."""

    def on(self, day: date, currency_code: str | None) -> RateSegment | None:
        """What the target has as `day` begins, if it is in that currency or none is named."""
        midnight = local_midnight(self.zone, day)
        added = [one for one in self.additions if currency_code in (None, _unit(one))]
        best = chosen_for_target(midnight, added)
        if best is None:
            return None
        segment = RateSegment(start=midnight, terms=brought(best, best.terms))
        promised = [one for one in added if one.commitment is not None]
        return replace(in_force(segment, midnight, promised), sold_with=best.asset_id)


def _unit(one: Addition) -> str | None:
    return None if one.terms is None else one.terms.unit
