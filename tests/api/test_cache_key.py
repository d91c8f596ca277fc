"""Cache keys of questions: equal only when the questions are, apart from their days."""

from datetime import date

import pytest
from google.type import date_pb2, decimal_pb2
from hypothesis import example, given
from hypothesis import strategies as st
from usage_management.v1 import rate_service_pb2 as pb

from server.api.discovery.cache_key import FIRST_DAY, LAST_DAY, put_back, take_key

DAYS = st.dates(FIRST_DAY, LAST_DAY)
TEXTS = st.text() | st.sampled_from(["", "*\x07\x08", "p" * 42, "*\x07\x08Ā\x0f\x10\x01\x18\x0f"])
FIELDS = ("price_book", "product", "usage_resource", "currency_code", "selling_model")
TOKENS = ("price_book", "product", "usage_resource", "token_unit", "selling_model")
QUESTIONS = st.one_of(
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, TEXTS)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(TOKENS, TEXTS)),
    st.builds(lambda labels: {"attributes": labels}, st.dictionaries(TEXTS, TEXTS, max_size=3)),
)


def question(day: date | None, **fields) -> pb.RateQuestion:
    asked = pb.RateQuestion(**fields)
    if day is not None:
        asked.date.CopyFrom(date_pb2.Date(year=day.year, month=day.month, day=day.day))
    return asked


@given(QUESTIONS, DAYS, DAYS)
def test_the_key_is_the_same_on_every_day_and_the_day_is_beside_it(fields, day, other):
    found, found_on_other = take_key(question(day, **fields)), take_key(question(other, **fields))

    assert found is not None
    assert (found.day, found_on_other) == (day, (found.content, other))


@given(QUESTIONS, DAYS)
def test_a_question_that_is_put_back_is_what_was_asked(fields, day):
    asked = question(day, **fields)

    put_back(asked, take_key(asked))

    assert asked == question(day, **fields)


@given(QUESTIONS, QUESTIONS, DAYS)
@example({}, {"attributes": {"": ""}}, FIRST_DAY)
def test_keys_are_equal_only_when_the_questions_are(one, other, day):
    same = question(day, **one) == question(day, **other)

    keys = [take_key(question(day, **fields)) for fields in (one, other)]

    # Attributes in another order are another key, which costs one more answer.
    assert keys[0] != keys[1] if not same else keys[0] == keys[1] or "attributes" in one


@pytest.mark.parametrize(
    "more",
    [
        {"asset": "accounts/a/assets/b"},
        {"binding_target": "accounts/a"},
        {"quantity": decimal_pb2.Decimal(value="0")},
    ],
)
def test_an_asset_a_target_and_a_quantity_are_part_of_the_key(more):
    assert take_key(question(FIRST_DAY, **more)) != take_key(question(FIRST_DAY))


@given(QUESTIONS)
def test_a_question_without_a_day_has_no_key(fields):
    assert take_key(question(None, **fields)) is None


@pytest.mark.parametrize(
    "ymd",
    [(0, 0, 0), (2024, 2, 30), (2023, 2, 29), (2024, 13, 1), (2024, 1, 0), (2024, 130, 1),
     (2024, 1, -1), (100, 1, 1), (20240, 1, 1), (1989, 12, 31), (2201, 1, 1)],
)  # fmt: skip
def test_a_day_that_is_not_allowed_has_no_key(ymd):
    year, month, day = ymd

    asked = pb.RateQuestion(product="p", date=date_pb2.Date(year=year, month=month, day=day))

    assert take_key(asked) is None
