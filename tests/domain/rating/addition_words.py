"""Packs and commitments that add to the rates of an asset."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from server.domain.ids import AssetId, derive
from server.domain.rating.additions import Addition
from server.domain.rating.rates import Rate, RateTerms
from tests.strategies import BASE, USD


def day(month, number=1):
    return datetime(2024, month, number, tzinfo=UTC)


def pack(name, price, span, commitment=None, unit=USD, *, is_negotiated=False):
    rate = Rate(value=Decimal(price), unit=unit)
    own = RateTerms(unit=unit, rate=rate, negotiated_rate=rate if is_negotiated else None)
    asset_id, (start, end) = AssetId(derive(BASE, "pack", name)), span
    return Addition(asset_id=asset_id, start=start, end=end, terms=own, commitment=commitment)


def agreed(name, price, span, unit=USD, **terms):
    made = pack(name, price, span, unit=unit, is_negotiated=True)
    return replace(made, is_agreed=True, terms=replace(made.terms, **terms))
