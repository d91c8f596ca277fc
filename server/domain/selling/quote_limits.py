"""Limits of negotiation: the terms of a quote beyond what the catalog lets a seller agree to.

Discounts are measured where they are greatest: in each tier of the catalog and of what was agreed,
by the rate of a unit and by the flat amount.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

from server.domain.exact import ZERO, Rounding, divide, exact
from server.domain.rating.rates import HUNDRED, AdjustmentKind, Rate, RateTerms, Tier, adjust
from server.domain.selling.quoting import LineInputs
from server.domain.selling.sales import LimitKind, QuoteException, SaleLine

PERCENT_PLACES = 2


@exact
def exceptions(inputs: LineInputs, line: SaleLine, position: int) -> tuple[QuoteException, ...]:
    """Return the terms of a line that go beyond a limit of the catalog."""
    return (*_discounts(inputs, line, position), *_increases(inputs, line, position))


@exact
def greatest_discount(terms: RateTerms) -> Decimal:
    """Return how much less usage costs by the negotiated terms than by the catalog, in percent.

    It is that of the tier in which it is greatest, and 0 if nothing costs less. A tier without a
    rate in the catalog has no discount.
    """
    starts = {ZERO, *(t.lower for t in terms.tiers), *(t.lower for t in terms.effective_tiers)}
    found = [ZERO]
    for start in sorted(starts):
        listed, agreed = _at(terms.tiers, start), _at(terms.effective_tiers, start)
        before = _price(terms.rate, listed, terms)
        after = _price(terms.effective_rate, agreed, terms)
        if before is not None and after is not None:
            # Both for as many units; a quotient could have to be rounded.
            found.append(_less(before.value * after.per, after.value * before.per))
        if listed is not None and listed.flat is not None:
            found.append(_less(listed.flat, (agreed and agreed.flat) or ZERO))
    return max(found)


def _discounts(inputs: LineInputs, line: SaleLine, position: int) -> Iterator[QuoteException]:
    for resource in line.resources:
        listed = inputs.rates.get(resource.resource_id)
        limit = None if listed is None else listed.max_discount_percent
        if limit is None or resource.terms is None:
            continue
        percent = greatest_discount(resource.terms)
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
    """Return the rate in a tier; tiers that only adjust, as of a commitment, adjust one of 100."""
    tiers = (*terms.tiers, *terms.effective_tiers)
    only_adjust = all(t.adjustment.kind is not AdjustmentKind.OVERRIDE for t in tiers)
    if terms.rate is None and terms.negotiated_rate is None and only_adjust:
        rate = Rate(value=HUNDRED, per=terms.per, unit=terms.unit)
    return rate if tier is None else adjust(rate, tier.adjustment, terms=terms)


def _less(before: Decimal, after: Decimal) -> Decimal:
    """Return how much less the second figure is, in percent."""
    return ZERO if before <= after else _percent(before - after, before)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    """Return a part in percent, rounded up; anything is all of nothing."""
    if whole <= 0:
        return HUNDRED
    return divide(part * HUNDRED, whole, places=PERCENT_PLACES, mode=Rounding.UP)
