"""Questions apart from their days."""

from datetime import date

import pytest
from google.type import date_pb2
from hypothesis import given
from hypothesis import strategies as st
from usage_management.v1 import rate_service_pb2 as pb

from server.api.dayless import FIRST_DAY, LAST_DAY, dayless

DAYS = st.dates(FIRST_DAY, LAST_DAY)
TEXTS = st.text() | st.sampled_from(["", "*\x07\x08", "p" * 42, "*\x07\x08Ā\x0f\x10\x01\x18\x0f"])
FIELDS = ("price_book", "product", "currency_code", "asset", "selling_model", "binding_target")
QUESTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, TEXTS)) | st.builds(
    lambda key, value: {"attributes": {key: value}}, TEXTS, TEXTS
)


def question(day: date | None, **fields) -> pb.RateQuestion:
    asked = pb.RateQuestion(**fields)
    if day is not None:
        asked.date.CopyFrom(date_pb2.Date(year=day.year, month=day.month, day=day.day))
    return asked


@given(QUESTIONS, DAYS, DAYS)
def test_a_question_is_the_same_on_every_day_and_its_day_is_beside_it(fields, day, other):
    found, found_on_other = dayless(question(day, **fields)), dayless(question(other, **fields))

    before, after = found[0]
    assert pb.RateQuestion.FromString(before + after) == question(None, **fields)
    assert (found[1], found_on_other) == (day, (found[0], other))


@given(QUESTIONS, QUESTIONS, DAYS)
def test_questions_that_differ_in_anything_else_are_two(one, other, day):
    first, second = question(day, **one), question(day, **other)

    assert (dayless(first) == dayless(second)) == (first == second)


@given(QUESTIONS)
def test_a_question_without_a_day_has_none_whatever_it_says(fields):
    assert dayless(question(None, **fields)) is None


@pytest.mark.parametrize(
    "ymd",
    [(0, 0, 0), (2024, 2, 30), (2023, 2, 29), (2024, 13, 1), (2024, 1, 0), (2024, 130, 1),
     (2024, 1, -1), (100, 1, 1), (20240, 1, 1), (1989, 12, 31), (2201, 1, 1)],
)  # fmt: skip
def test_a_day_that_is_not_allowed_is_none(ymd):
    year, month, day = ymd

    asked = pb.RateQuestion(product="p", date=date_pb2.Date(year=year, month=month, day=day))

    assert dayless(asked) is None
