"""The JSON documents of rate terms, of adjustments by attribute and of waterfalls."""

from server.domain.rating.procedures.waterfall import WaterfallStep
from server.domain.rating.rates import AttributeRow, RateTerms
from server.store.documents import DocumentCodec, JsonCodec

TERMS: DocumentCodec[RateTerms] = DocumentCodec(RateTerms)
"""The documents of `asset_rates.terms`."""

ADJUSTMENTS: DocumentCodec[tuple[AttributeRow, ...]] = DocumentCodec(tuple[AttributeRow, ...])
"""The documents of `rate_card_entries.adjustments`, which is null without adjustments."""

WATERFALL: JsonCodec[tuple[WaterfallStep, ...]] = JsonCodec(tuple[WaterfallStep, ...])
"""The steps of `ratable_summaries.waterfall`, whose figures are texts."""
