"""Messages of rates, tiers and waterfalls, which sales and catalogs share.

An entry is `card/entry` within the service and has a resource name outside.
"""

from decimal import Decimal
from typing import Any

from usage_management.v1 import types_pb2 as pb

from server.api import names
from server.api.reader import RequestReader
from server.api.values import decimal_pb, enum_pb, optional_decimal_pb
from server.domain.exact import ZERO
from server.domain.ids import RateEntryId, UnitId
from server.domain.rating.line_rating import WaterfallStep
from server.domain.rating.rates import (
    HIGHEST_SURCHARGE,
    HUNDRED,
    ONE,
    Adjustment,
    AdjustmentKind,
    AttributeRow,
    Rate,
    RateParts,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
)
from server.usecases.modeling.currencies import is_currency


def rate_from_reader(reader: RequestReader) -> Rate:
    """Return a rate with a price that is not negative and a positive `per`.

    Adds FIELD_REQUIRED, DECIMAL_*, RATE_NEGATIVE, FACTOR_RANGE, CURRENCY_UNKNOWN.
    """
    return Rate(
        value=_price_from_reader(reader),
        per=per_from_reader(reader, "per"),
        unit=unit_from_reader(reader),
        is_package=reader.message.package_pricing,
    )


def rate_parts_from_reader(reader: RequestReader) -> RateParts:
    """Return the named parts of a negotiated rate; only the price is required.

    Adds the faults of `rate_from_reader`.
    """
    message = reader.message
    return RateParts(
        value=_price_from_reader(reader),
        per=per_from_reader(reader, "per") if reader.has("per") else None,
        unit=unit_from_reader(reader) if message.currency_code or message.token_unit else None,
        is_package=message.package_pricing if reader.has("package_pricing") else None,
    )


def unit_from_reader(reader: RequestReader) -> UnitId:
    """Return the currency or token unit of a price. Adds CURRENCY_*, FIELD_REQUIRED."""
    token = reader.optional_name("token_unit", names.UNIT)
    if token is None:
        return UnitId(reader.currency("currency_code"))
    if is_currency(token[0]):
        reader.fault("token_unit", "CURRENCY_MISMATCH", "is a currency; set currency_code instead")
    return UnitId(token[0])


def unit_pb(unit: str) -> dict[str, Any]:
    """Return the field with the currency or token unit of a price."""
    return {"currency_code": unit} if is_currency(unit) else {"token_unit": names.UNIT.of(unit)}


def per_from_reader(reader: RequestReader, name: str) -> Decimal:
    """Return the number of units of a price, 1 by default. Adds DECIMAL_*, FACTOR_RANGE."""
    per = reader.decimal(name, default=ONE)
    if per > ZERO:
        return per
    reader.fault(name, "FACTOR_RANGE", "must be greater than zero")
    return ONE


def tiers_from_reader(
    reader: RequestReader,
) -> tuple[TierBounds | None, TierMode | None, tuple[Tier, ...]]:
    """Return bounds, mode and tiers, each valid by itself; None for unnamed bounds or mode.

    `server.domain.rates.check_tiers` checks that tiers continue each other, because it needs the
    unit's scale. Adds FIELD_REQUIRED, DECIMAL_*, RATE_NEGATIVE, PERCENT_RANGE, FACTOR_RANGE.
    """
    bounds = reader.optional_choice("bounds", TierBounds)
    mode = reader.optional_choice("mode", TierMode)
    return bounds, mode, tuple(_tier_from_reader(tier) for tier in reader.subs("tiers"))


def terms_to_pb(terms: RateTerms, *, is_fixed: bool = False) -> pb.RateTerms:
    """Return terms with the negotiated rate and tiers, if any, else those of the catalog."""
    rate, tiers = terms.effective_rate, terms.effective_tiers
    return pb.RateTerms(
        rate=None if rate is None else rate_to_pb(rate),
        tiers=tiers_to_pb(tiers, terms.bounds, terms.mode) if tiers else None,
        base_entry=entry_name(terms.base_entry),
        tier_entry=entry_name(terms.tier_entry),
        rate_negotiated=terms.negotiated_rate is not None,
        tiers_negotiated=terms.negotiated_tiers is not None,
        catalog_rate=_listed_rate(terms),
        catalog_tiers=_listed_tiers(terms),
        non_negotiable=is_fixed,
        adjustments=map(attribute_row_to_pb, terms.adjustments),
        attribute_entry=entry_name(terms.attribute_entry),
        attributes=terms.attributes,
        custom_fields=terms.effective_fields,
        catalog_custom_fields=terms.custom_fields if terms.negotiated_fields else {},
        catalog_gap=terms.is_held,
    )


def _listed_rate(terms: RateTerms) -> pb.Rate | None:
    if terms.negotiated_rate is None or terms.rate is None:
        return None
    return rate_to_pb(terms.rate)


def _listed_tiers(terms: RateTerms) -> pb.RateTiers | None:
    if terms.negotiated_tiers is None or not terms.tiers:
        return None
    bounds, mode = terms.listed_as or (terms.bounds, terms.mode)
    return tiers_to_pb(terms.tiers, bounds, mode)


def rate_to_pb(rate: Rate) -> pb.Rate:
    """Return a rate."""
    return pb.Rate(
        value=decimal_pb(rate.value),
        per=decimal_pb(rate.per),
        package_pricing=rate.is_package,
        **unit_pb(rate.unit),
    )


def tiers_to_pb(tiers: tuple[Tier, ...], bounds: TierBounds, mode: TierMode) -> pb.RateTiers:
    """Return tiers with their bounds and mode."""
    return pb.RateTiers(
        bounds=enum_pb(pb.RateTiers.Bounds, bounds),
        mode=enum_pb(pb.RateTiers.Mode, mode),
        tiers=[_tier_to_pb(tier) for tier in tiers],
    )


def step_to_pb(step: WaterfallStep) -> pb.WaterfallStep:
    """Return one step of a waterfall."""
    return pb.WaterfallStep(
        sequence=step.sequence,
        element=enum_pb(pb.WaterfallStep.Element, step.element),
        inputs=step.inputs,
        outputs=step.outputs,
        note=step.note,
    )


def adjustment_from_reader(reader: RequestReader) -> Adjustment:
    """Return an adjustment.

    Adds FIELD_REQUIRED, DECIMAL_*, RATE_NEGATIVE, PERCENT_RANGE.
    """
    kind, value = reader.choice("kind", AdjustmentKind), reader.decimal("value")
    if kind is AdjustmentKind.OVERRIDE and value < ZERO:
        reader.fault("value", "RATE_NEGATIVE", "a rate must not be negative")
    if kind is AdjustmentKind.PERCENTAGE:
        check_percentage(reader, "value", value)
    return Adjustment(kind=kind, value=value)


def check_percentage(reader: RequestReader, name: str, value: Decimal) -> None:
    """Add PERCENT_RANGE for a discount, or a surcharge below zero, that is out of its range."""
    if not HIGHEST_SURCHARGE <= value <= HUNDRED:
        fault = f"must be from {HIGHEST_SURCHARGE} to 100; a surcharge is negative"
        reader.fault(name, "PERCENT_RANGE", fault)


def adjustment_to_pb(adjustment: Adjustment) -> pb.RateAdjustment:
    """Return an adjustment."""
    return pb.RateAdjustment(
        kind=enum_pb(pb.RateAdjustment.Kind, adjustment.kind),
        value=decimal_pb(adjustment.value),
    )


def attribute_row_from_reader(reader: RequestReader) -> AttributeRow:
    """Return an adjustment by attributes.

    Adds LABELS_INVALID and the faults of an adjustment.
    """
    return AttributeRow(
        attributes=tuple(sorted(reader.labels("attributes").items())),
        adjustment=adjustment_from_reader(reader.sub("adjustment")),
    )


def attribute_row_to_pb(row: AttributeRow) -> pb.AttributeRow:
    """Return an adjustment by attributes."""
    return pb.AttributeRow(
        attributes=dict(row.attributes), adjustment=adjustment_to_pb(row.adjustment)
    )


def _price_from_reader(reader: RequestReader) -> Decimal:
    value = reader.decimal("value")
    if value < ZERO:
        reader.fault("value", "RATE_NEGATIVE", "must not be negative")
    return value


def _tier_from_reader(reader: RequestReader) -> Tier:
    flat, package = reader.optional_decimal("flat_amount"), reader.optional_decimal("package_size")
    if flat is not None and flat < ZERO:
        reader.fault("flat_amount", "RATE_NEGATIVE", "must not be negative")
    if package is not None and package <= ZERO:
        reader.fault("package_size", "FACTOR_RANGE", "must be greater than zero")
    return Tier(
        lower=reader.decimal("lower", default=ZERO),
        upper=reader.optional_decimal("upper"),
        adjustment=adjustment_from_reader(reader.sub("adjustment")),
        flat=flat,
        package=package,
        is_flat_due=reader.message.due_without_usage,
    )


def _tier_to_pb(tier: Tier) -> pb.RateTier:
    return pb.RateTier(
        lower=decimal_pb(tier.lower),
        upper=optional_decimal_pb(tier.upper),
        adjustment=adjustment_to_pb(tier.adjustment),
        flat_amount=optional_decimal_pb(tier.flat),
        package_size=optional_decimal_pb(tier.package),
        due_without_usage=tier.is_flat_due,
    )


def entry_name(entry_id: RateEntryId | None) -> str:
    """Return the resource name of an entry; empty for None."""
    return "" if entry_id is None else names.RATE_ENTRY.of(*entry_id.split("/"))
