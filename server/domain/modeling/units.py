"""Units of measure: conversion within a class.

One unit equals `factor` ÷ `divisor` default units of its class. `convert` is exact or raises;
`rounded` rounds as the target unit does; `counted` rounds to 12 places and never refuses.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from server.domain.caches import memoize
from server.domain.errors import InvalidArgument
from server.domain.exact import (
    INTEGER_DIGITS,
    PLACES,
    Rounding,
    decimal_places,
    exact,
    plain,
    times_ratio,
)
from server.domain.ids import UnitClassId, UnitId

# The smallest number with too many digits before the point.
LIMIT = Decimal(10) ** INTEGER_DIGITS


class UnitClassKind(StrEnum):
    """The kind of quantity that a class of units measures."""

    USAGE = "USAGE"
    CURRENCY = "CURRENCY"
    TOKEN = "TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit: its factor and divisor to the default unit, and its scale.

    With a `rounding`, usage in this unit is rounded to the scale once in each rating period.
    """

    id: UnitId
    class_id: UnitClassId
    factor: Decimal
    divisor: Decimal = Decimal(1)
    scale: int
    rounding: Rounding | None = None


class Ratio(NamedTuple):
    """The number of target units in one source unit, as a fraction in lowest terms."""

    numerator: Decimal
    denominator: Decimal


SAME = Ratio(Decimal(1), Decimal(1))


class ScaleRounding(NamedTuple):
    """The rounding of usage to the scale of its unit."""

    scale: int
    mode: Rounding


@memoize(entries=4_096, entry_bytes=1_024)
def ratio(source: Unit, target: Unit) -> Ratio:
    """Return the ratio of two units; `SAME` if they are equal.

    Raises `UNIT_CLASS_MISMATCH` between classes.
    """
    if source.class_id != target.class_id:
        raise _refusal("UNIT_CLASS_MISMATCH", "is in a unit of another class", source, target)
    numerator = Fraction(source.factor) * Fraction(target.divisor)
    found = numerator / (Fraction(source.divisor) * Fraction(target.factor))
    return ratio_of(Decimal(found.numerator), Decimal(found.denominator))


def ratio_of(numerator: Decimal, denominator: Decimal) -> Ratio:
    """Return the ratio of a fraction in lowest terms."""
    return SAME if numerator == denominator else Ratio(numerator, denominator)


def counted(quantity: Decimal, by: Ratio) -> Decimal:
    """Return `quantity` converted by a ratio, to 12 places, half-even. Hot."""
    if by is SAME:
        return quantity
    return times_ratio(quantity, *by, places=PLACES, mode=Rounding.HALF_EVEN)


@exact
def convert(quantity: Decimal, source: Unit, target: Unit) -> Decimal:
    """Return `quantity` converted from `source` to `target`.

    Raises `UNIT_CLASS_MISMATCH` between classes, `UNIT_SCALE` if the result needs more than 12
    places, `DECIMAL_RANGE` if it needs more than 26 digits before the point.
    """
    by = ratio(source, target)
    result = counted(quantity, by)
    if abs(result) >= LIMIT:
        raise _refusal("DECIMAL_RANGE", "is too large after conversion", source, target)
    if Fraction(result) * int(by.denominator) != Fraction(quantity) * int(by.numerator):
        raise _refusal("UNIT_SCALE", "has no exact value after conversion", source, target)
    return result


@exact
def rounded(quantity: Decimal, source: Unit, target: Unit) -> Decimal:
    """Return `quantity` converted from `source` to `target`, rounded to the scale of `target`.

    A unit without a rounding rounds half up.
    Raises `UNIT_CLASS_MISMATCH` between classes, `DECIMAL_RANGE` beyond 26 digits.
    """
    mode = target.rounding or Rounding.HALF_UP
    result = times_ratio(quantity, *ratio(source, target), places=target.scale, mode=mode)
    if abs(result) >= LIMIT:
        raise _refusal("DECIMAL_RANGE", "is too large after conversion", source, target)
    return result


def check_scale(quantity: Decimal, unit: Unit, *, path: str = "quantity") -> None:
    """Raise `UNIT_SCALE` if `quantity` has more decimals than its unit."""
    if decimal_places(quantity) > unit.scale:
        raise InvalidArgument.at(
            path,
            "UNIT_SCALE",
            f"{plain(quantity)} has more than the {unit.scale} decimals of {unit.id}",
            unit=unit.id,
            scale=str(unit.scale),
            quantity=plain(quantity),
        )


def _refusal(reason: str, fault: str, source: Unit, target: Unit) -> InvalidArgument:
    return InvalidArgument.at(
        "quantity",
        reason,
        f"{fault} ({source.id} to {target.id})",
        source=source.id,
        target=target.id,
    )
