"""Units convert within their class, exactly or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given

from server.domain.errors import InvalidArgument
from server.domain.ids import UnitClassId, UnitId
from server.domain.modeling.units import Unit, check_scale, convert
from tests import strategies


def unit(name, factor, class_id="mass", scale=3):
    return Unit(
        id=UnitId(name),
        class_id=UnitClassId(class_id),
        factor=Decimal(factor),
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
