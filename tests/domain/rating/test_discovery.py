"""Discovery: the rate by book, card, product, resource, currency and day; and why there is none."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import InvalidArgument, NotFound
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.discovery import DiscoveryQuestion, Source, answer
from server.domain.rating.line_rating import RatingFailed
from server.domain.rating.rate_cards import (
    RateCard,
    RateCardType,
    checked,
)
from server.domain.rating.rate_index import Question, RateNotFound
from server.domain.rating.rates import (
    Rate,
    RateTerms,
    TierBounds,
)
from tests.domain.rating.index_words import (
    ASSET,
    FEBRUARY,
    JANUARY,
    MARCH,
    entry,
    index,
    sold,
    tier,
)


def question(day=JANUARY, *, currency="USD", product="plan", resource="sms", book="book"):
    return Question(book, product, resource, currency, day)


def missing(rates, asked):
    with pytest.raises(RateNotFound) as caught:
        rates.find(asked)
    assert caught.value.reason == "RATE_NOT_FOUND"
    return caught.value.facts


def test_the_base_rate_and_the_tiers_in_force_on_the_day_apply_together():
    steps = (tier(0, 100, "0.5"), tier(100, None, "0.4"))
    rates = index(
        entry("old", "1", end=FEBRUARY),
        entry("new", "2", start=FEBRUARY),
        entry("steps", tiers=steps, bounds=TierBounds.UPPER_INCLUSIVE, start=FEBRUARY),
    )

    before, after = rates.find(question(date(2024, 1, 31))), rates.find(question(FEBRUARY))

    assert before.terms == RateTerms(
        unit="USD", rate=Rate(value=Decimal(1), unit="USD"), base_entry="base/old"
    )
    assert after.terms.rate.value == 2
    assert (after.terms.tiers, after.terms.bounds) == (steps, TierBounds.UPPER_INCLUSIVE)
    assert (after.terms.base_entry, after.terms.tier_entry) == ("base/new", "tiers/steps")
    assert rates.find(question(MARCH)) is after


@pytest.mark.parametrize(
    ("asked", "why", "facts"),
    [
        (question(book="other"), "PRICE_BOOK", {"price_book": "other"}),
        (question(product="other"), "PRODUCT", {"rate_card": "base"}),
        (question(resource="other"), "USAGE_RESOURCE", {"usage_resource": "other"}),
        (question(FEBRUARY, currency="CHF"), "CURRENCY", {"currencies": "EUR, USD"}),
        (
            question(JANUARY),
            "DATE",
            {"nearest": "base/usd", "nearest_dates": "from 2024-02-01 and before 2024-03-01"},
        ),
        (question(MARCH), "DATE", {"nearest": "base/usd", "date": "2024-03-01"}),
    ],
)
def test_a_rate_that_is_not_there_is_named_and_never_zero(asked, why, facts):
    rates = index(entry("usd", "1", start=FEBRUARY, end=MARCH), entry("eur", "1", currency="EUR"))

    found = missing(rates, asked)

    assert found["missing"] == why
    assert found.items() >= facts.items()


def test_the_nearest_rate_is_the_one_fewest_days_away():
    rates = index(
        entry("early", "1", end=date(2024, 1, 10)), entry("late", "1", start=date(2024, 1, 20))
    )

    assert missing(rates, question(date(2024, 1, 11)))["nearest"] == "base/early"
    assert missing(rates, question(date(2024, 1, 19)))["nearest"] == "base/late"


def test_a_card_outside_its_own_dates_says_nothing():
    cheap = (tier(0, None, "0.1"),)
    rates = index(
        entry("usd", "1"),
        entry("steps", tiers=cheap),
        base=RateCard(id="base", type=RateCardType.BASE, end=MARCH),
        tiers=RateCard(id="tiers", type=RateCardType.TIER, start=FEBRUARY),
    )

    assert rates.find(question(JANUARY)).terms.tiers == ()
    assert rates.find(question(FEBRUARY)).terms.tiers == cheap
    assert rates.find(question(MARCH)).terms.rate is None  # overrides need no base rate


def test_tiers_that_adjust_need_a_rate_and_one_for_as_many_units():
    percent = (tier(0, None, "10", "PERCENTAGE"),)

    assert missing(index(entry("steps", tiers=percent)), question())["missing"] == "BASE_RATE"
    other_units = index(entry("usd", "1", per="1000"), entry("steps", tiers=percent, per="10"))
    assert missing(other_units, question())["missing"] == "BASE_RATE"
    same_units = index(entry("usd", "1", per="10"), entry("steps", tiers=percent, per="10"))
    assert same_units.find(question()).terms.rate.per == 10


def test_terms_are_fixed_when_any_part_of_them_is():
    steps = (tier(0, None, "0.5"),)
    fixed = entry("steps", tiers=steps, is_negotiable=False)

    assert not index(entry("usd", "1")).find(question()).is_fixed
    assert index(entry("usd", "1"), fixed).find(question()).is_fixed


@given(
    cuts=st.lists(
        st.dates(date(2020, 1, 1), date(2030, 1, 1)), min_size=1, max_size=8, unique=True
    ),
    day=st.dates(date(2019, 1, 1), date(2031, 1, 1)),
)
def test_bisection_finds_what_a_search_finds(cuts, day):
    cuts.sort()
    ends = [*cuts[1:], None]
    entries = [
        entry(f"e{i}", i, start=a, end=b) for i, (a, b) in enumerate(zip(cuts, ends, strict=True))
    ]
    kept = [one for i, one in enumerate(entries) if i % 3 != 1]

    expected = [e for e in kept if e.start <= day and (e.end is None or day < e.end)]

    if expected:
        assert index(*kept).find(question(day)).terms.base_entry == expected[0].key
    else:
        missing(index(*kept), question(day))


def test_tiers_with_both_ends_inside_are_kept_with_touching_ones():
    """R1 of the domain: 0–10, 11–60 is (0, 10], (10, 60]."""
    steps = (tier(0, 10, "0", "PERCENTAGE"), tier(11, 60, "10", "PERCENTAGE"))
    inclusive = entry("steps", tiers=steps, bounds=TierBounds.UPPER_INCLUSIVE)

    kept = checked(inclusive, RateCardType.TIER, scale=0).tiers

    assert [(t.lower, t.upper) for t in kept] == [(0, 10), (10, 60)]
    for scale, bounds in ((2, TierBounds.UPPER_INCLUSIVE), (0, TierBounds.LOWER_INCLUSIVE)):
        gapped = entry("steps", tiers=steps, bounds=bounds)
        with pytest.raises(InvalidArgument, match="leaves a gap") as caught:
            checked(gapped, RateCardType.TIER, scale=scale)
        assert (caught.value.reason, caught.value.facts["index"]) == ("TIERS_INVALID", "1")


@pytest.mark.parametrize(
    ("card", "made", "reason", "field"),
    [
        ("BASE", entry("e"), "FIELD_REQUIRED", "rate"),
        ("BASE", entry("e", 1, tiers=(tier(0, 1, 1),)), "RATE_CARD_TYPE_MISMATCH", "tiers"),
        ("TIER", entry("e"), "FIELD_REQUIRED", "tiers"),
        ("TIER", entry("e", 1, tiers=(tier(0, 1, 1),)), "RATE_CARD_TYPE_MISMATCH", "rate"),
    ],
)
def test_an_entry_says_what_its_card_is_for(card, made, reason, field):
    with pytest.raises(InvalidArgument) as caught:
        checked(made, RateCardType(card), scale=0)

    assert (caught.value.reason, caught.value.facts["field"]) == (
        reason,
        f"rate_card_entry.{field}",
    )


def asked(*, held=ASSET, currency=None, day=None, quantity=None, book=None):
    product = None if book is None else "plan"
    return DiscoveryQuestion("sms", held, book, product, currency, day, quantity)


def test_what_an_asset_was_sold_under_comes_first():
    catalog = index(entry("usd", "1"))

    own = answer(asked(book="book", currency="USD"), FEBRUARY, catalog, sold())
    later = answer(asked(book="book", currency="USD"), MARCH, catalog, sold(end=MARCH))

    assert (own.source, own.terms.rate.value) == (Source.ASSET, 3)
    assert (later.source, later.terms.rate.value) == (Source.CATALOG, 1)


def test_the_day_of_an_asset_begins_where_its_buyer_is():
    in_tokyo = sold(start=FEBRUARY, zone="Asia/Tokyo")

    with pytest.raises(RateNotFound) as caught:
        answer(asked(day=FEBRUARY), JANUARY, index(), in_tokyo)

    assert caught.value.facts["missing"] == "DATE"
    assert answer(asked(day=date(2024, 2, 2)), JANUARY, index(), in_tokyo).source == "ASSET"


@pytest.mark.parametrize(
    ("held", "question_", "why"),
    [
        ({ASSET: None}, asked(), "USAGE_RESOURCE"),
        (sold(), asked(currency="EUR"), "DATE"),
        (sold(end=FEBRUARY), asked(day=MARCH), "DATE"),
    ],
)
def test_an_asset_without_a_rate_says_so(held, question_, why):
    with pytest.raises(RateNotFound) as caught:
        answer(question_, JANUARY, index(), held)

    assert caught.value.facts["missing"] == why


def test_an_asset_that_is_not_there_is_not_found():
    with pytest.raises(NotFound) as caught:
        answer(asked(), JANUARY, index(), {})

    assert caught.value.reason == "ASSET_NOT_FOUND"


def test_a_quantity_is_priced_as_overage_by_the_tier_it_is_in():
    """R2 of the domain: an amount is added to the rate, signed."""
    steps = (tier(0, 100, "0", "AMOUNT"), tier(100, None, "-0.25", "AMOUNT"))
    rates = index(entry("usd", "1"), entry("steps", tiers=steps))

    def cost(quantity):
        wanted = asked(held=None, book="book", currency="USD", quantity=Decimal(quantity))
        return answer(wanted, JANUARY, rates, {}).rated.amount

    assert [cost(99), cost(100), cost(200)] == [99, 75, 150]
    assert answer(asked(), JANUARY, rates, sold()).rated is None


def test_a_quantity_that_no_tier_covers_is_refused():
    rates = index(entry("steps", tiers=(tier(10, 20, "1"),)))
    wanted = asked(held=None, book="book", currency="USD", quantity=Decimal(5))

    with pytest.raises(RatingFailed) as caught:
        answer(wanted, JANUARY, rates, {})

    assert caught.value.reason == "NO_TIER_FOR_QUANTITY"


def test_overage_that_is_free_costs_nothing_and_says_why():
    free = sold(overage=OveragePolicy.FREE)

    found = answer(asked(quantity=Decimal(5)), JANUARY, index(), free)

    assert found.rated.amount == 0
    assert found.rated.steps[0].element == "OVERAGE_POLICY"
