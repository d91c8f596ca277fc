"""Packages: how many are started, and by which units.

A rate per package costs once for every so many units that are begun. Units of one asset in one
rating period go on in a package that others of them began, whichever line, day or attribute these
had, as long as they are charged the same rate; those that are charged another began none of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from server.domain.exact import ZERO, Rounding, divide
from server.domain.rating.rates import Rate

Packages = dict[Rate, Decimal]
"""How many units each rate per package has priced, of one asset in one rating period."""


class Packaged(NamedTuple):
    """Units that a rate per package priced, after `before` others of the same period."""

    rate: Rate
    quantity: Decimal
    before: Decimal = ZERO

    @property
    def started(self) -> Decimal:
        """How many packages these units began."""
        return self._through(self.before + self.quantity) - self._through(self.before)

    @property
    def amount(self) -> Decimal:
        """What those packages cost."""
        return self.started * self.rate.value

    def _through(self, quantity: Decimal) -> Decimal:
        return divide(quantity, self.rate.per, places=0, mode=Rounding.UP)


def before(packaged: Sequence[Packaged]) -> Packages:
    """How many units each rate had priced before the first of these."""
    return {one.rate: one.before for one in reversed(packaged)}


def counted(
    parts: Iterable[tuple[Decimal, Rate]], priced: Mapping[Rate, Decimal]
) -> tuple[Packaged, ...]:
    """Those of some parts that are priced per package, each after those before it."""
    units = dict(priced)
    found = []
    for quantity, rate in parts:
        if rate.is_package:
            before = units.get(rate, ZERO)
            units[rate] = before + quantity
            found.append(Packaged(rate, quantity, before))
    return tuple(found)
