"""Following: dated terms of an asset from dated terms of the catalog."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from server.domain.ids import AssetId, ResourceId, UnitId
from server.domain.rating.cached_terms import CatalogTerms
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    Rate,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
)
from server.domain.selling.following import (
    DatedTerms,
    Followed,
    Listed,
    at,
    followed,
    followed_changes,
)

ASSET = AssetId(UUID(int=1))
CALLS = ResourceId("calls")
USD = UnitId("USD")


def day(number: int) -> date:
    return date(2024, 1, number)


def terms(value: str, **more: object) -> RateTerms:
    return RateTerms(unit=USD, rate=Rate(value=Decimal(value), unit=USD), **more)  # type: ignore[arg-type] # the fields of terms


def catalog(spans: Mapping[int, str | None], end: date | None = None) -> Listed:
    """A catalog that has another rate from some days on, or none."""
    first = sorted(spans, reverse=True)

    def on(asked: date) -> CatalogTerms | None:
        for start in first:
            if day(start) <= asked:
                value = spans[start]
                return None if value is None else CatalogTerms(terms=terms(value), is_fixed=False)
        return None

    return Listed(resource_id=CALLS, days=[day(one) for one in spans], on=on, end=end)


def sold(value: str = "1", **more: object) -> list[DatedTerms]:
    return [DatedTerms(day(1), terms(value, **more))]


def told(found: Followed | None) -> list[tuple[int, str, bool]]:
    """The new terms: day, rate, and if they are held."""
    assert found is not None
    return [
        (one.start.day, str(one.terms.effective_rate.value), one.terms.is_held)
        for one in found.terms
        if one.terms.effective_rate is not None
    ]


def test_a_dated_change_begins_on_its_day():
    found = followed(ASSET, sold(), catalog({1: "1", 10: "2", 20: "3"}), day(5))

    assert told(found) == [(10, "2", False), (20, "3", False)]


def test_terms_that_are_as_the_catalog_has_them_stay():
    stored = [DatedTerms(day(1), terms("1")), DatedTerms(day(10), terms("2"))]

    assert followed(ASSET, stored, catalog({1: "1", 10: "2"}), day(5)) is None


def test_a_gap_holds_the_last_terms_from_today_on():
    assert told(followed(ASSET, sold(), catalog({10: "2"}), day(5))) == [
        (5, "1", True),
        (10, "2", False),
    ]


def test_what_is_withdrawn_does_not_change_days_that_are_past():
    stored = [DatedTerms(day(1), terms("1")), DatedTerms(day(10), terms("2"))]

    past = followed(ASSET, stored, catalog({1: "1", 10: None}), day(15))
    planned = followed(ASSET, stored, catalog({1: "1", 10: None}), day(5))

    assert told(past) == [(15, "2", True)]
    assert told(planned) == [(10, "1", True)]


def test_a_change_dated_in_the_past_applies_from_its_day():
    assert told(followed(ASSET, sold(), catalog({1: "1", 3: "2"}), day(15))) == [(3, "2", False)]


def test_changes_after_the_end_of_the_asset_do_not_matter():
    assert followed(ASSET, sold(), catalog({1: "1", 10: "2"}, end=day(10)), day(5)) is None


def test_negotiated_parts_stay():
    agreed = Rate(value=Decimal("0.9"), unit=USD)
    found = followed(ASSET, sold(negotiated_rate=agreed), catalog({1: "1", 10: "2"}), day(5))

    assert told(found) == [(10, "0.9", False)]
    assert found is not None
    assert found.terms[0].terms.rate == Rate(value=Decimal(2), unit=USD)


def test_a_rate_that_a_negotiated_tier_makes_negative_is_a_gap():
    off = Tier(
        lower=Decimal(0),
        upper=None,
        adjustment=Adjustment(kind=AdjustmentKind.AMOUNT, value=Decimal("-0.5")),
    )
    listed_as = (TierBounds.LOWER_INCLUSIVE, TierMode.VOLUME)
    stored = sold(negotiated_tiers=(off,), listed_as=listed_as)
    found = followed(ASSET, stored, catalog({1: "1", 10: "0.4", 20: "2"}), day(5))

    assert told(found) == [(10, "1", True), (20, "2", False)]


def test_the_history_tells_each_change_from_what_was_known_for_its_day():
    stored = [DatedTerms(day(1), terms("1")), DatedTerms(day(10), terms("2"))]
    found = followed(ASSET, stored, catalog({1: "1", 10: "3", 20: "4"}), day(5))
    assert found is not None

    changes = followed_changes([found], datetime(2024, 1, 5, tzinfo=UTC))

    assert [
        (one.effective_date.day, field.before, field.after)
        for one in changes
        for field in one.fields
    ] == [(10, "2 USD", "3 USD"), (20, "3 USD", "4 USD")]


values = st.none() | st.sampled_from(("1", "2", "3"))
catalogs = st.dictionaries(st.integers(2, 28), values, max_size=6).map(lambda one: {1: "1"} | one)


def applied(stored: list[DatedTerms], found: Followed | None) -> list[DatedTerms]:
    """The terms after a change, as the store writes them."""
    if found is None:
        return stored
    return [*(one for one in stored if one.start < found.start), *found.terms]


@given(st.lists(st.tuples(catalogs, st.integers(1, 28)), min_size=1, max_size=5))
def test_after_any_changes_each_day_has_the_rate_of_the_catalog_where_there_is_one(
    story: list[tuple[dict[int, str | None], int]],
):
    stored = sold()
    for spans, today in sorted(story, key=lambda one: one[1]):
        listed = catalog(spans)
        before = stored
        stored = applied(stored, followed(ASSET, stored, listed, day(today)))
        assert followed(ASSET, stored, listed, day(today)) is None
        for number in range(1, 29):
            now, found = at(stored, day(number)), listed.on(day(number))
            if found is not None:
                assert (now.rate, now.is_held) == (found.terms.rate, False)
            elif number < today:
                assert now == at(before, day(number))
            else:
                assert now.is_held
                assert now.rate == at(stored, day(number - 1)).rate
