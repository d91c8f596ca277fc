"""The client's values are exact, and the same on the wire as the server's."""

from datetime import UTC, date, datetime
from decimal import Decimal, Inexact

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.decimal_pb2 import Decimal as Message

from clients import values
from server.api import values as server

NUMBERS = ["0", "-0", "1", "-1.5", "0.10", "1E+3", "1E-12", "99999999999999999999999999.5"]


@pytest.mark.parametrize("text", NUMBERS)
def test_decimals_are_the_servers(text: str) -> None:
    made = values.decimal_pb(Decimal(text))

    assert made == server.decimal_pb(Decimal(text))
    assert values.decimal(made) == Decimal(text)


def test_what_is_absent_is_zero() -> None:
    assert values.decimal(Message()) == 0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_not_sent(text: str) -> None:
    with pytest.raises(ValueError, match="not a number that can be sent"):
        values.decimal_pb(Decimal(text))


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(2026, 1, 31, 12, 0, 0, 1, UTC),
    ],
)
def test_instants_are_the_servers(instant: datetime) -> None:
    assert values.time_pb(instant) == server.time_pb(instant)
    assert values.time(values.time_pb(instant)) == instant


def test_nanoseconds_are_cut_and_naive_times_refused() -> None:
    assert values.time(Timestamp(seconds=1, nanos=1_999)).microsecond == 1
    with pytest.raises(ValueError, match="no time zone"):
        values.time_pb(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_dates_and_money_are_the_servers() -> None:
    day, amount = date(2026, 2, 28), Decimal("-12.345678901")

    assert values.date_pb(day) == server.date_pb(day)
    assert values.day(values.date_pb(day)) == day
    assert values.money_pb("EUR", amount) == server.money_pb("EUR", amount)
    assert values.money(values.money_pb("EUR", amount)) == ("EUR", amount)
    with pytest.raises(Inexact):
        values.money_pb("EUR", Decimal("0.1234567891"))
