"""Decimal arithmetic that is exact, or raises.

Addition, subtraction, multiplication and comparison run in the context `EXACT`, where a rounding
nobody asked for, or a float, is an exception. Division exists in `divide` and nowhere else, with
its places and its mode named. Quantities and rates have at most 12 places and 26 integer digits,
so that the product of any two of them fits.
"""

import re
from collections.abc import Callable
from decimal import (
    ROUND_05UP,
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
    """What happens to the digits that are left out."""

    HALF_UP = "HALF_UP"
    HALF_EVEN = "HALF_EVEN"
    UP = "UP"
    DOWN = "DOWN"


_ROUNDINGS = {mode: f"ROUND_{mode}" for mode in Rounding}


class DecimalError(ValueError):
    """A text that is not one of our decimals; `reason` is the code for the wire."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` where any silent rounding, or any float, raises."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        outside = getcontext()
        if outside is EXACT:
            return function(*args, **kwargs)
        setcontext(EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(outside)

    return run


def divide(a: Decimal, b: Decimal, *, places: int, mode: Rounding) -> Decimal:
    """`a` ÷ `b` with `places` decimals: the only division of the service."""
    return round_to(_WIDE.divide(a, b), places, mode)


def round_to(value: Decimal, places: int, mode: Rounding = Rounding.HALF_UP) -> Decimal:
    """`value` with exactly `places` decimals, rounded once."""
    return value.quantize(_quantum(places), rounding=_ROUNDINGS[mode], context=_WIDE)


@cache
def _quantum(places: int) -> Decimal:
    return Decimal((0, (1,), -places))


def truncate(value: Decimal, places: int) -> Decimal:
    """`value` without the digits after `places`: nobody is given what was not promised."""
    return round_to(value, places, Rounding.DOWN)


def parse_decimal(text: str) -> Decimal:
    """Read a decimal from outside: plain digits, at most 26 before the point and 12 after it.

    Raises `DecimalError`: `DECIMAL_RANGE` for more digits before the point, `DECIMAL_SCALE` for
    more after it, `DECIMAL_FORMAT` for all else, such as exponents, signs of zero and anything
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
    """How many decimals `value` needs, trailing zeros aside."""
    _, _, decimals = plain(value).partition(".")
    return len(decimals)


def plain(value: Decimal) -> str:
    """The one text of a number: no exponent, no trailing zeros, no negative zero."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
