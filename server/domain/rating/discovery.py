"""Discovery: the price of a unit, from the first source that has an answer.

By default an asset's own rates come first, with those of its packs and commitments, then the
agreements for the target that it is bound to, then its rates from the catalog at the time of sale.
These compete in the same way as when usage is rated. If the asset has no rate on the day, or none
in the currency of the question, the catalog answers, if the question names a place in it. A missing
rate is an error, never a price of zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypedDict

from server.domain.errors import NotFound, UsageError
from server.domain.ids import (
    AssetId,
    PriceBookId,
    ProductId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.compiled_discovery import SHIPPED_DISCOVERY, CompiledDiscovery
from server.domain.rating.compiled_rating import (
    SHIPPED_VERSIONS,
    RatingVersions,
    VersionKey,
    not_in_force,
)
from server.domain.rating.line_rating import Rated
from server.domain.rating.procedures.elements import LookupSource
from server.domain.rating.procedures.state import Line
from server.domain.rating.rate_index import CatalogRates, Missing, Parts, Question, RateNotFound
from server.domain.rating.rates import RateSegment, RateTerms
from server.domain.rating.sales import NotForSale
from server.domain.rating.sold_rates import (
    AssetRates,
    AssetResourceKey,
    SoldRates,
    TargetRates,
    TargetResourceKey,
)

OWN, TARGET, LISTED = LookupSource.ASSET, LookupSource.TARGET, LookupSource.CATALOG_RATES

RatesByTarget = Mapping[AssetResourceKey | TargetResourceKey, SoldRates | None]
"""The sold rates of resources of assets and targets; None for an unknown resource."""


class Source(StrEnum):
    """The kind of place in which a rate was found."""

    CATALOG = "CATALOG"
    ASSET = "ASSET"
    TARGET = "TARGET"


@dataclass(frozen=True, slots=True)
class DiscoveryQuestion:
    """A question about an asset or a target, about the catalog, or about both.

    Without a day it is about today. A quantity is priced as the overage of a rating period.
    """

    resource_id: ResourceId
    held: AssetResourceKey | TargetResourceKey | None
    price_book_id: PriceBookId | None
    product_id: ProductId | None
    currency_code: str | None
    day: date | None
    quantity: Decimal | None
    selling_model_id: SellingModelId | None = None
    attributes: Mapping[str, str] | None = None

    def in_catalog(self, today: date) -> Question | None:
        """Return the question for the catalog, or None if the question names no place in it."""
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
class Answer:
    """The price of a unit, its source, and the price of the quantity if there was one.

    `asset_id` is the asset or pack that has the rate, or the asset on which it was agreed for the
    target. `version` is the procedure version that computed the amount.
    """

    terms: RateTerms
    is_fixed: bool
    source: Source
    rated: Rated | None = None
    version: VersionKey | None = None
    asset_id: AssetId | None = None


def answer(
    asked: DiscoveryQuestion,
    today: date,
    rates: CatalogRates,
    sold: RatesByTarget,
    versions: RatingVersions = SHIPPED_VERSIONS,
    discovery_version: CompiledDiscovery = SHIPPED_DISCOVERY,
) -> Answer:
    """Return the answer of the first source that `discovery_version` searches and that has one.

    `sold` has every asset and target that exists; one that is missing is refused, whichever sources
    are searched.

    A quantity is priced by the rating version in force: for an asset on the first day of its rating
    period, otherwise on the day of the question.

    Raises ASSET_NOT_FOUND, ACCOUNT_NOT_FOUND, BINDING_TARGET_NOT_FOUND, `RateNotFound`
    (RATE_NOT_FOUND), `RatingFailed`; from the catalog also RESOURCE_INACTIVE and
    SELLING_MODEL_NOT_FOUND.
    """
    if asked.held is not None and asked.held not in sold:
        raise _not_there(asked.held)
    day = asked.day or today
    missing: RateNotFound | NotForSale | NotFound | None = None
    for place in discovery_version.unheld if asked.held is None else discovery_version.places:
        try:
            if place is LISTED:
                found = _in_catalog(asked, day, rates, versions, discovery_version.parts)
            else:
                found = _of_sold(asked, day, sold, versions, discovery_version, place)
        # A later source may still answer. The catalog's error says what is nearest, so it is kept.
        except (RateNotFound, NotForSale, NotFound) as error:
            missing = error
            continue
        if found is not None:
            return found
    if missing is None:
        missing = _nothing_found(asked, day, sold, discovery_version)
    raise _with_sources(missing, discovery_version)


def _in_catalog(
    asked: DiscoveryQuestion,
    day: date,
    rates: CatalogRates,
    versions: RatingVersions,
    parts: Parts,
) -> Answer | None:
    """Return the catalog's answer, or None.

    Raises `RateNotFound` with the nearest candidate, RESOURCE_INACTIVE, SELLING_MODEL_NOT_FOUND.
    """
    question = asked.in_catalog(day)
    if question is None:
        return None
    found = rates.find(question, parts)
    terms = _used(found.terms, asked)
    rated = _rated(asked, terms, day, versions, OveragePolicy.CHARGE)
    return Answer(terms=terms, is_fixed=found.is_fixed, source=Source.CATALOG, **rated)


def _of_sold(
    asked: DiscoveryQuestion,
    day: date,
    sold: RatesByTarget,
    versions: RatingVersions,
    discovery_version: CompiledDiscovery,
    place: LookupSource,
) -> Answer | None:
    """Return the answer from an asset's or a target's sold rates with their additions, or None."""
    rates = None if asked.held is None else sold[asked.held]
    found = None if rates is None else _in_force(rates, asked, day, discovery_version, place)
    if rates is None or found is None or found.terms is None or asked.held is None:
        return None
    terms = _used(found.terms, asked)
    # A period is rated by the version in force on its first day.
    start = day if asked.quantity is None else rates.rated_from(day)
    of_target = isinstance(rates, TargetRates) or terms.agreed_on is not None
    own_id = None if isinstance(asked.held, TargetResourceKey) else asked.held[1]
    return Answer(
        terms=terms,
        is_fixed=isinstance(rates, AssetRates) and rates.is_fixed,
        source=Source.TARGET if of_target else Source.ASSET,
        asset_id=found.sold_with or own_id,
        **_rated(asked, terms, start, versions, found.overage),
    )


def _in_force(
    rates: SoldRates,
    asked: DiscoveryQuestion,
    day: date,
    discovery_version: CompiledDiscovery,
    place: LookupSource,
) -> RateSegment | None:
    """Return the sold segment in force in this source, or None."""
    currency_code = asked.currency_code
    if isinstance(rates, AssetRates):
        if place is OWN:
            return rates.on(day, currency_code, asks_target=discovery_version.asks_target)
        return rates.at_target(day, currency_code)
    if isinstance(rates, TargetRates) and place is TARGET:
        return rates.on(day, currency_code)
    return None


def _used(terms: RateTerms, asked: DiscoveryQuestion) -> RateTerms:
    return terms if asked.attributes is None else terms.used_with(asked.attributes)


class _Priced(TypedDict, total=False):
    """The price of a quantity and the version that computed it; empty without a quantity."""

    rated: Rated
    version: VersionKey


def _rated(
    asked: DiscoveryQuestion,
    terms: RateTerms,
    day: date,
    versions: RatingVersions,
    overage: OveragePolicy,
) -> _Priced:
    """Return the price of a quantity as the overage of a rating period. Raises `RatingFailed`."""
    quantity = asked.quantity
    if quantity is None:
        return {}
    rater = versions.on(day)
    if rater is None:
        raise not_in_force(day)
    line = Line(
        quantity=quantity,
        terms=terms,
        # The quantity of a question stands for the whole overage of a period.
        tier_quantity=quantity,
        overage=overage,
        attributes=asked.attributes or {},
    )
    return {"rated": rater.price(line), "version": rater.name}


def _with_sources(error: UsageError, discovery_version: CompiledDiscovery) -> UsageError:
    """Return the error, with the searched sources unless they are usual or would not matter."""
    if discovery_version.is_usual or not isinstance(error, RateNotFound):
        return error
    text = f"{error.message}; {discovery_version.words} looks in {discovery_version.looked_in} only"
    facts = {
        "looked_in": discovery_version.looked_in,
        "discovery_procedure_version": discovery_version.name,
    }
    return RateNotFound(error.reason, text, error.facts | facts)


def _nothing_found(
    asked: DiscoveryQuestion, day: date, sold: RatesByTarget, discovery_version: CompiledDiscovery
) -> RateNotFound:
    """Return the error if the catalog was not part of the question or was not searched."""
    held, places = asked.held, discovery_version.places
    if isinstance(held, TargetResourceKey) and TARGET in places:
        return _target_has_none(held, day)
    if held is not None and not isinstance(held, TargetResourceKey) and OWN in places:
        return _asset_has_none(held, day, sold[held])
    return RateNotFound(
        "RATE_NOT_FOUND",
        f"no rate for {asked.resource_id} on {day}: no source is searched that the question names",
        {
            "usage_resource": asked.resource_id,
            "date": day.isoformat(),
            "missing": Missing.PLACE,
        },
    )


def _not_there(held: AssetResourceKey | TargetResourceKey) -> NotFound:
    account_id, asset_id, _ = held
    if not isinstance(held, TargetResourceKey):
        return NotFound.of("Asset", f"accounts/{account_id}/assets/{asset_id}")
    name = held.name
    return NotFound.of("BindingTarget" if held.target_id else "Account", name)


def _target_has_none(held: TargetResourceKey, day: date) -> RateNotFound:
    return RateNotFound(
        "RATE_NOT_FOUND",
        f"no rate for {held.resource_id} of {held.name} on {day}: nothing was agreed for it",
        {
            "binding_target": held.name,
            "usage_resource": held.resource_id,
            "date": day.isoformat(),
            "missing": Missing.DATE,
        },
    )


def _asset_has_none(held: AssetResourceKey, day: date, rates: SoldRates | None) -> RateNotFound:
    account_id, asset_id, resource_id = held
    if not isinstance(rates, AssetRates):
        missing, fault = Missing.USAGE_RESOURCE, "it has no such resource"
    elif not rates.stretches:
        missing, fault = Missing.BASE_RATE, "it was sold without a rate"
    else:
        missing, fault = Missing.DATE, "it has no rate on that day, or one in another currency"
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
