"""Discovery: what a unit costs, by what an asset was sold under or else by the catalogue.

An asset's own rates come first, with those of the packs and commitments that were added to it, then
what was agreed for the target that it is bound to, then what it took from the catalogue. Where it
has none on the day, or none in the currency that is asked for, the catalogue answers, if
the question says where to look in it. Nothing is ever free because
nobody said what it costs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypedDict

from server.domain.calendar import PolicyPeriod, local_date, local_midnight, rating_period
from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    AssetId,
    PriceBookId,
    ProductId,
    ResourceId,
    SellingModelId,
)
from server.domain.modelling.policies import OveragePolicy
from server.domain.pricing.procedures.state import Line
from server.domain.pricing.rate_index import CatalogueRates, Missing, Question, RateNotFound
from server.domain.pricing.raters import SHIPPED_VERSIONS, VersionKey, Versions, not_in_force
from server.domain.pricing.rates import RateSegment, RateTerms
from server.domain.pricing.rating import Rated
from server.domain.selling.additions import Addition, chosen, chosen_agreement, competing, in_force

# A resource of an asset.
Held = tuple[AccountId, AssetId, ResourceId]


class Source(StrEnum):
    """Where a rate was found."""

    CATALOG = "CATALOG"
    ASSET = "ASSET"
    TARGET = "TARGET"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was asked: of an asset, of the catalogue, or of one and then the other.

    Without a day it is about today; a quantity is to be priced as the overage of a rating period.
    """

    resource_id: ResourceId
    held: Held | None
    price_book_id: PriceBookId | None
    product_id: ProductId | None
    currency_code: str | None
    day: date | None
    quantity: Decimal | None
    selling_model_id: SellingModelId | None = None
    attributes: Mapping[str, str] | None = None

    def in_catalogue(self, today: date) -> Question | None:
        """The question for the catalogue; None when it was not said where to look."""
        if self.price_book_id is None or self.product_id is None or self.currency_code is None:
            return None
        day = self.day or today
        return Question(
            self.price_book_id,
            self.product_id,
            self.resource_id,
            self.currency_code,
            day,
            self.selling_model_id,
        )


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
class AssetRates:
    """What one resource of an asset was sold under, in its buyer's zone, and what was added.

    Its rating periods are of this `length` and begin as the `anchor` says.
    """

    zone: str
    anchor: date
    length: PolicyPeriod
    is_fixed: bool
    overage: OveragePolicy
    stretches: tuple[AssetStretch, ...]
    additions: tuple[Addition, ...] = ()

    def on(self, day: date, currency_code: str | None) -> RateTerms | None:
        """The terms in force as `day` begins, if they are in that currency or none is named."""
        midnight = local_midnight(self.zone, day)
        own = self.own_at(midnight)
        if own is None or currency_code not in (None, own.unit):
            return None
        segment = RateSegment(start=midnight, terms=own, overage=self.overage)
        return in_force(segment, midnight, self.competing).terms

    @property
    def competing(self) -> tuple[Addition, ...]:
        """What competes with its own terms."""
        return competing(self.additions, self.is_fixed)

    def own_at(self, instant: datetime) -> RateTerms | None:
        """What the asset itself was sold under, whatever was added to it."""
        for stretch in self.stretches:
            if stretch.is_open(instant):
                return stretch.terms
        return None

    def rated_from(self, day: date) -> date:
        """The first day of the rating period around the beginning of `day`."""
        midnight = local_midnight(self.zone, day)
        period = rating_period(self.zone, self.anchor, self.length, midnight)
        return local_date(self.zone, period.start)

    def winner(self, day: date) -> Addition | None:
        """What holds as `day` begins in the place of its own: a pack, or what was agreed."""
        midnight = local_midnight(self.zone, day)
        return chosen(self.own_at(midnight), midnight, self.competing)

    def agreed_at_target(self, day: date, currency_code: str | None) -> Addition | None:
        """What was agreed for the target on another of its anchors, and is there as `day` begins.

        None where the asset has something that was negotiated, a fixed rate, or no rate at all.
        """
        midnight = local_midnight(self.zone, day)
        own = self.own_at(midnight)
        if own is None or currency_code not in (None, own.unit):
            return None
        return chosen_agreement(own, midnight, self.competing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a unit costs, where that was found, and what a quantity comes to if it was asked.

    `asset_id` is the asset or the pack whose rate it is, or the one on which it was agreed for the
    target; `version` is that of the procedure that made the amount.
    """

    terms: RateTerms
    is_fixed: bool
    source: Source
    rated: Rated | None = None
    version: VersionKey | None = None
    asset_id: AssetId | None = None


def answer(
    asked: Asked,
    today: date,
    rates: CatalogueRates,
    sold: Mapping[Held, AssetRates | None],
    versions: Versions = SHIPPED_VERSIONS,
) -> Answer:
    """The answer to a question; `sold` has every asset that is asked about and exists.

    A quantity is priced by the version of the rating procedure that is in force: for an asset on
    the day on which its rating period begins, else on the day that is asked for.

    Raises ASSET_NOT_FOUND, `RateNotFound` (RATE_NOT_FOUND), `RatingFailed`.
    """
    if asked.held is not None:
        own = _own(asked, asked.held, today, sold, versions)
        if own is not None:
            return own
    question = asked.in_catalogue(today)
    if question is None:
        assert asked.held is not None, asked
        raise _asset_has_none(asked.held, asked.day or today, sold[asked.held])
    found = rates.find(question)
    terms = _used(found.terms, asked)
    rated = _rated(asked, terms, question.day, versions, OveragePolicy.CHARGE)
    return Answer(terms=terms, is_fixed=found.is_fixed, source=Source.CATALOG, **rated)


def _own(
    asked: Asked,
    held: Held,
    today: date,
    sold: Mapping[Held, AssetRates | None],
    versions: Versions,
) -> Answer | None:
    if held not in sold:
        account_id, asset_id, _ = held
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{asset_id}")
    rates = sold[held]
    if rates is None:
        return None
    day = asked.day or today
    terms = rates.on(day, asked.currency_code)
    if terms is None:
        return None
    terms = _used(terms, asked)
    start = day if asked.quantity is None else rates.rated_from(day)
    winner = rates.winner(day)
    return Answer(
        terms=terms,
        is_fixed=rates.is_fixed,
        source=Source.TARGET if winner is not None and winner.is_agreed else Source.ASSET,
        asset_id=held[1] if winner is None else winner.asset_id,
        **_rated(asked, terms, start, versions, rates.overage),
    )


def _used(terms: RateTerms, asked: Asked) -> RateTerms:
    return terms if asked.attributes is None else terms.used_with(asked.attributes)


class _Priced(TypedDict, total=False):
    """What a quantity comes to, and by what; empty when none is asked for."""

    rated: Rated
    version: VersionKey


def _rated(
    asked: Asked,
    terms: RateTerms,
    day: date,
    versions: Versions,
    overage: OveragePolicy,
) -> _Priced:
    """What a quantity comes to as the overage of a rating period. Raises `RatingFailed`."""
    quantity = asked.quantity
    if quantity is None:
        return {}
    rater = versions.on(day)
    if rater is None:
        raise not_in_force(day)
    line = Line(
        quantity=quantity,
        terms=terms,
        tier_quantity=quantity,
        overage=overage,
        attributes=asked.attributes or {},
    )
    return {"rated": rater.price(line), "version": rater.name}


def _asset_has_none(held: Held, day: date, rates: AssetRates | None) -> RateNotFound:
    account_id, asset_id, resource_id = held
    if rates is None:
        missing, fault = Missing.USAGE_RESOURCE, "it has no such resource"
    elif not rates.stretches:
        missing, fault = Missing.BASE_RATE, "it was sold without one"
    else:
        missing, fault = Missing.DATE, "it was sold under none on that day, or in other money"
    return RateNotFound(
        "RATE_NOT_FOUND",
        f"no rate for {resource_id} of the asset {asset_id} on {day}: {fault}",
        {
            "asset": f"accounts/{account_id}/assets/{asset_id}",
            "usage_resource": resource_id,
            "date": day.isoformat(),
            "missing": missing,
        },
    )
