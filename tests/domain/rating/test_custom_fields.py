"""Values of custom fields: kept in their plain form, or refused by their type."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import InvalidArgument
from server.domain.exact import plain
from server.domain.ids import CustomFieldId
from server.domain.rating.custom_fields import (
    NUMBERS,
    CustomField,
    CustomFieldType,
    checked_values,
)

TEXT, NUMBER, CHECKBOX, DAY, PERCENT, MONEY, PICKLIST = CustomFieldType


def checked(kind: CustomFieldType, text: str) -> str:
    values = ("gold", "silver") if kind is PICKLIST else ()
    field = CustomField(id=CustomFieldId("one"), display_name="", type=kind, picklist_values=values)
    return checked_values({"one": text}, {"one": field}, "custom_fields")["one"]


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        (TEXT, "Ask Zoë first", "Ask Zoë first"),
        (NUMBER, "-12.50", "-12.5"),
        (PERCENT, "0.00", "0"),
        (MONEY, "1000", "1000"),
        (CHECKBOX, "false", "false"),
        (DAY, "2024-02-29", "2024-02-29"),
        (PICKLIST, "silver", "silver"),
    ],
)
def test_a_value_of_the_type_is_kept_in_its_plain_form(kind, text, kept):
    assert checked(kind, text) == kept


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TEXT, ""),
        (TEXT, "x" * 1_001),
        (TEXT, "two\nlines"),
        (NUMBER, "1e3"),
        (NUMBER, ""),
        (PERCENT, "10%"),
        (MONEY, "1,000"),
        (CHECKBOX, "True"),
        (DAY, "20240229"),
        (DAY, "2023-02-29"),
        (PICKLIST, "Gold"),
        (PICKLIST, ""),
    ],
)
def test_another_value_is_refused_with_the_path_of_its_field(kind, text):
    with pytest.raises(InvalidArgument) as refused:
        checked(kind, text)

    [violation] = refused.value.violations
    assert violation.field == "custom_fields[one]"
    assert violation.reason == "CUSTOM_FIELD_INVALID"


@given(st.text(max_size=12), st.sampled_from(CustomFieldType))
def test_what_is_kept_is_kept_as_it_is_when_it_is_checked_again(text, kind):
    try:
        kept = checked(kind, text)
    except InvalidArgument:
        return
    assert checked(kind, kept) == kept


@given(
    st.decimals(min_value=-(10**20), max_value=10**20, places=6), st.sampled_from(sorted(NUMBERS))
)
def test_every_number_is_kept_exactly(value, kind):
    assert Decimal(checked(kind, plain(value))) == value


@given(st.dates(min_value=date(1, 1, 1)))
def test_every_day_is_kept(day):
    assert checked(DAY, day.isoformat()) == day.isoformat()
