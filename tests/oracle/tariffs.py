"""The model's rating: what the overage of each asset and month costs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import ceil

from tests.oracle.figures import ZERO, Usage
from tests.oracle.plans import Terms, Tier, Wallet


def terms_on(wallet: Wallet, usage: Usage) -> Terms:
    """Return the terms in force when usage is drawn."""
    return [one for one in wallet.prices[usage.asset] if one.start <= usage.day][-1]


def rated(
    wallet: Wallet, overages: Iterable[tuple[Usage, Fraction]]
) -> Iterator[tuple[Usage, Fraction]]:
    """Yield what the overage of each usage costs, in the order in which it is rated."""
    months: dict[tuple[int, int], list[tuple[Usage, Fraction]]] = defaultdict(list)
    for usage, overage in overages:
        months[usage.asset, usage.month].append((usage, overage))
    for parts in months.values():
        parts.sort(
            key=lambda part: (terms_on(wallet, part[0]).start, part[0].dimensions, part[0].day)
        )
        month = _Month(sum(overage for _, overage in parts))
        for usage, overage in parts:
            yield usage, month.cost(terms_on(wallet, usage), overage)


class _Month:
    """An asset's month: all its overage, and what was rated, begun and charged so far."""

    def __init__(self, whole: Fraction) -> None:
        self.whole, self.before = whole, ZERO
        self.packages: dict[tuple[Fraction, int], Fraction] = defaultdict(Fraction)
        self.flats: set[int] = set()

    def cost(self, terms: Terms, overage: Fraction) -> Fraction:
        start, self.before = self.before, self.before + overage
        if terms.is_free:
            return ZERO
        if terms.is_due and not self.whole:
            return self._flat(terms, terms.tiers[0])
        cost = ZERO
        for tier, upper in zip(
            terms.tiers, [*(one.lower for one in terms.tiers[1:]), None], strict=True
        ):
            if terms.is_graduated:
                end = self.before if upper is None else min(upper, self.before)
                units = end - max(tier.lower, start)
            else:
                is_picked = tier.lower <= self.whole and (upper is None or self.whole < upper)
                units = overage if is_picked else ZERO
            if units > 0:
                cost += self._units(terms, tier, units) + self._flat(terms, tier)
        return cost

    def _units(self, terms: Terms, tier: Tier, units: Fraction) -> Fraction:
        if tier.package is None:
            return units * tier.rate / terms.per
        key = (tier.rate, tier.package)
        before, self.packages[key] = self.packages[key], self.packages[key] + units
        return (ceil(self.packages[key] / tier.package) - ceil(before / tier.package)) * tier.rate

    def _flat(self, terms: Terms, tier: Tier) -> Fraction:
        """Return a flat amount once: that of each tier, or of the one tier that is picked."""
        is_charged = tier.lower in self.flats if terms.is_graduated else bool(self.flats)
        if is_charged or not tier.flat:
            return ZERO
        self.flats.add(tier.lower)
        return tier.flat
