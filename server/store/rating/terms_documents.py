"""The JSON documents of rate terms and of adjustments by attribute.

Decimals are plain text, because JSON numbers are not exact.
"""

from decimal import Decimal

from server.domain.exact import parse_decimal, plain
from server.domain.ids import (
    RateEntryId,
    UnitId,
)
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    AttributeRow,
    Rate,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
)
from server.store.documents import VERSION, Document, check_version


def terms_to_doc(terms: RateTerms) -> Document:
    """Return the document of rate terms for `asset_rates.terms` and sale lines."""
    negotiated = terms.negotiated_tiers
    return {
        "v": VERSION,
        "unit": terms.unit,
        "per": plain(terms.per),
        "rate": _optional_rate_to_doc(terms.rate),
        "tiers": _tiers_to_doc(terms.tiers),
        "bounds": terms.bounds.value,
        "mode": terms.mode.value,
        "base_entry": terms.base_entry,
        "tier_entry": terms.tier_entry,
        "negotiated_rate": _optional_rate_to_doc(terms.negotiated_rate),
        "negotiated_tiers": None if negotiated is None else _tiers_to_doc(negotiated),
        "adjustments": _rows_to_doc(terms.adjustments),
        "attribute_entry": terms.attribute_entry,
        "attributes": dict(terms.attributes),
    }


def terms_from_doc(doc: Document) -> RateTerms:
    """Return the rate terms of a document."""
    check_version(doc)
    unit = UnitId(doc["unit"])
    negotiated = doc["negotiated_tiers"]
    return RateTerms(
        unit=unit,
        per=parse_decimal(doc["per"]),
        rate=_optional_rate_from_doc(doc["rate"], unit),
        tiers=_tiers_from_doc(doc["tiers"]),
        bounds=TierBounds(doc["bounds"]),
        mode=TierMode(doc["mode"]),
        base_entry=_optional_entry(doc["base_entry"]),
        tier_entry=_optional_entry(doc["tier_entry"]),
        negotiated_rate=_optional_rate_from_doc(doc["negotiated_rate"], unit),
        negotiated_tiers=None if negotiated is None else _tiers_from_doc(negotiated),
        adjustments=_rows_from_doc(doc["adjustments"]),
        attribute_entry=_optional_entry(doc["attribute_entry"]),
        attributes=doc["attributes"],
    )


def adjustments_to_doc(rows: tuple[AttributeRow, ...]) -> Document | None:
    """Return the document for `rate_card_entries.adjustments`; None without adjustments."""
    return {"v": VERSION, "rows": _rows_to_doc(rows)} if rows else None


def adjustments_from_doc(doc: Document | None) -> tuple[AttributeRow, ...]:
    """Return the adjustments by attribute of a document."""
    if doc is None:
        return ()
    check_version(doc)
    return _rows_from_doc(doc["rows"])


def _optional_rate_to_doc(rate: Rate | None) -> Document | None:
    if rate is None:
        return None
    return {"value": plain(rate.value), "per": plain(rate.per), "package": rate.is_package}


def _optional_rate_from_doc(doc: Document | None, unit: UnitId) -> Rate | None:
    if doc is None:
        return None
    return Rate(
        value=parse_decimal(doc["value"]),
        per=parse_decimal(doc["per"]),
        unit=unit,
        is_package=doc["package"],
    )


def _tiers_to_doc(tiers: tuple[Tier, ...]) -> list[Document]:
    return [
        {
            "lower": plain(tier.lower),
            "upper": None if tier.upper is None else plain(tier.upper),
            "kind": tier.adjustment.kind.value,
            "value": plain(tier.adjustment.value),
        }
        for tier in tiers
    ]


def _tiers_from_doc(docs: list[Document]) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            lower=parse_decimal(doc["lower"]),
            upper=_optional_decimal(doc["upper"]),
            adjustment=Adjustment(
                kind=AdjustmentKind(doc["kind"]), value=parse_decimal(doc["value"])
            ),
        )
        for doc in docs
    )


def _rows_to_doc(rows: tuple[AttributeRow, ...]) -> list[Document]:
    return [
        {
            "attributes": dict(row.attributes),
            "kind": row.adjustment.kind.value,
            "value": plain(row.adjustment.value),
        }
        for row in rows
    ]


def _rows_from_doc(docs: list[Document]) -> tuple[AttributeRow, ...]:
    return tuple(
        AttributeRow(
            attributes=tuple(sorted(doc["attributes"].items())),
            adjustment=Adjustment(
                kind=AdjustmentKind(doc["kind"]), value=parse_decimal(doc["value"])
            ),
        )
        for doc in docs
    )


def _optional_decimal(text: str | None) -> Decimal | None:
    return None if text is None else parse_decimal(text)


def _optional_entry(text: str | None) -> RateEntryId | None:
    return None if text is None else RateEntryId(text)
