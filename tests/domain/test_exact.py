"""Numbers: read strictly, divided in one place, written in one way."""

import re
from decimal import Decimal, FloatOperation, Inexact
from fractions import Fraction
from time import perf_counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.domain.exact import (
    EXACT,
    DecimalError,
    Rounding,
    decimal_places,
    divide,
    exact,
    parse_decimal,
    plain,
    round_to,
    truncate,
)
from tests import strategies

GRAMMAR = re.compile(r"-?(0|[1-9]\d{0,25})(\.\d{1,12})?", re.ASCII)
numbers = strategies.numbers


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "DECIMAL_FORMAT"),
        ("sNaN", "DECIMAL_FORMAT"),
        ("Infinity", "DECIMAL_FORMAT"),
        ("1e5", "DECIMAL_FORMAT"),
        ("1E131072", "DECIMAL_FORMAT"),
        ("1_000", "DECIMAL_FORMAT"),
        (" 1 ", "DECIMAL_FORMAT"),
        ("1\n", "DECIMAL_FORMAT"),
        ("１２", "DECIMAL_FORMAT"),
        ("٣", "DECIMAL_FORMAT"),
        ("+1", "DECIMAL_FORMAT"),
        (".5", "DECIMAL_FORMAT"),
        ("5.", "DECIMAL_FORMAT"),
        ("01", "DECIMAL_FORMAT"),
        ("1,000", "DECIMAL_FORMAT"),
        ("0x10", "DECIMAL_FORMAT"),
        ("", "DECIMAL_FORMAT"),
        ("-", "DECIMAL_FORMAT"),
        ("-0", "DECIMAL_FORMAT"),
        ("-0.0", "DECIMAL_FORMAT"),
        ("9" * 41, "DECIMAL_FORMAT"),
        ("1." + "0" * 13, "DECIMAL_SCALE"),
        ("1" + "0" * 26, "DECIMAL_RANGE"),
        ("-1" + "0" * 26, "DECIMAL_RANGE"),
    ],
)
def test_what_is_not_one_of_our_decimals_is_refused_with_a_reason(text, reason):
    with pytest.raises(DecimalError) as refusal:
        parse_decimal(text)

    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "text", ["0", "7", "-7", "0.5", "-0.000000000001", "9" * 26 + "." + "9" * 12]
)
def test_what_is_one_of_our_decimals_is_kept_to_the_digit(text):
    assert str(parse_decimal(text)) == text or plain(parse_decimal(text)) == text


@given(st.text("0123456789-+.eE_ ٣", max_size=42) | st.from_regex(GRAMMAR, fullmatch=True))
@example("-0.00")
@example("0.0")
def test_the_parser_accepts_exactly_the_grammar(text):
    is_ours = bool(GRAMMAR.fullmatch(text)) and not re.fullmatch(r"-0(\.0+)?", text)

    try:
        value = parse_decimal(text)
    except DecimalError:
        assert not is_ours
    else:
        assert is_ours
        assert value == Decimal(text)


def test_a_megabyte_of_digits_is_refused_at_once():
    text = "9" * 10**6
    start = perf_counter()

    with pytest.raises(DecimalError):
        parse_decimal(text)

    assert perf_counter() - start < 0.05


@given(numbers, numbers)
def test_division_is_rounded_once_and_to_the_nearest(a, b):
    if b == 0:
        return
    quotient = divide(a, b, places=12, mode=Rounding.HALF_EVEN)

    error = abs(Fraction(quotient) - Fraction(a) / Fraction(b))
    assert error <= Fraction(1, 2 * 10**12)


@given(numbers, numbers)
def test_truncation_never_gives_more(a, b):
    if b == 0:
        return
    quotient = divide(a, b, places=3, mode=Rounding.DOWN)

    assert abs(Fraction(quotient)) <= abs(Fraction(a) / Fraction(b))


def test_a_quotient_just_above_a_half_is_not_rounded_twice():
    # 0.5 and a little more, where the little is far behind the last digit kept.
    assert divide(Decimal(10**30 + 1), Decimal(2 * 10**30), places=0, mode=Rounding.HALF_EVEN) == 1
    assert divide(Decimal(1), Decimal(2), places=0, mode=Rounding.HALF_EVEN) == 0


@pytest.mark.parametrize(
    ("mode", "rounded"),
    [
        (Rounding.HALF_UP, "2.35"),
        (Rounding.HALF_EVEN, "2.34"),
        (Rounding.UP, "2.35"),
        (Rounding.DOWN, "2.34"),
    ],
)
def test_each_mode_rounds_a_half_its_own_way(mode, rounded):
    assert plain(round_to(Decimal("2.345"), 2, mode)) == rounded
    assert plain(truncate(Decimal("2.349"), 2)) == "2.34"


def test_a_silent_rounding_or_a_float_raises():
    @exact
    def spoiled(a, b):
        return a + b

    with pytest.raises(Inexact):
        spoiled(Decimal(10) ** 76, Decimal("0.1"))
    with pytest.raises(FloatOperation):
        exact(Decimal)(0.1)


@given(numbers)
def test_a_number_has_one_text(value):
    text, widened = plain(value), EXACT.multiply(value, Decimal("1.000"))

    assert Decimal(text) == value
    assert text == plain(value.normalize(EXACT)) == plain(widened)
    assert "E" not in text
    assert decimal_places(value) <= 12


def test_plain_writes_no_exponent_and_no_negative_zero():
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("-0.00")) == "0"
    assert plain(Decimal(100)) == "100"
    assert plain(Decimal("1.50")) == "1.5"


def test_half_a_cent_is_rounded_up():
    assert round_to(Decimal("1.005"), 2, Rounding.HALF_UP) == Decimal("1.01")
