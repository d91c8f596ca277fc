"""Rating: what a quantity costs, with every step that led there.

Amounts keep 24 places and are rounded to money elsewhere, once. The net unit rate is for display;
no amount is made from it. A quantity that no rate covers is refused, never priced at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, Inexact, InvalidOperation
from enum import StrEnum

from server.domain.errors import FailedPrecondition
from server.domain.exact import (
    AMOUNT_PLACES,
    PLACES,
    ZERO,
    Rounding,
    divide,
    exact,
    plain,
)
from server.domain.policies import OveragePolicy
from server.domain.rates import (
    Rate,
    RateTerms,
    Tier,
    TierMode,
    adjust,
    committed_rate,
    is_lower,
    pick,
)


class RatingFailed(FailedPrecondition):
    """This quantity cannot be priced under these terms."""


class Element(StrEnum):
    """The kinds of step."""

    OVERAGE_POLICY = "OVERAGE_POLICY"
    BASE_RATE = "BASE_RATE"
    NEGOTIATED_RATE = "NEGOTIATED_RATE"
    VOLUME_TIER = "VOLUME_TIER"
    GRADUATED_TIER = "GRADUATED_TIER"
    COMMITMENT_RATE = "COMMITMENT_RATE"
    AMOUNT = "AMOUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the waterfall."""

    sequence: int
    element: Element
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """An amount in the terms' unit, and how it came about."""

    amount: Decimal
    net_unit_rate: Decimal
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the units, the rate that prices them, and how many it priced before them."""

    quantity: Decimal
    rate: Rate
    before: Decimal = ZERO


@dataclass(slots=True)
class _Waterfall:
    """The steps taken so far."""

    steps: list[Step] = field(default_factory=list)

    def add(
        self,
        element: Element,
        inputs: dict[str, str],
        outputs: dict[str, str],
        note: str = "",
    ) -> None:
        sequence = len(self.steps) + 1
        self.steps.append(
            Step(
                sequence=sequence,
                element=element,
                inputs=inputs,
                outputs=outputs,
                note=note,
            )
        )


@exact
def rate(
    quantity: Decimal,
    terms: RateTerms | None,
    *,
    tier_quantity: Decimal,
    overage: OveragePolicy = OveragePolicy.CHARGE,
    before: Decimal = ZERO,
    used: Decimal | None = None,
) -> Rated:
    """Price `quantity` units.

    VOLUME tiers are picked by `tier_quantity`, the whole of which these units may be a part.
    GRADUATED tiers price the units after the first `before`. Units outside every tier fall back to
    the rate itself. The tiers of commitments are picked by all that is `used`, granted or not.

    Raises `RatingFailed`: `RATE_NOT_FOUND` without any rate, `NO_TIER_FOR_QUANTITY` outside every
    tier and without a rate to fall back to, `AMOUNT_RANGE` when the result has too many digits.
    """
    assert min(quantity, before) >= 0, (quantity, before)
    waterfall = _Waterfall()
    if quantity == 0 or overage is OveragePolicy.FREE:
        return _unpriced(quantity, overage, waterfall)
    if terms is None or (terms.effective_rate is None and not terms.effective_tiers):
        raise RatingFailed("RATE_NOT_FOUND", f"no rate for {plain(quantity)} units")
    try:
        parts = _parts(quantity, terms, tier_quantity, before, waterfall)
        whole = tier_quantity if used is None else used
        parts = tuple(_committed(part, terms, whole, waterfall) for part in parts)
        amounts = [_amount(part) for part in parts]
        amount = sum(amounts, ZERO)
    except (Inexact, InvalidOperation) as error:
        raise RatingFailed("AMOUNT_RANGE", "the amount has more digits than we keep") from error
    net = _net_unit_rate(parts, amount, quantity)
    waterfall.add(
        Element.AMOUNT,
        {
            "quantity": plain(quantity),
            "parts": " + ".join(plain(part) for part in amounts),
        },
        {"amount": plain(amount), "net_unit_rate": plain(net), "unit": terms.unit},
    )
    return Rated(amount=amount, net_unit_rate=net, steps=tuple(waterfall.steps))


def _unpriced(quantity: Decimal, overage: OveragePolicy, waterfall: _Waterfall) -> Rated:
    if overage is OveragePolicy.FREE:
        note = "usage beyond the grants is counted and not charged"
        waterfall.add(Element.OVERAGE_POLICY, {"policy": overage}, {"chargeable": "0"}, note)
    note = "nothing to charge" if quantity == 0 else ""
    waterfall.add(Element.AMOUNT, {"quantity": plain(quantity)}, {"amount": "0"}, note)
    return Rated(amount=ZERO, net_unit_rate=ZERO, steps=tuple(waterfall.steps))


def _parts(
    quantity: Decimal,
    terms: RateTerms,
    whole: Decimal,
    before: Decimal,
    waterfall: _Waterfall,
) -> tuple[_Part, ...]:
    base = _base(terms, waterfall)
    if not terms.effective_tiers:
        assert base is not None, terms
        return (_Part(quantity, base, before),)
    if terms.mode is TierMode.VOLUME:
        return (_Part(quantity, _volume(terms, base, whole, waterfall), before),)
    return _graduated(quantity, terms, base, before, waterfall)


def _committed(part: _Part, terms: RateTerms, used: Decimal, waterfall: _Waterfall) -> _Part:
    """The units at the lowest rate of the commitments, if that is lower."""
    best = part.rate
    for committed in terms.committed:
        rate_ = committed_rate(part.rate, committed, used)
        if is_lower(rate_, best):
            best = rate_
    if best is part.rate:
        return part
    inputs = _text(part.rate) | {"quantity": plain(part.quantity), "used": plain(used)}
    note = "the lowest committed rate goes on beyond the commitment"
    waterfall.add(Element.COMMITMENT_RATE, inputs, _text(best), note)
    return _Part(part.quantity, best, part.before)


def _base(terms: RateTerms, waterfall: _Waterfall) -> Rate | None:
    if terms.rate is not None:
        inputs = {"entry": terms.base_entry or ""}
        waterfall.add(Element.BASE_RATE, inputs, _text(terms.rate))
    if terms.negotiated_rate is not None:
        inputs = {} if terms.rate is None else _text(terms.rate)
        note = "the negotiated rate replaces the catalogue's"
        waterfall.add(Element.NEGOTIATED_RATE, inputs, _text(terms.negotiated_rate), note)
    return terms.effective_rate


def _volume(terms: RateTerms, base: Rate | None, whole: Decimal, waterfall: _Waterfall) -> Rate:
    tier = pick(terms.effective_tiers, terms.bounds, whole)
    inputs = {"tier_quantity": plain(whole), **_provenance(terms)}
    if tier is None:
        rate_ = _fallback(base, whole)
        note = "outside every tier: the rate itself applies"
        waterfall.add(Element.VOLUME_TIER, inputs, _text(rate_), note)
        return rate_
    rate_ = _adjusted(base, tier, terms)
    waterfall.add(Element.VOLUME_TIER, inputs | _tier_text(tier), _text(rate_))
    return rate_


def _graduated(
    quantity: Decimal,
    terms: RateTerms,
    base: Rate | None,
    before: Decimal,
    waterfall: _Waterfall,
) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    provenance = _provenance(terms)
    position = before
    for tier, units in _slices(terms.effective_tiers, before, before + quantity):
        within = position - (ZERO if tier is None else tier.lower)
        position += units
        inputs = {"quantity": plain(units), **provenance}
        if tier is None:
            part = _Part(units, _fallback(base, before + quantity), within)
            note = "outside every tier: the rate itself applies"
        else:
            part = _Part(units, _adjusted(base, tier, terms), within)
            inputs |= _tier_text(tier)
            note = ""
        outputs = _text(part.rate) | {"amount": plain(_amount(part))}
        waterfall.add(Element.GRADUATED_TIER, inputs, outputs, note)
        parts.append(part)
    return tuple(parts)


def _slices(
    tiers: tuple[Tier, ...], start: Decimal, end: Decimal
) -> list[tuple[Tier | None, Decimal]]:
    """The units from `start` to `end` by tier; those of no tier stand with `None`."""
    slices: list[tuple[Tier | None, Decimal]] = []
    position = start
    for tier in tiers:
        if position < min(tier.lower, end):
            slices.append((None, min(tier.lower, end) - position))
            position = min(tier.lower, end)
        upper = end if tier.upper is None else min(tier.upper, end)
        if position < upper:
            slices.append((tier, upper - position))
            position = upper
    if position < end:
        slices.append((None, end - position))
    return slices


def _fallback(base: Rate | None, quantity: Decimal) -> Rate:
    if base is None:
        raise RatingFailed(
            "NO_TIER_FOR_QUANTITY",
            f"no tier holds {plain(quantity)} and there is no rate to fall back to",
            {"quantity": plain(quantity)},
        )
    return base


def _adjusted(base: Rate | None, tier: Tier, terms: RateTerms) -> Rate:
    adjusted = adjust(base, tier.adjustment, terms=terms)
    if adjusted is None:
        message = "the tier adjusts a rate, and there is none"
        raise RatingFailed("RATE_NOT_FOUND", message, _tier_text(tier))
    return adjusted


def _amount(part: _Part) -> Decimal:
    if part.rate.is_package:
        return (_blocks(part, part.before + part.quantity) - _blocks(part, part.before)) * (
            part.rate.value
        )
    product = part.quantity * part.rate.value
    return divide(product, part.rate.per, places=AMOUNT_PLACES, mode=Rounding.HALF_EVEN)


def _blocks(part: _Part, quantity: Decimal) -> Decimal:
    """How many blocks are started by so many units."""
    return divide(quantity, part.rate.per, places=0, mode=Rounding.UP)


def _net_unit_rate(parts: tuple[_Part, ...], amount: Decimal, quantity: Decimal) -> Decimal:
    if len(parts) == 1 and not parts[0].rate.is_package:
        only = parts[0].rate
        return divide(only.value, only.per, places=PLACES, mode=Rounding.HALF_EVEN)
    return divide(amount, quantity, places=PLACES, mode=Rounding.HALF_EVEN)


def _provenance(terms: RateTerms) -> dict[str, str]:
    if terms.negotiated_tiers is not None:
        return {"tiers": "negotiated"}
    return {"tiers": "catalogue", "entry": terms.tier_entry or ""}


def _text(rate_: Rate) -> dict[str, str]:
    text = {"rate": plain(rate_.value), "per": plain(rate_.per), "unit": rate_.unit}
    return text | {"package": "1"} if rate_.is_package else text


def _tier_text(tier: Tier) -> dict[str, str]:
    return {
        "lower": plain(tier.lower),
        "upper": "" if tier.upper is None else plain(tier.upper),
        "adjustment": tier.adjustment.kind,
        "value": plain(tier.adjustment.value),
    }
