"""The end of a loading: after the clock, not before its present end, and not too far ahead."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.consumption.loadings import check_until
from server.domain.errors import InvalidArgument
from server.domain.limits import value_of

NOW = datetime(2024, 3, 1, tzinfo=UTC)
MOMENT, DAY = timedelta(microseconds=1), timedelta(days=1)
MOST = timedelta(days=value_of("loading.days"))


@pytest.mark.parametrize("ahead", [MOMENT, DAY, MOST])
def test_an_end_within_the_limit_is_right(ahead: timedelta):
    check_until(NOW + ahead, now=NOW)
    check_until(NOW + ahead, now=NOW, present=NOW + ahead)
    check_until(NOW + ahead, now=NOW, present=NOW - DAY)


@pytest.mark.parametrize(
    ("until", "present", "said"),
    [
        (NOW, None, "must be after the tenant's clock"),
        (NOW - DAY, NOW - DAY, "must be after the tenant's clock"),
        (NOW + DAY - MOMENT, NOW + DAY, "is before the present end"),
        (NOW + MOST + MOMENT, None, "is more than 31 days ahead"),
    ],
)
def test_another_end_is_refused(until: datetime, present: datetime | None, said: str):
    with pytest.raises(InvalidArgument, match=said) as refused:
        check_until(until, now=NOW, present=present)

    assert refused.value.reason == "LOADING_TIME"
    assert refused.value.facts["latest"] == (NOW + MOST).isoformat()
