"""Discovery: what a unit costs, by the first place that knows of those where a finder looks.

Usually an asset's own rates come first, with those of the packs and commitments that were added to
it. Where it has none on the day, or none in the currency that is asked for, the catalogue answers,
if the question says where to look in it. Nothing is ever free because nobody said what it costs.
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
from server.domain.pricing.finders import SHIPPED_FINDER, Finder
from server.domain.pricing.procedures.elements import LookupSource
from server.domain.pricing.procedures.state import Line
from server.domain.pricing.rate_index import CatalogueRates, Missing, Parts, Question, RateNotFound
from server.domain.pricing.raters import SHIPPED_VERSIONS, VersionKey, Versions, not_in_force
from server.domain.pricing.rates import RateSegment, RateTerms
from server.domain.pricing.rating import Rated
from server.domain.selling.additions import Addition, chosen_pack, in_force

# A resource of an asset.
Held = tuple[AccountId, AssetId, ResourceId]
OWN, LISTED = LookupSource.ASSET, LookupSource.CATALOG_RATES


class Source(StrEnum):
    """Where a rate was found."""

    CATALOG = "CATALOG"
    ASSET = "ASSET"


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
        return in_force(segment, midnight, self.additions).terms

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

    def winner(self, day: date) -> AssetId | None:
        """The pack whose rate holds as `day` begins; None where it is the asset's own."""
        midnight = local_midnight(self.zone, day)
        pack = chosen_pack(self.own_at(midnight), midnight, self.additions)
        return None if pack is None else pack.asset_id


Sold = Mapping[Held, AssetRates | None]
"""What assets cost that are asked about; None for a resource that one of them does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a unit costs, where that was found, and what a quantity comes to if it was asked.

    `asset_id` is the asset or the pack whose rate it is, `version` that of the procedure that made
    the amount.
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
    sold: Sold,
    versions: Versions = SHIPPED_VERSIONS,
    finder: Finder = SHIPPED_FINDER,
) -> Answer:
    """The answer of the first place where `finder` looks and there is one.

    `sold` has every asset that is asked about and exists; one that does not is refused wherever is
    looked.

    A quantity is priced by the version of the rating procedure that is in force: for an asset on
    the day on which its rating period begins, else on the day that is asked for.

    Raises ASSET_NOT_FOUND, `RateNotFound` (RATE_NOT_FOUND), `RatingFailed`.
    """
    if asked.held is not None and asked.held not in sold:
        account_id, asset_id, _ = asked.held
        raise NotFound.of("Asset", f"accounts/{account_id}/assets/{asset_id}")
    day = asked.day or today
    missing: RateNotFound | None = None
    for place in finder.unheld if asked.held is None else finder.places:
        try:
            if place is LISTED:
                found = _in_catalogue(asked, day, rates, versions, finder.parts)
            elif place is OWN:
                found = _own(asked, day, sold, versions)
            else:
                found = _at_target(asked, day, sold, versions)
        except RateNotFound as error:
            missing = error
            continue
        if found is not None:
            return found
    raise _said(missing or _none(asked, day, sold, finder), finder)


def _in_catalogue(
    asked: Asked, day: date, rates: CatalogueRates, versions: Versions, parts: Parts
) -> Answer | None:
    """What the catalogue has, if it is asked for. Raises `RateNotFound`: what comes nearest."""
    question = asked.in_catalogue(day)
    if question is None:
        return None
    found = rates.find(question, parts)
    terms = _used(found.terms, asked)
    rated = _rated(asked, terms, day, versions, OveragePolicy.CHARGE)
    return Answer(terms=terms, is_fixed=found.is_fixed, source=Source.CATALOG, **rated)


def _at_target(_asked: Asked, _day: date, _sold: Sold, _versions: Versions) -> Answer | None:
    """Nothing is agreed for a target yet."""
    return None


def _own(asked: Asked, day: date, sold: Sold, versions: Versions) -> Answer | None:
    """What the asset was sold under, with what was added to it."""
    held = asked.held
    rates = None if held is None else sold[held]
    if held is None or rates is None:
        return None
    terms = rates.on(day, asked.currency_code)
    if terms is None:
        return None
    terms = _used(terms, asked)
    start = day if asked.quantity is None else rates.rated_from(day)
    return Answer(
        terms=terms,
        is_fixed=rates.is_fixed,
        source=Source.ASSET,
        asset_id=rates.winner(day) or held[1],
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


def _said(error: RateNotFound, finder: Finder) -> RateNotFound:
    """The refusal, with where was looked unless that is the usual."""
    if finder.is_usual:
        return error
    text = f"{error.message}; {finder.words} looks in {finder.looked_in} only"
    facts = {"looked_in": finder.looked_in, "discovery_procedure_version": finder.name}
    return RateNotFound(error.reason, text, error.facts | facts)


def _none(asked: Asked, day: date, sold: Sold, finder: Finder) -> RateNotFound:
    """What is missing where the catalogue was not asked, or not looked in."""
    if asked.held is not None and OWN in finder.places:
        return _asset_has_none(asked.held, day, sold[asked.held])
    return RateNotFound(
        "RATE_NOT_FOUND",
        f"no rate for {asked.resource_id} on {day}: nothing is looked in that the question names",
        {
            "usage_resource": asked.resource_id,
            "date": day.isoformat(),
            "missing": Missing.PLACE,
        },
    )


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
