"""Flat amounts: what a tier costs once, in addition to the rate of its units.

The flat amount of a tier is charged once for each asset, resource and rating period, in full, on
the first line that enters the tier. Tiers of which one prices all units charge one flat amount in a
rating period; later usage that reaches another tier charges no second one.
"""

from collections.abc import Set
from decimal import Decimal
from typing import NamedTuple

FlatTiers = set[Decimal]
"""The lower bounds of the tiers whose flat amounts were charged, for one asset and period."""


class FlatAmount(NamedTuple):
    """The flat amount of a tier that units enter; `is_only` if one tier prices all units."""

    lower: Decimal
    amount: Decimal
    is_only: bool


def charged(entered: tuple[FlatAmount, ...], before: Set[Decimal]) -> tuple[FlatAmount, ...]:
    """Return the flat amounts that are due after those of the tiers in `before` were charged."""
    return tuple(
        flat for flat in entered if (not before if flat.is_only else flat.lower not in before)
    )
