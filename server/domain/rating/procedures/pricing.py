"""The elements that read a line's terms: rates, tiers, attributes, commitments.

Each takes a line as the element before left it. The steps record the origin of each rate.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from server.domain.exact import plain
from server.domain.modeling.units import LIMIT
from server.domain.rating.procedures.elements import Agreed
from server.domain.rating.procedures.flat_amounts import FlatAmount
from server.domain.rating.procedures.state import RatedPart, State, rate_text, too_many_digits
from server.domain.rating.procedures.waterfall import Element, RatingFailed
from server.domain.rating.rates import (
    Adjustment,
    AttributeRow,
    Rate,
    RateTerms,
    Tier,
    TierMode,
    adjust,
    committed_rate,
    is_lower,
    pick,
    priced_by,
)

_NOTES = {
    Agreed.ASSET: "the negotiated rate replaces the catalog's",
    Agreed.TARGET: "the rate agreed for the target replaces the catalog's",
}


_HELD = "the catalog has no rate that the asset could follow: the last one holds"
_WON = "the lowest committed rate goes on beyond the commitment"
_LOST = "another commitment has a rate that is as low or lower"
_NOT_LOWER = "not lower than the rate without it"


def base_rate(state: State) -> None:
    """Set the rate of the catalog, if there is one."""
    terms = state.terms
    if terms.rate is None:
        return
    state.base = terms.rate
    state.set_rate(terms.rate)
    note = _HELD if terms.is_held else ""
    state.add(Element.BASE_RATE, {"entry": terms.base_entry or ""}, rate_text(terms.rate), note)


def negotiated_rate(state: State, order: tuple[Agreed, ...]) -> None:
    """Set the first negotiated rate, if there is one."""
    if state.target is None and state.terms.negotiated_rate is None:
        return
    for agreed in order:
        terms = _agreed(state, agreed)
        rate = None if terms is None else terms.negotiated_rate
        if terms is not None and rate is not None:
            inputs = ({} if state.rate is None else rate_text(state.rate)) | _agreed_on(terms)
            state.base = rate
            state.set_rate(rate)
            state.add(Element.NEGOTIATED_RATE, inputs, rate_text(rate), _NOTES[agreed])
            return


def negotiated_tiers(state: State, order: tuple[Agreed, ...]) -> None:
    """Apply the first negotiated tiers, which replace all tiers of the catalog."""
    if state.target is None and state.terms.negotiated_tiers is None:
        return
    for agreed in order:
        terms = _agreed(state, agreed)
        tiers = None if terms is None else terms.negotiated_tiers
        if terms is None or tiers is None:
            continue
        # Set for an empty list too: tiers that were negotiated away also replace the catalog's.
        state.are_tiers_negotiated = True
        from_where = "negotiated" if agreed is Agreed.ASSET else "target"
        if tiers:
            price = volume if terms.mode is TierMode.VOLUME else graduated
            price(state, terms, tiers, {"tiers": from_where} | _agreed_on(terms))
        return


def catalog_tiers(state: State, mode: TierMode) -> None:
    """Apply the tiers of the catalog, if they have this mode and none were negotiated."""
    terms = state.terms
    if state.are_tiers_negotiated or not terms.tiers or terms.mode is not mode:
        return
    price = volume if mode is TierMode.VOLUME else graduated
    price(state, terms, terms.tiers, {"tiers": "catalog", "entry": terms.tier_entry or ""})


def volume(
    state: State, terms: RateTerms, tiers: tuple[Tier, ...], provenance: dict[str, str]
) -> None:
    """Price all units by the tier that contains the whole quantity."""
    whole = state.tier_quantity
    tier = pick(tiers, terms.bounds, whole)
    inputs = {"tier_quantity": plain(whole), **provenance}
    number = None if tier is None else _number(tiers, tier)
    priced = []
    # Without a rate so far, all units are one part, which only an override can price.
    for part in state.parts or (None,):
        base = None if part is None else part.rate
        units = state.quantity if part is None else part.quantity
        if tier is None:
            note = "outside every tier: the rate itself applies"
            priced.append(RatedPart(units, _fallback(base, whole)))
            texts = inputs
        else:
            note = ""
            priced.append(RatedPart(units, _adjusted(base, tier, terms), number))
            texts = inputs | {"quantity": plain(units)} | _tier_text(tier, number)
        state.add(Element.VOLUME_TIER, texts, _part_text(priced[-1]), note)
    state.parts = tuple(priced)
    state.flat_amounts = _flat_amounts((tier,), is_only=True)


def graduated(
    state: State, terms: RateTerms, tiers: tuple[Tier, ...], provenance: dict[str, str]
) -> None:
    """Price the units in each tier by it. Raises RATING_FAILED if there are several parts."""
    if len(state.parts) > 1:
        raise RatingFailed("RATING_FAILED", "graduated tiers came before; units are priced apart")
    base, before = state.rate, state.before
    end = before + state.quantity
    parts: list[RatedPart] = []
    slices = _slices(tiers, before, end)
    for tier, units in slices:
        inputs = {"quantity": plain(units), **provenance}
        if tier is None:
            part = RatedPart(units, _fallback(base, end))
            note = "outside every tier: the rate itself applies"
        else:
            number = _number(tiers, tier)
            part = RatedPart(units, _adjusted(base, tier, terms), number)
            inputs |= _tier_text(tier, number)
            note = ""
        state.add(Element.GRADUATED_TIER, inputs, _part_text(part), note)
        parts.append(part)
    state.parts = tuple(parts)
    state.flat_amounts = _flat_amounts((tier for tier, _ in slices), is_only=False)


def attribute_adjustment(state: State, rows: tuple[AttributeRow, ...]) -> None:
    """Apply the first row that matches the line's attributes."""
    if not rows and not state.adjustments:
        return
    has = state.attributes
    for row in (*rows, *state.adjustments):
        if all(has.get(name) == value for name, value in row.attributes):
            inputs = dict(row.attributes) | adjustment_text(row.adjustment)
            reprice(state, row.adjustment, Element.ATTRIBUTE_ADJUSTMENT, inputs)
            return


def commitment_rate(state: State) -> None:
    """Apply the lowest rate of the commitments, if it is lower."""
    committed = state.terms.committed
    if not committed:
        return
    used = state.tier_quantity if state.used is None else state.used
    state.parts = tuple(_committed(state, part, used) for part in state.parts)


def reprice(
    state: State,
    adjustment: Adjustment,
    element: Element,
    inputs: dict[str, str],
    note: str = "",
) -> None:
    """Adjust the rate of all units. Raises RATE_NOT_FOUND and the errors of `check_rate`."""
    parts = []
    for part in state.parts or (None,):
        rate = adjust(None if part is None else part.rate, adjustment, terms=state.terms)
        if rate is None:
            raise RatingFailed("RATE_NOT_FOUND", "there is no rate to adjust")
        check_rate(rate)
        before = {} if part is None else rate_text(part.rate)
        state.add(element, before | inputs, rate_text(rate), note)
        kept = RatedPart(state.quantity, rate) if part is None else part
        parts.append(kept._replace(rate=rate))
    state.parts = tuple(parts)


def check_rate(rate: Rate) -> None:
    """Raise RATE_NEGATIVE or AMOUNT_RANGE if a computed rate is not a valid price."""
    if rate.value < 0:
        text = f"the rate would be {plain(rate.value)}; nobody is paid for using something"
        raise RatingFailed("RATE_NEGATIVE", text, {"rate": plain(rate.value)})
    if rate.value >= LIMIT:
        raise too_many_digits()


def rewrite(state: State, values: list[Decimal]) -> None:
    """Replace the value of each part's rate; a line without a rate gets its first one."""
    terms = state.terms
    if not state.parts:
        state.set_rate(Rate(value=values[0], per=terms.per, unit=terms.unit))
    else:
        pairs = zip(state.parts, values, strict=True)
        state.parts = tuple(
            part._replace(rate=replace(part.rate, value=value)) for part, value in pairs
        )
    for part in state.parts:
        check_rate(part.rate)


def adjustment_text(adjustment: Adjustment) -> dict[str, str]:
    """Return an adjustment as steps show it."""
    return {"adjustment": str(adjustment.kind), "value": plain(adjustment.value)}


def _agreed(state: State, agreed: Agreed) -> RateTerms | None:
    """Return the negotiated terms of one side; the line's own terms may be the target's."""
    of_target = state.terms.agreed_on is not None
    if agreed is Agreed.ASSET:
        return None if of_target else state.terms
    return state.terms if of_target and state.target is None else state.target


def _agreed_on(terms: RateTerms) -> dict[str, str]:
    return {} if terms.agreed_on is None else {"agreed_on": str(terms.agreed_on)}


def _committed(state: State, part: RatedPart, used: Decimal) -> RatedPart:
    """Return the units at the lowest rate of the commitments, if lower, with a step for each.

    Of commitments with the same rate, the first one wins.
    """
    rates = [committed_rate(part.rate, terms, used) for terms in state.terms.committed]
    best, winner = part.rate, 0
    for place, rate in enumerate(rates, 1):
        check_rate(rate)
        if is_lower(rate, best):
            best, winner = rate, place
    given = rate_text(part.rate) | {"quantity": plain(part.quantity), "used": plain(used)}
    for place, (terms, rate) in enumerate(zip(state.terms.committed, rates, strict=True), 1):
        inputs = {"commitment": str(terms.commitment or place)} | given | _own_tier(terms, used)
        is_won = place == winner
        outputs = rate_text(rate) | {"won": str(is_won).lower()}
        note = _WON if is_won else _LOST if is_lower(rate, part.rate) else _NOT_LOWER
        state.add(Element.COMMITMENT_RATE, inputs, outputs, note)
    return part._replace(rate=best) if winner else part


def _own_tier(terms: RateTerms, used: Decimal) -> dict[str, str]:
    tier = pick(terms.effective_tiers, terms.bounds, used)
    return {} if tier is None else _tier_text(tier)


def _slices(
    tiers: tuple[Tier, ...], start: Decimal, end: Decimal
) -> list[tuple[Tier | None, Decimal]]:
    """Return the units from `start` to `end` by tier, with None for units outside every tier."""
    slices: list[tuple[Tier | None, Decimal]] = []
    position = start
    for tier in tiers:
        lower = min(tier.lower, end)
        if position < lower:
            slices.append((None, lower - position))
            position = lower
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
    adjusted = priced_by(tier, base, terms)
    if adjusted is None:
        message = "the tier adjusts a rate, and there is none"
        raise RatingFailed("RATE_NOT_FOUND", message, _tier_text(tier))
    check_rate(adjusted)
    return adjusted


def _number(tiers: tuple[Tier, ...], tier: Tier) -> int:
    # By identity: comparing tiers by value would compare all their decimals.
    return next(number for number, own in enumerate(tiers, 1) if own is tier)


def _flat_amounts(entered: Iterable[Tier | None], *, is_only: bool) -> tuple[FlatAmount, ...]:
    """Return the flat amounts of the tiers that a line enters."""
    return tuple(
        FlatAmount(tier.lower, tier.flat, is_only) for tier in entered if tier and tier.flat
    )


def _part_text(part: RatedPart) -> dict[str, str]:
    """Return the rate of units in a tier, and their amount; packages are counted at the end."""
    text = rate_text(part.rate)
    return text if part.rate.is_package else text | {"amount": plain(part.amount)}


def _tier_text(tier: Tier, number: int | None = None) -> dict[str, str]:
    text = {} if number is None else {"tier": str(number)}
    text |= {
        "lower": plain(tier.lower),
        "upper": "" if tier.upper is None else plain(tier.upper),
        "adjustment": tier.adjustment.kind,
        "value": plain(tier.adjustment.value),
    }
    return text | {"flat_amount": plain(tier.flat)} if tier.flat else text
