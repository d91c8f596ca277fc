"""Limits of negotiation: the terms of a quote beyond what the catalog lets a seller agree to.

Discounts are measured where they are greatest: in each tier of the catalog and of what was agreed,
by the rate of a unit and by the flat amount. Terms that cannot be compared count as 100 % off.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

from server.domain.exact import PLACES, ZERO, Rounding, divide, exact
from server.domain.modeling.policies import OveragePolicy
from server.domain.modeling.resolved import sold_policies
from server.domain.rating.rates import (
    HUNDRED,
    AdjustmentKind,
    Rate,
    RateTerms,
    Tier,
    TierMode,
    priced_by,
)
from server.domain.selling.quoting import LineInputs
from server.domain.selling.sales import LimitKind, QuoteException, SaleLine

PERCENT_PLACES = 2


@exact
def exceptions(inputs: LineInputs, line: SaleLine, position: int) -> tuple[QuoteException, ...]:
    """Return the terms of a line that go beyond a limit of the catalog."""
    return (*_discounts(inputs, line, position), *_increases(inputs, line, position))


@exact
def greatest_discount(terms: RateTerms, *, is_commitment: bool = False) -> Decimal:
    """Return how much less usage costs by the negotiated terms than by the catalog, in percent.

    It is that of the tier in which it is greatest, and 0 if nothing costs less. A tier without a
    rate in the catalog has no discount. The tiers of a commitment without a rate adjust that of its
    anchor, which is not known here.
    """
    is_relative = is_commitment and terms.rate is None
    found = [ZERO]
    for start in _starts(terms):
        listed, agreed = _at(terms.tiers, start), _at(terms.effective_tiers, start)
        if is_relative and not _is_comparable(terms, listed, agreed):
            return HUNDRED
        base = Rate(value=HUNDRED, per=terms.per, unit=terms.unit) if is_relative else None
        before = _price(terms.rate or base, listed, terms)
        after = _price(terms.effective_rate or base, agreed, terms)
        if before is not None and after is None:
            return HUNDRED
        if before is not None and after is not None:
            # Both for as many units; a quotient could have to be rounded.
            found.append(_less(before.value * after.per, after.value * before.per))
        if listed is not None and listed.flat is not None:
            found.append(_less(listed.flat, (agreed and agreed.flat) or ZERO))
    return max(*found, *_discounts_of_mode(terms))


def _starts(terms: RateTerms) -> list[Decimal]:
    tiers = (*terms.tiers, *terms.effective_tiers)
    return sorted({ZERO, *(tier.lower for tier in tiers)})


def _is_comparable(terms: RateTerms, listed: Tier | None, agreed: Tier | None) -> bool:
    """Return whether two adjustments of a rate that is not known can be compared in percent."""
    kinds = {
        AdjustmentKind.PERCENTAGE if t is None else t.adjustment.kind for t in (listed, agreed)
    }
    if terms.negotiated_rate is not None or len(kinds) > 1:
        return False
    if listed is None or agreed is None or AdjustmentKind.AMOUNT not in kinds:
        return True
    return agreed.adjustment.value >= listed.adjustment.value


def _discounts_of_mode(terms: RateTerms) -> Iterator[Decimal]:
    """Yield the discounts of whole quantities, just below and above each bound, in another mode.

    Between two bounds, the discount is greatest at one of them.
    """
    if terms.listed_as is None or terms.listed_as[1] is terms.mode:
        return
    for quantity in _starts(terms)[1:]:
        for is_above in (False, True):
            before = _total(terms, quantity, is_listed=True, is_above=is_above)
            after = _total(terms, quantity, is_listed=False, is_above=is_above)
            if before is not None and after is not None:
                yield _less(before, after)


def _total(
    terms: RateTerms, quantity: Decimal, *, is_listed: bool, is_above: bool
) -> Decimal | None:
    """Return the cost of a quantity at a bound without flat amounts; None without a rate."""
    tiers = terms.tiers if is_listed else terms.effective_tiers
    rate = terms.rate if is_listed else terms.effective_rate
    mode = terms.listed_as[1] if is_listed and terms.listed_as else terms.mode
    inner = [bound for bound in _starts(terms) if bound < quantity]
    if mode is TierMode.VOLUME:
        parts = [(quantity if is_above else inner[-1], quantity)]
    else:
        ends = [*inner[1:], quantity]
        parts = [(start, end - start) for start, end in zip(inner, ends, strict=True)]
    total = ZERO
    for start, units in parts:
        price = _price(rate, _at(tiers, start), terms)
        if price is None:
            return None
        total += divide(price.value * units, price.per, places=PLACES, mode=Rounding.UP)
    return total


def _discounts(inputs: LineInputs, line: SaleLine, position: int) -> Iterator[QuoteException]:
    charged = {
        resource.resource_id
        for resource in inputs.product.resources
        if sold_policies(resource.listed_chain, resource.unit.id).overage is OveragePolicy.CHARGE
    }
    for resource in line.resources:
        listed = inputs.rates.get(resource.resource_id)
        limit = None if listed is None else listed.max_discount_percent
        if limit is None or resource.terms is None:
            continue
        percent = greatest_discount(resource.terms, is_commitment=resource.commitment is not None)
        # By another policy of the line or its target, usage that the catalog charges costs nothing.
        if resource.policies.overage is OveragePolicy.FREE and resource.resource_id in charged:
            percent = HUNDRED
        if percent > limit:
            yield QuoteException(
                line=position,
                resource_id=resource.resource_id,
                kind=LimitKind.DISCOUNT,
                limit=limit,
                percent=percent,
            )


def _increases(inputs: LineInputs, line: SaleLine, position: int) -> Iterator[QuoteException]:
    limits = {
        grant.id: grant.max_increase_percent
        for resource in inputs.product.resources
        for grant in resource.grants
    }
    for resource in line.resources:
        for grant in resource.grants:
            limit = limits.get(grant.product_grant_id)
            if limit is None:
                continue
            found = partial(
                QuoteException, line=position, resource_id=resource.resource_id, limit=limit
            )
            more = max(ZERO, grant.quantity - grant.listed)
            percent = _percent(more, grant.listed) if more else ZERO
            if percent > limit:
                yield found(kind=LimitKind.GRANT_INCREASE, percent=percent)
            # An issue that comes more often or lasts longer is more as well.
            if grant.negotiated is not None and grant.negotiated.has_policies:
                yield found(kind=LimitKind.GRANT_POLICIES, percent=None)


def _at(tiers: tuple[Tier, ...], start: Decimal) -> Tier | None:
    """Return the tier just above a bound, whichever of its bounds are inclusive."""
    return next(
        (t for t in tiers if t.lower <= start and (t.upper is None or start < t.upper)), None
    )


def _price(rate: Rate | None, tier: Tier | None, terms: RateTerms) -> Rate | None:
    """Return the rate in a tier; for a package, that of as many units."""
    return rate if tier is None else priced_by(tier, rate, terms)


def _less(before: Decimal, after: Decimal) -> Decimal:
    """Return how much less the second figure is, in percent."""
    return ZERO if before <= after else _percent(before - after, before)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    """Return a part in percent, rounded up; anything is all of nothing."""
    if whole <= 0:
        return HUNDRED
    return divide(part * HUNDRED, whole, places=PERCENT_PLACES, mode=Rounding.UP)
