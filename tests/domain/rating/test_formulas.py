"""Formulas: what they come to, and what is none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.exact import exact
from server.domain.rating.procedures.elements import BUILT_IN, ValueKind
from server.domain.rating.procedures.formulas import (
    Formula,
    FormulaFailed,
    FormulaFault,
    compile_formula,
)

KNOWN = dict(BUILT_IN) | {"region": ValueKind.TEXT}
HELD = {"net_unit_rate": Decimal("2.5"), "overage_quantity": Decimal(150), "region": "EU"}


def formula(text: str, kind: ValueKind = ValueKind.NUMBER) -> Formula:
    return compile_formula(text, KNOWN, kind)


def value(text: str, kind: ValueKind = ValueKind.NUMBER, **held: object) -> object:
    return exact(formula(text, kind).value)(HELD | held)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("net_unit_rate + 3", "5.5"),
        ("0.1 + 0.2", "0.3"),
        ("net_unit_rate * (1 - 10 / 100)", "2.25"),
        ("1 / 3", "0.333333333333"),
        ("2 / 3", "0.666666666667"),
        ("1.5 / 1000000000000", "0.000000000002"),  # half to even, in the twelfth place
        ("2.5 / 1000000000000", "0.000000000002"),
        ("0 / 7", "0"),
        ("net_unit_rate ** 3", "15.625"),
        ("-net_unit_rate", "-2.5"),
        ("min(net_unit_rate, 2, 7)", "2"),
        ("max(net_unit_rate, 2) + abs(1 - 4)", "5.5"),
        ("floor(net_unit_rate) + ceil(net_unit_rate)", "5"),
        ("floor(0 - net_unit_rate)", "-3"),
        ("ceil(0 - net_unit_rate)", "-2"),
        ("1 if overage_quantity > 100 and region == 'EU' else 2", "1"),
        ("1 if not region != 'EU' or 1 > 2 else 2", "1"),
        ("1 if 100 < overage_quantity <= 150 else 2", "1"),
        ("  7 ", "7"),
    ],
)
def test_a_formula_comes_to(text, result):
    assert value(text) == Decimal(result)


def test_a_condition_holds_or_does_not():
    assert value("overage_quantity > 100", ValueKind.TRUTH) is True
    assert value("overage_quantity > 100", ValueKind.TRUTH, overage_quantity=Decimal(100)) is False


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("net_unit_rate / 0", 17),
        ("1 / (2 - 2)", 6),
        ("10**10**10", 5),
        ("net_unit_rate ** overage_quantity", 18),
        ("2 ** 0.5", 6),
        ("net_unit_rate + price", 17),
        ("  price", 3),
        ("net_unit_rate.real", 1),
        ("region.upper()", 1),
        ("(lambda: 1)()", 1),
        ("[n for n in (1, 2)]", 1),
        ("__import__('os')", 1),
        ("open('x')", 1),
        ("f'{region}'", 1),
        ("region[0]", 1),
        ("region + 1", 1),
        ("region > 'A'", 1),
        ("net_unit_rate == region", 18),
        ("1 if net_unit_rate else 2", 6),
        ("1 > 2", 1),
        ("True", 1),
        ("1e5", 1),
        ("0x10", 1),
        ("1_000", 1),
        ("1.0000000000001", 1),
        ("1" * 27, 1),
        ("9" * 26 + " * " + "9" * 26, 1),
        ("7 % 2", 1),
        ("min(1)", 1),
        ("abs(1, 2)", 1),
        ("min(*net_unit_rate)", 1),
        ("", 1),
        ("+".join("1" * 101), 1),  # 201 parts
        ("-" * 1500 + "1", 1),
        ("1" + " " * 2000, 2001),
    ],
)
def test_what_is_no_formula_is_refused_where_it_stands(text, position):
    with pytest.raises(FormulaFault) as refused:
        formula(text)

    assert refused.value.position == position, refused.value.message


@pytest.mark.parametrize(
    "text", ["1 +", "1 2", "x := 1", "x = 1", "1; 2", "1if 2 > 1else 3", ")", "é"]
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(FormulaFault):
        formula(text)


@pytest.mark.parametrize("text", ["(" * 900 + "1" + ")" * 900, "abs(" * 400 + "1" + ")" * 400])
def test_deep_nests_are_refused_and_not_walked(text):
    with pytest.raises(FormulaFault):
        formula(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1 / (overage_quantity - 150)", "division by zero"),
        ("overage_quantity / 1000000000000000", "too small for 12 decimals"),
        ("net_unit_rate ** 10 * 99999999999999999999999999", "digits"),
        ("net_unit_rate ** 10 * net_unit_rate ** 10 * net_unit_rate ** 10 / 7", "digits"),
    ],
)
def test_a_formula_without_a_value_fails_and_is_never_zero(text, fault):
    with pytest.raises(FormulaFailed, match=fault):
        value(text, net_unit_rate=Decimal("12345678901234567890.5"))


def test_a_formula_says_what_it_reads():
    read = formula("net_unit_rate + (overage_quantity if region == 'EU' else net_unit_rate)").reads

    assert read == ("net_unit_rate", "region", "overage_quantity")


@given(st.text(max_size=40) | st.text("()+-*/. 0123456789ae'\"<=_[]{}:,", max_size=40))
def test_any_text_is_a_formula_or_is_refused_where_it_stands(text):
    position = 1
    try:
        formula(text)
    except FormulaFault as fault:
        position = fault.position

    assert 1 <= position <= max(len(text), 1)


small = st.decimals(-1000, 1000, places=3)


@given(small, small, small)
def test_formulas_compute_what_decimals_do(a, b, c):
    names = {"net_unit_rate": a, "base_rate": b, "tier_quantity": c}
    text = "net_unit_rate * base_rate - (tier_quantity + 0.125) * 2"

    assert exact(formula(text).value)(names) == a * b - (c + Decimal("0.125")) * 2
