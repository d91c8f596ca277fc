"""Properties of rating that hold for all rates, tiers, packages and dates."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.domain.modeling.catalog import CatalogState
from server.domain.rating.line_rating import Element, Rated, RatingFailed
from server.domain.rating.procedures.packages import Packages
from server.domain.rating.rate_cards import (
    PriceBook,
    RateCard,
    RateCardEntry,
    RateCardType,
    in_force,
    overlapping,
    tried,
)
from server.domain.rating.rate_index import CatalogRates, Question, RateNotFound
from server.domain.rating.rates import (
    Adjustment,
    AdjustmentKind,
    AttributeRow,
    Rate,
    RateTerms,
    Tier,
    TierMode,
    adjust,
    pick,
)
from tests import strategies
from tests.domain.procedure_words import cost
from tests.strategies import USD

LAST_PLACE = Decimal("1e-22")
DAYS = st.dates(date(2024, 1, 1), date(2024, 3, 1))
PERCENT = Tier(
    lower=Decimal(0),
    upper=None,
    adjustment=Adjustment(kind=AdjustmentKind.PERCENTAGE, value=Decimal(5)),
)
MODELS = st.sampled_from([None, "monthly", "yearly"])


def outcome(quantity: Decimal, price: RateTerms) -> Rated | str:
    """Return the amount of a line, or the reason why it has none."""
    try:
        return cost(quantity, price)
    except RatingFailed as error:
        return error.reason


@st.composite
def prices(draw: st.DrawFn, *, mode: TierMode | None = None) -> RateTerms:
    """Terms with a base rate for so many units, a package or not, and tiers or none."""
    base = Rate(
        value=draw(st.decimals(min_value=0, max_value=50, places=2)),
        per=Decimal(draw(st.sampled_from([1, 7, 10, 100]))),
        unit=USD,
        is_package=draw(st.booleans()),
    )
    return RateTerms(
        unit=USD,
        rate=base,
        tiers=draw(st.one_of(st.just(()), strategies.tier_sets())),
        bounds=draw(strategies.bounds),
        mode=mode or draw(st.sampled_from(TierMode)),
    )


@given(prices(), st.lists(strategies.quantities(150), min_size=1, max_size=4))
def test_parts_cost_what_the_whole_costs(price, parts):
    """Also of packages, which the part that starts one pays for."""
    whole, before, amounts = sum(parts, Decimal(0)), Decimal(0), []
    packages: Packages = {}

    for part in parts:
        found = cost(part, price, whole=whole, before=before, packages=packages)
        amounts.append(found.amount)
        before += part

    assert abs(sum(amounts) - cost(whole, price).amount) < LAST_PLACE


@given(prices(mode=TierMode.VOLUME), strategies.quantities(150, 0).filter(bool))
def test_one_tier_prices_a_volume(price, quantity):
    rated = cost(quantity, price)

    steps = [one for one in rated.steps if one.element is Element.VOLUME_TIER]
    holding = pick(price.tiers, price.bounds, quantity)
    assert len(steps) == (1 if price.tiers else 0)
    if holding is not None:
        assert Decimal(steps[0].inputs["lower"]) == holding.lower
    assert not any(one.element is Element.GRADUATED_TIER for one in rated.steps)


@given(prices(mode=TierMode.GRADUATED), strategies.quantities(150).filter(bool))
def test_slices_add_up_to_the_quantity_and_to_the_amount(price, quantity):
    rated = cost(quantity, price)

    slices = [one for one in rated.steps if one.element is Element.GRADUATED_TIER]
    if price.tiers:
        assert sum(Decimal(one.inputs["quantity"]) for one in slices) == quantity
        parts = rated.steps[-1].inputs["parts"].split(" + ")
        assert sum(map(Decimal, parts)) == rated.amount
        for one, part in zip(slices, parts, strict=True):
            assert one.outputs.get("amount", part) == part
    else:
        assert slices == []


@given(prices(), strategies.quantities(150).filter(bool), st.booleans())
def test_nothing_is_free_but_what_somebody_says_is(price, quantity, has_base):
    """A zero is the rate's, a tier's or what an amount leaves of it; else there is a refusal."""
    terms = (
        price
        if has_base
        else RateTerms(unit=USD, rate=None, tiers=price.tiers, bounds=price.bounds, mode=price.mode)
    )
    if isinstance(rated := outcome(quantity, terms), str):
        assert not has_base
        assert rated in ("NO_TIER_FOR_QUANTITY", "RATE_NOT_FOUND")
        return
    if rated.amount == 0:
        told = [
            Decimal(one.outputs["rate"])
            for one in rated.steps
            if one.element in (Element.BASE_RATE, Element.VOLUME_TIER, Element.GRADUATED_TIER)
        ]
        assert min(told) <= 0


PLACES = st.dictionaries(
    st.sampled_from(["region", "model", "plan"]), st.sampled_from(["a", "b"]), max_size=3
)


@given(
    prices(),
    st.lists(st.tuples(PLACES.filter(bool), strategies.adjustments()), max_size=5),
    PLACES,
    PLACES,
)
def test_the_first_adjustment_that_fits_is_made_and_told_and_nothing_else(
    price, rows, agreed, used
):
    """Whatever usage is told apart by, it costs its rate or what the first row makes of that."""
    adjustments = tuple(
        AttributeRow(attributes=tuple(sorted(names.items())), adjustment=adjustment)
        for names, adjustment in rows
    )
    whole = replace(price, tiers=(), adjustments=adjustments, attributes=agreed).used_with(used)
    has = agreed | used
    fitting = next((a for names, a in rows if names.items() <= has.items()), None)

    rated = outcome(Decimal(7), whole)

    if isinstance(rated, str):
        assert fitting is not None
        assert rated in ("RATE_NEGATIVE", "AMOUNT_RANGE")
        return
    told = [one for one in rated.steps if one.element is Element.ATTRIBUTE_ADJUSTMENT]
    expected = price.rate if fitting is None else adjust(price.rate, fitting, terms=whole)
    assert len(told) == (fitting is not None)
    assert rated.amount == cost(Decimal(7), replace(price, tiers=(), rate=expected)).amount


@given(st.data())
def test_a_day_without_a_rate_is_refused_and_a_day_with_one_has_it(data):
    entries = data.draw(catalogs())
    asked = Question("book", "plan", "sms", "USD", data.draw(DAYS), data.draw(MODELS))

    on_day = [one for one in entries if in_force(one.start, one.end, asked.day)]
    own = [one for one in on_day if one.selling_model_id == asked.selling_model_id]
    for_all = [one for one in on_day if one.selling_model_id is None]
    expected = {
        card: next((one for one in (*own, *for_all) if one.card_id == card), None)
        for card in ("base", "tiers")
    }
    try:
        found = index(entries).find(asked).terms
    except RateNotFound:
        assert expected["base"] is None
        return
    assert found.base_entry == (expected["base"] and expected["base"].key)
    assert found.tier_entry == (expected["tiers"] and expected["tiers"].key)
    assert found.rate is not None or found.tiers


@given(st.data())
def test_the_order_of_rows_means_nothing(data):
    entries = data.draw(catalogs())
    other = data.draw(st.permutations(entries))
    asked = Question("book", "plan", "sms", "USD", data.draw(DAYS), data.draw(MODELS))

    assert answer(index(entries), asked) == answer(index(other), asked)
    assert pairs(entries, []) == pairs(other, [])


@given(st.lists(st.tuples(DAYS, st.one_of(st.none(), DAYS), MODELS, st.booleans()), max_size=7))
def test_overlaps_are_found_whenever_there_are_any(spans):
    entries = [
        entry(f"e{number}", "base", start, end, model)
        for number, (start, end, model, _) in enumerate(spans)
        if end is None or start < end
    ]
    # What is in force already does not overlap.
    there: list[RateCardEntry] = []
    for one in entries[: len(entries) // 2]:
        if not any(meets(one, other) for other in there):
            there.append(one)
    entering = [one for one in entries if one not in there]

    found = overlapping(entering, there)

    everything = [*entering, *there]
    wrong = {a.id for a in entering for b in everything if a is not b and meets(a, b)}
    assert bool(found) == bool(wrong)
    assert all(meets(a, b) and a in entering for a, b in found)


@given(st.lists(st.tuples(DAYS, st.one_of(st.none(), DAYS), MODELS, st.booleans()), max_size=7))
def test_tried_drafts_take_their_days_and_leave_all_others(spans):
    """On each day one entry is in force: the draft that starts last, or else what is active."""
    entries: list[RateCardEntry] = []
    for number, (start, end, model, is_draft) in enumerate(spans):
        one = entry(f"e{number}", "base", start, end, model)
        one = replace(one, state=CatalogState.DRAFT if is_draft else CatalogState.ACTIVE)
        others = [other for other in entries if other.state is CatalogState.ACTIVE]
        if (end is None or start < end) and (is_draft or not any(meets(one, o) for o in others)):
            entries.append(one)

    found = tried(entries)

    for model in (None, "monthly"):
        for day in [cut for start, end, _, _ in spans for cut in (start, end) if cut is not None]:
            own = [one for one in entries if one.selling_model_id == model]
            there = [one for one in own if in_force(one.start, one.end, day)]
            first = max(
                there, key=lambda e: (e.state is CatalogState.DRAFT, e.start, e.id), default=None
            )
            of_model = [one for one in found if one.selling_model_id == model]
            is_ = [one.id for one in of_model if in_force(one.start, one.end, day)]
            assert is_ == ([] if first is None else [first.id])


def test_what_enters_replaces_what_is_there_under_its_id():
    before = entry("a", "base", date(2024, 1, 1), date(2024, 2, 1), None)
    longer = entry("a", "base", date(2024, 1, 1), date(2024, 3, 1), None)
    after = entry("b", "base", date(2024, 2, 1), None, None)

    assert overlapping([], [before, after]) == []
    assert overlapping([longer], [before, after]) == [(longer, after)]


@st.composite
def catalogs(draw: st.DrawFn) -> list[RateCardEntry]:
    """Base rates and tiers on days that follow each other, some of them left out."""
    entries = []
    for card in ("base", "tiers"):
        for model in (None, "monthly"):
            cuts = sorted(draw(st.lists(DAYS, min_size=1, max_size=4, unique=True)))
            ends: list[date | None] = [*cuts[1:], draw(st.sampled_from([None, date(2024, 4, 1)]))]
            for number, (start, end) in enumerate(zip(cuts, ends, strict=True)):
                if draw(st.booleans()):
                    entries.append(entry(f"{model}-{number}", card, start, end, model))
    return entries


def entry(id_: str, card: str, start: date, end: date | None, model: str | None) -> RateCardEntry:
    is_base = card == "base"
    return RateCardEntry(
        id=id_,
        card_id=card,
        product_id="plan",
        resource_id="sms",
        selling_model_id=model,
        currency_code="USD",
        rate=Rate(value=Decimal(len(id_)), unit=USD) if is_base else None,
        tiers=() if is_base else (PERCENT,),
        start=start,
        end=end,
        state=CatalogState.ACTIVE,
    )


def index(entries: list[RateCardEntry]) -> CatalogRates:
    cards = {
        RateCardType.BASE: RateCard(id="base", type=RateCardType.BASE),
        RateCardType.TIER: RateCard(id="tiers", type=RateCardType.TIER),
    }
    book = PriceBook(id="book", card_ids=tuple(one.id for one in cards.values()))
    return CatalogRates([book], cards.values(), entries)


def answer(rates: CatalogRates, asked: Question) -> object:
    try:
        return rates.find(asked)
    except RateNotFound as error:
        return error.facts


def pairs(entering: list[RateCardEntry], there: list[RateCardEntry]) -> list[tuple[str, str]]:
    return [(a.key, b.key) for a, b in overlapping(entering, there)]


def meets(a: RateCardEntry, b: RateCardEntry) -> bool:
    """Return whether two entries price the same on some day."""
    return a.prices == b.prices and a.start < (b.end or date.max) and b.start < (a.end or date.max)
