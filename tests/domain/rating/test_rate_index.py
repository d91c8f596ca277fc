"""The index of rates: what it remembers is what it would find again."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.errors import NotFound
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.rate_cards import RateCard, RateCardType
from server.domain.rating.rate_index import CatalogRates, Question, RateNotFound
from server.domain.rating.sales import NotForSale, Sales
from tests.domain.rating.index_words import entry, index, tier

FIRST = date(2024, 1, 1)
DAYS = st.integers(0, 40).map(lambda n: FIRST + timedelta(days=n))
HALF = (tier(0, None, "50", "PERCENTAGE"),)


@st.composite
def spans(draw, prefix, **more):
    """Entries that follow each other with or without gaps, for all or for a selling model."""
    days = sorted(draw(st.sets(DAYS, max_size=2)))
    ends = [*days[1:], None][: len(days)]
    return [
        entry(f"{prefix}{n}", str(n + 1) if "tiers" not in more else None, start=a, end=b, **more)
        for n, (a, b) in enumerate(zip(days, ends, strict=True))
        if draw(st.integers(0, 3))
    ]


@st.composite
def catalogs(draw):
    """Return the parts of an index, to build it several times."""
    entries = [
        *draw(spans("all")),
        *draw(spans("own", selling_model_id="term")),
        *draw(spans("steps", tiers=HALF)),
        *draw(spans("steps-own", tiers=HALF, selling_model_id="term")),
    ]
    start, end = draw(st.none() | DAYS), draw(st.none() | DAYS)
    tiers = RateCard(id="tiers", type=RateCardType.TIER, start=start, end=end)
    return entries, tiers


@st.composite
def markets(draw):
    """Return when the resource is sold: always, or in stretches that do not overlap."""
    edges = sorted(draw(st.sets(DAYS, max_size=4)))
    stretches = tuple(zip(edges[::2], [*edges[1::2], None][: len(edges[::2])], strict=True))
    always = {("plan", "sms"): ((None, None),)}
    models = {"term": draw(st.sampled_from(CatalogState)), "nobodys": CatalogState.ACTIVE}
    sold = draw(st.sampled_from([{("plan", "sms"): stretches}, always, {}]))
    return Sales(stretches=sold, models=draw(st.sampled_from([None, models])))


def asked(rates: CatalogRates, question: Question) -> object:
    try:
        return rates.find(question)
    except (RateNotFound, NotForSale) as error:
        return error.reason, str(error), error.facts


@settings(max_examples=300)
@given(
    catalogs(),
    markets(),
    st.lists(st.tuples(DAYS, st.sampled_from([None, "term", "nobodys"])), min_size=8, max_size=30),
)
def test_what_was_asked_before_changes_no_answer(catalog, sales, days):
    entries, tiers = catalog
    warm = index(*entries, tiers=tiers, sales=sales)

    for day, model in days:
        question = Question("book", "plan", "sms", "USD", day, model)
        new = index(*entries, tiers=tiers, sales=sales)
        assert asked(warm, question) == asked(new, question) == asked(warm, question)


def test_an_answer_changes_on_the_days_of_a_card_too():
    start, end = FIRST + timedelta(days=7), FIRST + timedelta(days=9)
    card = RateCard(id="tiers", type=RateCardType.TIER, start=start, end=end)
    rates = index(entry("usd", "1"), entry("steps", tiers=HALF), tiers=card)

    found = [
        rates.find(Question("book", "plan", "sms", "USD", FIRST + timedelta(days=n))).terms
        for n in (0, 6, 7, 8, 9, 30)
    ]

    assert [one.tier_entry is not None for one in found] == [False, False, True, True, False, False]


def test_what_is_remembered_ends_with_the_sale_of_the_resource():
    start, end = FIRST + timedelta(days=7), FIRST + timedelta(days=9)
    sales = Sales(stretches={("plan", "sms"): ((start, end),)})
    rates = index(entry("usd", "1"), sales=sales)

    found = [
        asked(rates, Question("book", "plan", "sms", "USD", FIRST + timedelta(days=n)))
        for n in (7, 8, 9, 6, 7)
    ]
    days = rates.around(Question("book", "plan", "sms", "USD", FIRST + timedelta(days=8)))

    assert [isinstance(one, tuple) for one in found] == [False, False, True, True, False]
    assert (days.start, days.end) == (start, end)


@pytest.mark.parametrize(
    ("sales", "reason"),
    [
        (Sales(products={"plan": CatalogState.INACTIVE}), "RESOURCE_INACTIVE"),
        (Sales(resources={"sms": CatalogState.INACTIVE}), "RESOURCE_INACTIVE"),
        (Sales(stretches={("plan", "sms"): ()}), "RESOURCE_INACTIVE"),
        (Sales(models={"term": CatalogState.DRAFT}), "RESOURCE_INACTIVE"),
        (Sales(models={}), "SELLING_MODEL_NOT_FOUND"),
        (Sales(products={"other": CatalogState.INACTIVE}), None),
        (Sales(models={"term": CatalogState.ACTIVE}), None),
    ],
)
def test_what_cannot_be_bought_has_no_price(sales, reason):
    question = Question("book", "plan", "sms", "USD", FIRST, "term")
    rates = index(entry("usd", "1"), sales=sales)

    found = None
    for _ in range(2):
        try:
            rates.find(question)
        except (NotForSale, NotFound) as error:
            found = error.reason

    assert found == reason
    assert rates.is_for_sale(question) is (reason is None)


def test_names_that_nobody_has_rates_for_are_not_cached():
    rates = index(entry("usd", "1"))
    for n in range(50):
        model = Question("book", "plan", "sms", "USD", FIRST, f"model{n}")
        assert rates.find(model).terms.base_entry == "base/usd"
        asked(rates, Question(f"book{n}", "plan", "sms", "USD", FIRST))
    rates.find(Question("book", "plan", "sms", "USD", FIRST))

    assert len(rates._lines) == 1
    assert rates._lines.get(("book", ("plan", "sms", "USD"), None)) is not None
