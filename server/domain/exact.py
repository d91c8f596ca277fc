"""Decimal arithmetic that is exact, or raises.

Addition, subtraction, multiplication and comparison run in the context `EXACT`, in which any
rounding or float is an exception. `divide` is the only division; its places and mode are explicit.
Quantities and rates have at most 12 places and 26 integer digits, so that the product of any two of
them fits.
"""

import re
from collections.abc import Callable
from decimal import (
    ROUND_05UP,
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from enum import StrEnum
from functools import cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ZERO = Decimal(0)
PLACES = 12
INTEGER_DIGITS = 26
AMOUNT_PLACES = 24
MAX_CHARACTERS = 40

# 76 digits hold every product of two numbers of 26 + 12 digits.
EXACT = Context(
    prec=76, traps=[Inexact, FloatOperation, InvalidOperation, DivisionByZero, Overflow]
)
# Wide enough that a quotient, kept with ROUND_05UP, can be rounded again without double rounding.
_WIDE = Context(
    prec=240,
    rounding=ROUND_05UP,
    traps=[FloatOperation, InvalidOperation, DivisionByZero, Overflow],
)

_GRAMMAR = re.compile(r"-?(?:0|[1-9][0-9]{0,25})(?:\.[0-9]{1,12})?")
_WELL_FORMED = re.compile(r"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?")


class Rounding(StrEnum):
    """The rule for digits that are cut off."""

    HALF_UP = "HALF_UP"
    HALF_EVEN = "HALF_EVEN"
    UP = "UP"
    DOWN = "DOWN"


_ROUNDINGS = {mode: f"ROUND_{mode}" for mode in Rounding}


class DecimalError(ValueError):
    """A text that is not a valid decimal; `reason` is the reason of the refusal."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` in a context in which any silent rounding, or any float, raises."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        outside = getcontext()
        # Nested calls are frequent, and entering the context again would cost more than the check.
        if outside is EXACT:
            return function(*args, **kwargs)
        setcontext(EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(outside)

    return run


def divide(a: Decimal, b: Decimal, *, places: int, mode: Rounding) -> Decimal:
    """Return `a` ÷ `b` with `places` decimals. This is the only division of the service."""
    return round_to(_WIDE.divide(a, b), places, mode)


def times_ratio(
    value: Decimal, numerator: Decimal, denominator: Decimal, *, places: int, mode: Rounding
) -> Decimal:
    """Return `value` × `numerator` ÷ `denominator` with `places` decimals, rounded once."""
    return divide(_WIDE.multiply(value, numerator), denominator, places=places, mode=mode)


def round_to(value: Decimal, places: int, mode: Rounding = Rounding.HALF_UP) -> Decimal:
    """Return `value` with exactly `places` decimals, rounded once."""
    return value.quantize(_quantum(places), rounding=_ROUNDINGS[mode], context=_WIDE)


@cache
def _quantum(places: int) -> Decimal:
    return Decimal((0, (1,), -places))


def floor_to(value: Decimal, places: int) -> Decimal:
    """Return the largest number with `places` decimals that is not above `value`."""
    return value.quantize(_quantum(places), rounding=ROUND_FLOOR, context=_WIDE)


def truncate(value: Decimal, places: int) -> Decimal:
    """Return `value` without the digits after `places`."""
    return round_to(value, places, Rounding.DOWN)


def parse_decimal(text: str) -> Decimal:
    """Return the decimal of a text: at most 26 digits before the point and 12 after it.

    Raises `DecimalError`: `DECIMAL_RANGE` for more digits before the point, `DECIMAL_SCALE` for
    more after it, `DECIMAL_FORMAT` for everything else, such as exponents, signed zeros and texts
    longer than 40 characters. Nothing is rounded.
    """
    if len(text) > MAX_CHARACTERS or _GRAMMAR.fullmatch(text) is None:
        raise DecimalError(_fault(text))
    value = Decimal(text)
    if not value and text[0] == "-":
        raise DecimalError("DECIMAL_FORMAT")
    return value


def _fault(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        return "DECIMAL_FORMAT"
    match = _WELL_FORMED.fullmatch(text)
    if match is None:
        return "DECIMAL_FORMAT"
    return "DECIMAL_RANGE" if len(match[1]) > INTEGER_DIGITS else "DECIMAL_SCALE"


def decimal_places(value: Decimal) -> int:
    """Return the number of decimals that `value` needs without trailing zeros."""
    _, _, decimals = plain(value).partition(".")
    return len(decimals)


def plain(value: Decimal) -> str:
    """Return the canonical text of a number: no exponent, no trailing zeros, no negative zero."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
