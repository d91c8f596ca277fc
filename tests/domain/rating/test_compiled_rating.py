"""Raters: which version rates what, and that the short way leads where the long one does."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from server.domain.ids import ProcedureId, RatableSummaryId
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.compiled_rating import (
    SHIPPED,
    SHIPPED_RATING,
    SHIPPED_VERSION,
    AsRated,
    CompiledRating,
    InForce,
    RatingVersions,
)
from server.domain.rating.procedures.elements import (
    BaseRate,
    FormulaElement,
    ListFunction,
    ListOperation,
    RatingSetting,
)
from server.domain.rating.procedures.engine import MOST_LINES
from server.domain.rating.procedures.waterfall import Rated
from tests.domain.procedure_words import line, price, tier
from tests.strategies import terms

LINE = RatableSummaryId(UUID(int=1))
OTHER = RatableSummaryId(UUID(int=2))
OWN = replace(
    SHIPPED_VERSION,
    procedure_id=ProcedureId("own"),
    elements=(RatingSetting(), BaseRate(), FormulaElement(expression="net_unit_rate + 1")),
)
STEPPED = (tier(0, 10, "PERCENTAGE", 10), tier(10, 60, "OVERRIDE", 2))
lines = st.builds(
    line,
    st.integers(0, 100),
    st.sampled_from(
        [
            None,
            terms("10"),
            terms("10", tiers=STEPPED),
            terms("10", negotiated_rate=price(7), negotiated_tiers=STEPPED),
            terms("10", committed=(terms("9"), terms("8.5"))),
        ]
    ),
    before=st.integers(0, 50).map(Decimal),
    overage=st.sampled_from(OveragePolicy),
)


@given(st.lists(lines, max_size=5))
def test_the_short_way_of_what_is_shipped_is_the_long_one(some):
    copy = CompiledRating.of(replace(SHIPPED_VERSION, procedure_id=ProcedureId("copy")))

    short, long = SHIPPED_RATING.rate(some), copy.rate(some)

    assert not copy.is_shipped
    assert [_told(one) for one in short] == [_told(one) for one in long]


def _told(outcome):
    if isinstance(outcome, Rated):
        return outcome
    return outcome.reason, outcome.message


def test_what_was_changed_under_the_shipped_name_is_not_what_is_shipped():
    other = CompiledRating.of(replace(SHIPPED_VERSION, elements=OWN.elements))
    later = CompiledRating.of(replace(SHIPPED_VERSION, start_date=date(2024, 2, 1)))

    assert (other.is_shipped, other.price(line(2, "10")).amount) == (False, 22)
    assert later.is_shipped
    assert RatingVersions((later,)).on(date(2024, 1, 31)) is None


def test_a_period_is_rated_by_the_version_of_its_first_local_day():
    spring = CompiledRating.of(replace(OWN, start_date=date(2024, 2, 1)))
    winter = CompiledRating.of(replace(OWN, rank=0))
    versions = RatingVersions((spring, winter))
    midnight_in_berlin = datetime(2024, 1, 31, 23, tzinfo=UTC)

    assert InForce(versions, "Europe/Berlin").of(LINE, midnight_in_berlin) is spring
    assert InForce(versions, "UTC").of(LINE, midnight_in_berlin) is winter
    assert SHIPPED.of(LINE, midnight_in_berlin) is SHIPPED_RATING
    assert InForce(RatingVersions(())).of(LINE, midnight_in_berlin) is None


def test_what_was_rated_is_rated_again_by_the_same():
    start, own = datetime(2024, 1, 1, tzinfo=UTC), CompiledRating.of(OWN)
    rating_versions = AsRated({LINE: own, OTHER: None}, SHIPPED)

    assert rating_versions.of(LINE, start) is own
    assert rating_versions.of(OTHER, start) is None
    assert rating_versions.of(RatableSummaryId(UUID(int=3)), start) is SHIPPED_RATING


def test_more_lines_than_a_run_takes_are_rated_in_several():
    count = ListOperation(function=ListFunction.COUNT, source=None, variable="n")
    rate = FormulaElement(expression="n", variable="net_unit_rate")
    counting = CompiledRating.of(replace(OWN, elements=(RatingSetting(), BaseRate(), count, rate)))

    outcomes = counting.rate([line(1, "10")] * (MOST_LINES + 1))

    amounts = [one.amount for one in outcomes if isinstance(one, Rated)]
    assert amounts == [MOST_LINES] * MOST_LINES + [1]
