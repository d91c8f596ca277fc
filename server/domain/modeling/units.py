"""Units of measure: conversion within a class, exact or refused.

A unit's factor says how many of its class's default unit it is; nothing here rounds.
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

LIMIT = Decimal(10) ** INTEGER_DIGITS


class UnitClassKind(StrEnum):
    """What a class of units measures."""

    USAGE = "USAGE"
    CURRENCY = "CURRENCY"
    TOKEN = "TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitClassKey:
    """Units that convert into each other."""

    id: UnitClassId
    kind: UnitClassKind
    default_unit_id: UnitId


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit: how many default units it is, and how finely it is counted."""

    id: UnitId
    class_id: UnitClassId
    factor: Decimal
    scale: int
    rounding: Rounding = Rounding.HALF_UP


@exact
def convert(quantity: Decimal, source: Unit, target: Unit) -> Decimal:
    """`quantity`, given in `source`, in `target`.

    Raises `UNIT_CLASS_MISMATCH` between classes, `UNIT_SCALE` when the result needs more than 12
    places, `DECIMAL_RANGE` when it needs more than 26 digits before the point.
    """
    if source.class_id != target.class_id:
        raise _refusal("UNIT_CLASS_MISMATCH", "is in a unit of another class", source, target)
    in_default_units = quantity * source.factor
    result = divide(in_default_units, target.factor, places=PLACES, mode=Rounding.DOWN)
    if abs(result) >= LIMIT:
        raise _refusal("DECIMAL_RANGE", "is too large after conversion", source, target)
    if result * target.factor != in_default_units:
        raise _refusal("UNIT_SCALE", "has no exact value after conversion", source, target)
    return result


@exact
def rounded(quantity: Decimal, source: Unit, target: Unit) -> Decimal:
    """`quantity`, given in `source`, in `target`, rounded as that is counted.

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
    """Raise `UNIT_SCALE` if `quantity` is finer than its unit is counted."""
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
