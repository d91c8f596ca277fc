"""Packages: the number of packages that units begin.

A package rate is charged for every `per` units that are begun. Units of one asset in one rating
period continue a package that others began, whatever their line, day or attributes, while the rate
is the same. Units at another rate do not continue it.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from server.domain.exact import ZERO, Rounding, divide
from server.domain.rating.rates import Rate

Packages = dict[Rate, Decimal]
"""The number of units that each package rate has priced, for one asset in one rating period."""


class Packaged(NamedTuple):
    """Units that a package rate priced, after `before` others of the same period."""

    rate: Rate
    quantity: Decimal
    before: Decimal = ZERO

    @property
    def started(self) -> Decimal:
        """The number of packages that these units began."""
        return self._through(self.before + self.quantity) - self._through(self.before)

    @property
    def amount(self) -> Decimal:
        """The cost of those packages."""
        return self.started * self.rate.value

    def _through(self, quantity: Decimal) -> Decimal:
        return divide(quantity, self.rate.per, places=0, mode=Rounding.UP)


def before(packaged: Sequence[Packaged]) -> Packages:
    """Return the number of units that each rate had priced before the first of these."""
    # Reversed, so that the first part of each rate is the one that remains.
    return {package.rate: package.before for package in reversed(packaged)}


def counted(
    parts: Iterable[tuple[Decimal, Rate, int | None]], priced: Mapping[Rate, Decimal]
) -> tuple[Packaged, ...]:
    """Return the parts that are priced by package, each with the number of units before it."""
    units = dict(priced)
    found = []
    for quantity, rate, _ in parts:
        if rate.is_package:
            before = units.get(rate, ZERO)
            units[rate] = before + quantity
            found.append(Packaged(rate, quantity, before))
    return tuple(found)
