"""Units convert within their class, exactly or not at all."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import InvalidArgument
from server.domain.ids import UnitClassId, UnitId
from server.domain.modeling.units import SAME, Unit, check_scale, convert, counted, ratio
from tests import strategies


def unit(name, factor, class_id="mass", scale=3, divisor="1"):
    return Unit(
        id=UnitId(name),
        class_id=UnitClassId(class_id),
        factor=Decimal(factor),
        divisor=Decimal(divisor),
        scale=scale,
    )


POUND, KILOGRAM, GRAM = unit("lb", "1"), unit("kg", "2.2"), unit("g", "0.0022")
THIRD = unit("third", "3")


def test_a_kilogram_is_two_point_two_pounds():
    assert convert(Decimal(10), KILOGRAM, POUND) == 22
    assert convert(Decimal(22), POUND, KILOGRAM) == 10
    assert convert(Decimal(1), KILOGRAM, GRAM) == 1000


@pytest.mark.parametrize(
    ("quantity", "source", "target", "reason"),
    [
        (Decimal(1), POUND, unit("min", "1", "time"), "UNIT_CLASS_MISMATCH"),
        (Decimal(1), POUND, THIRD, "UNIT_SCALE"),
        (Decimal("0.000000000001"), GRAM, POUND, "UNIT_SCALE"),
        (Decimal(10) ** 25, KILOGRAM, GRAM, "DECIMAL_RANGE"),
    ],
)
def test_what_has_no_exact_value_is_refused(quantity, source, target, reason):
    with pytest.raises(InvalidArgument) as refusal:
        convert(quantity, source, target)

    assert refusal.value.reason == reason


@given(strategies.quantities())
def test_there_and_back_is_the_same(quantity):
    assert convert(convert(quantity, KILOGRAM, POUND), POUND, KILOGRAM) == quantity


def test_a_unit_is_not_counted_finer_than_its_scale():
    yen = unit("JPY", "1", "money", scale=0)

    check_scale(Decimal("100.00"), yen)
    with pytest.raises(InvalidArgument) as refusal:
        check_scale(Decimal("0.5"), yen)

    assert refusal.value.reason == "UNIT_SCALE"


HOUR, MINUTE = unit("h", "1", "time"), unit("min", "1", "time", divisor="60")
UNITS = st.builds(
    lambda factor, divisor: unit(f"{factor}/{divisor}", factor, "chain", divisor=divisor),
    strategies.quantities(1000, 3).filter(bool),
    strategies.quantities(1000, 3).filter(bool),
)


def test_a_minute_is_exactly_a_sixtieth_of_an_hour():
    assert convert(Decimal(90), MINUTE, HOUR) == Decimal("1.5")
    assert convert(Decimal("1.5"), HOUR, MINUTE) == 90
    assert counted(Decimal(181), ratio(MINUTE, HOUR)) == Decimal("3.016666666667")
    assert ratio(MINUTE, unit("min2", "2", "time", divisor="120")) is SAME


@given(st.lists(UNITS, min_size=2, max_size=5))
def test_any_chain_of_conversions_is_the_direct_one(chain):
    numerator = denominator = Fraction(1)
    for source, target in pairwise(chain):
        by = ratio(source, target)
        numerator, denominator = numerator * int(by.numerator), denominator * int(by.denominator)

    direct = ratio(chain[0], chain[-1])
    assert numerator / denominator == Fraction(int(direct.numerator), int(direct.denominator))
    there, back = ratio(chain[0], chain[1]), ratio(chain[1], chain[0])
    assert (there.numerator, there.denominator) == (back.denominator, back.numerator)
