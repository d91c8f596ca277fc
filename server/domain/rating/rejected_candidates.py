"""Rejected candidates: rates that could have answered a question, and why they did not."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from server.domain.ids import AssetId, RateEntryId, SellingModelId
from server.domain.rating.discovery import Source
from server.domain.rating.rates import Rate


class Why(StrEnum):
    """The reason for a rejection. Reasons of the nearest candidates come first."""

    ASSET_FIRST = "ASSET_FIRST"
    TARGET_FIRST = "TARGET_FIRST"
    PLACE_LATER = "PLACE_LATER"
    NOT_LOOKED_AT = "NOT_LOOKED_AT"
    NEGOTIATED = "NEGOTIATED"
    ADDITION_FIRST = "ADDITION_FIRST"
    ASSET_NEGOTIATED = "ASSET_NEGOTIATED"
    RATE_FIXED = "RATE_FIXED"
    NOT_NEGOTIATED = "NOT_NEGOTIATED"
    STARTED_EARLIER = "STARTED_EARLIER"
    NOT_CHEAPER = "NOT_CHEAPER"
    NOT_LOWEST = "NOT_LOWEST"
    NO_QUANTITY = "NO_QUANTITY"
    ENDS_WITH_COMMITMENT = "ENDS_WITH_COMMITMENT"
    SELLING_MODEL_FIRST = "SELLING_MODEL_FIRST"
    RESOURCE_FIRST = "RESOURCE_FIRST"
    NO_BASE_RATE = "NO_BASE_RATE"
    NOT_FOR_SALE = "NOT_FOR_SALE"
    NOT_IN_FORCE = "NOT_IN_FORCE"
    CARD_NOT_IN_FORCE = "CARD_NOT_IN_FORCE"
    OTHER_SELLING_MODEL = "OTHER_SELLING_MODEL"
    OTHER_CURRENCY = "OTHER_CURRENCY"


WORDS = {
    Why.ASSET_FIRST: "the asset has a rate of its own, which goes before the catalog's",
    Why.TARGET_FIRST: "what was agreed for the target goes before the catalog's",
    Why.PLACE_LATER: "{discovery_version} looks in {place} after the place that has an answer",
    Why.NOT_LOOKED_AT: "{discovery_version} does not look in {place}",
    Why.NEGOTIATED: "a negotiated one replaces it",
    Why.ADDITION_FIRST: "a pack was added, whose rate goes before this one",
    Why.ASSET_NEGOTIATED: "what was negotiated for the asset itself goes before the target's",
    Why.RATE_FIXED: "the asset's rate is fixed; nothing that is agreed for the target changes it",
    Why.NOT_NEGOTIATED: "it was not negotiated, and another in force was",
    Why.STARTED_EARLIER: "another {kind} started later",
    Why.NOT_CHEAPER: "another {kind} that started with it is cheaper, or as cheap and was first",
    Why.NOT_LOWEST: "another commitment, or none, makes the quantity cheaper",
    Why.NO_QUANTITY: "a commitment is compared when a quantity is asked for",
    Why.ENDS_WITH_COMMITMENT: "its policy ends its rate with the committed quantity",
    Why.SELLING_MODEL_FIRST: "it is for all selling models, and one for this selling model exists",
    Why.RESOURCE_FIRST: "it is for all resources, and one for this resource exists",
    Why.NO_BASE_RATE: "it adjusts a base rate for the same number of units, and none applies",
    Why.NOT_FOR_SALE: "what it prices cannot be bought on the day, or under the selling model",
    Why.NOT_IN_FORCE: "it applies {dates}",
    Why.CARD_NOT_IN_FORCE: "its rate card applies {dates}",
    Why.OTHER_SELLING_MODEL: "it is for the selling model {model}",
    Why.OTHER_CURRENCY: "it is in {unit}",
}
RANKS = {why: rank for rank, why in enumerate(Why)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedCandidate:
    """A candidate that did not win: its place, rate and dates, and the reason.

    A candidate of the catalog has an entry; one of an asset or an addition has an asset, and may
    have an entry.
    """

    why: Why
    words: str
    source: Source
    unit: str
    rate: Rate | None
    entry: RateEntryId | None = None
    asset_id: AssetId | None = None
    selling_model_id: SellingModelId | None = None
    start: date | None = None
    end: date | None = None
