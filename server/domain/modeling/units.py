"""Units of measure: conversion within a class.

A unit's factor is the number of default units of its class that one unit equals. `convert` is exact
or raises; `rounded` rounds as the target unit does.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from server.domain.errors import InvalidArgument
from server.domain.exact import (
    INTEGER_DIGITS,
    PLACES,
    Rounding,
    decimal_places,
    divide,
    exact,
    plain,
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
    """One unit: its factor to the default unit, and its scale."""

    id: UnitId
    class_id: UnitClassId
    factor: Decimal
    scale: int
    rounding: Rounding = Rounding.HALF_UP


@exact
def convert(quantity: Decimal, source: Unit, target: Unit) -> Decimal:
    """Return `quantity` converted from `source` to `target`.

    Raises `UNIT_CLASS_MISMATCH` between classes, `UNIT_SCALE` if the result needs more than 12
    places, `DECIMAL_RANGE` if it needs more than 26 digits before the point.
    """
    if source.class_id != target.class_id:
        raise _refusal("UNIT_CLASS_MISMATCH", "is in a unit of another class", source, target)
    in_default_units = quantity * source.factor
    result = divide(in_default_units, target.factor, places=PLACES, mode=Rounding.DOWN)
    if abs(result) >= LIMIT:
        raise _refusal("DECIMAL_RANGE", "is too large after conversion", source, target)
    # Multiplying back shows whether the division was exact.
    if result * target.factor != in_default_units:
        raise _refusal("UNIT_SCALE", "has no exact value after conversion", source, target)
    return result


@exact
def rounded(quantity: Decimal, source: Unit, target: Unit) -> Decimal:
    """Return `quantity` converted from `source` to `target`, rounded to the scale of `target`.

    Raises `UNIT_CLASS_MISMATCH` between classes, `DECIMAL_RANGE` beyond 26 digits.
    """
    if source.class_id != target.class_id:
        raise _refusal("UNIT_CLASS_MISMATCH", "is in a unit of another class", source, target)
    whole = quantity * source.factor
    result = divide(whole, target.factor, places=target.scale, mode=target.rounding)
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
