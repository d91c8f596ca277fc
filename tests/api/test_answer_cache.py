"""Cached answers equal those that would be computed, on each of their days."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from google.type import date_pb2, decimal_pb2
from usage_management.v1 import rate_service_pb2 as pb

from server.api.discovery.answers import discover
from server.domain.caches import CacheState, caches
from server.domain.calendar import Days
from server.domain.rating.compiled_discovery import CompiledDiscovery, DiscoveryVersions
from server.domain.rating.procedures.elements import LookupSource
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardType
from server.domain.rating.rate_index import CatalogRates
from server.domain.rating.rates import Adjustment, AdjustmentKind, AttributeRow
from server.runtime.answer_cache import AnswerCache, ResponseCache
from server.runtime.rate_snapshots import CompiledRates
from tests.domain.rating.index_words import entry, tier, version
from tests.usecases.rate_world import RateWorld, begin_call, env_of

FIRST = date(2024, 1, 1)
SECRETS = (b"secret",)
EU = {"region": "eu"}


def on(number: int) -> date:
    return FIRST + timedelta(days=number)


BASE = RateCard(id="base", type=RateCardType.BASE, end=on(40))
TIERS = RateCard(id="tiers", type=RateCardType.TIER, start=on(3), end=on(28))
PLACES = RateCard(id="places", type=RateCardType.ATTRIBUTE)
CARDS = (BASE, TIERS, PLACES)
ALWAYS = RateCard(id="always", type=RateCardType.BASE)
HALF = (tier(0, 100, "50", "PERCENTAGE"),)
LESS = AttributeRow(
    attributes=tuple(EU.items()),
    adjustment=Adjustment(kind=AdjustmentKind.PERCENTAGE, value=Decimal(20)),
)
# A rate that ends as the next begins, a gap, and each of the other cards on days of its own.
ENTRIES = (
    entry("first", "1", start=on(1), end=on(10)),
    entry("second", "2", start=on(10), end=on(20)),
    entry("third", "3", start=on(25)),
    entry("own", "4", start=on(12), end=on(15), selling_model_id="term"),
    entry("steps", tiers=HALF, start=on(8), end=on(22)),
    entry("since-ever", "5", card="always"),
    entry("places", card="places", adjustments=(LESS,), start=on(6), end=on(17)),
)
ALL = tuple(LookupSource)
# The catalog whole, then its rates alone, then nobody for two days, then whole again.
VERSIONS = (
    version(*ALL, id_="v1", end=on(14)),
    version(LookupSource.CATALOG_RATES, id_="v2", start=on(14), end=on(30), rank=0),
    version(*ALL, id_="v3", start=on(32)),
)
FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"selling_model": "sellingModels/term"},
    {"selling_model": "sellingModels/nobodys"},
    {"attributes": EU},
    {"attributes": {"region": "us", "plan": "b"}},
    {"currency_code": "EUR"},
    {"currency_code": "usd"},
    {"product": "products/other"},
    {"quantity": decimal_pb2.Decimal(value="7")},
    {"price_book": "priceBooks/always"},
)
NO_DAYS = ((1989, 12, 31), (1990, 1, 1), (2024, 2, 30), (2200, 12, 31), (2201, 1, 1), (0, 0, 0))


class Still:
    """Snapshots that are one."""

    def __init__(self, compiled: CompiledRates) -> None:
        self.compiled = compiled

    async def of(self, tenant_id: object, fresh: bool) -> CompiledRates:
        return self.compiled


def compiled() -> CompiledRates:
    books = (
        PriceBook(id="book", card_ids=tuple(card.id for card in CARDS)),
        PriceBook(id="always", card_ids=(ALWAYS.id,)),
    )
    discovery_versions = DiscoveryVersions("own", tuple(map(CompiledDiscovery.of, VERSIONS)))
    return CompiledRates(
        1, CatalogRates(books, (*CARDS, ALWAYS), ENTRIES), discovery_versions=discovery_versions
    )


def question(day: tuple[int, int, int], **reader: Any) -> pb.RateQuestion:
    asked = {
        "price_book": "priceBooks/book",
        "product": "products/plan",
        "usage_resource": "usageResources/sms",
        "currency_code": "USD",
        "date": date_pb2.Date(year=day[0], month=day[1], day=day[2]),
    }
    return pb.RateQuestion(**(asked | reader))


async def answers(snapshot: CompiledRates, *questions: pb.RateQuestion) -> list[pb.RateAnswer]:
    world = RateWorld(None, uuid4())
    begin_call(world)
    request = pb.DiscoverRatesRequest(questions=questions)
    data = await discover(env_of(world), Still(snapshot), request)
    return list(pb.DiscoverRatesResponse.FromString(data).answers)


@pytest.mark.parametrize("order", ["forward", "backward", "mixed", "mixed again"])
async def test_an_answer_kept_for_days_is_the_one_of_each_of_them(order):
    """Every day around every change, each question asked of an index that knows nothing yet too."""
    days = [(one.year, one.month, one.day) for one in map(on, range(-2, 45))]
    asked = [question(day, **reader) for day in (*days, *NO_DAYS) for reader in FORMS]
    if order == "backward":
        asked.reverse()
    elif order != "forward":
        random.Random(order).shuffle(asked)
    alone = [(await answers(compiled(), one))[0] for one in asked]
    warm = compiled()

    # The first time it is found, the second time put together, the third time kept as a whole.
    for size in (1, 1, 1, 100):
        found = []
        for at in range(0, len(asked), size):
            found += await answers(warm, *asked[at : at + size])
        assert found == alone


async def test_the_sweep_has_every_kind_of_answer():
    """Else it would prove less than it says."""
    days = [(one.year, one.month, one.day) for one in map(on, range(-2, 45))]
    found = [
        await answers(compiled(), *[question(day, **reader) for reader in FORMS]) for day in days
    ]

    plain = [some[0] for some in found]
    assert {one.terms.base_entry.rpartition("/")[2] for one in plain} == {
        "", "first", "second", "third",
    }  # fmt: skip
    assert {one.discovery_procedure_version.rpartition("/")[2] for one in plain} == {
        "", "v1", "v2", "v3",
    }  # fmt: skip
    assert {bool(one.terms.tier_entry) for one in plain} == {True, False}
    assert {bool(one.terms.attribute_entry) for one in plain} == {True, False}
    assert {some[1].terms.base_entry.rpartition("/")[2] for some in found} > {"own"}
    assert all(some[6].HasField("status") for some in found)
    assert len({some[7].status.message for some in found}) == len(days)


async def test_an_answer_is_kept_once_for_all_of_its_days():
    snapshot = compiled()

    await answers(snapshot, *[question((2024, 1, day)) for day in (3, 4, 5, 6)])
    await answers(snapshot, *[question((2024, 1, 3), quantity={"value": "1"})] * 3)

    # On the fourth the card of tiers begins.
    assert len(snapshot.answers) == 2


def test_answers_are_kept_up_to_a_number_and_to_a_size():
    kept = AnswerCache(most=3, most_bytes=10)
    always = Days(date.min, date.max)

    for name in "abc":
        kept.keep(name, always, b"12")
    assert (len(kept), kept.on("a", FIRST)) == (3, b"12")
    kept.keep("d", always, b"12")
    assert (len(kept), kept.on("a", FIRST), kept.on("d", FIRST)) == (1, None, b"12")
    kept.keep("e", always, b"123456789")
    assert (len(kept), kept.on("d", FIRST)) == (1, None)


def test_days_go_from_edge_to_edge():
    edges = [on(3), on(5)]

    assert [Days.around(on(n), edges) for n in (2, 3, 4, 5)] == [
        (date.min, on(3)),
        (on(3), on(5)),
        (on(3), on(5)),
        (on(5), date.max),
    ]
    assert Days(on(1), on(5)).meet(Days(on(3), on(9))) == Days(on(3), on(5))


def test_responses_are_bounded_in_number_and_in_bytes():
    few, short = ResponseCache(most=2), ResponseCache(most_bytes=10)

    for name in (b"a", b"b", b"c"):
        few.keep(name, b"-", SECRETS)
        short.keep(name, b"----", SECRETS)

    assert [few.of(name, SECRETS) for name in (b"a", b"b", b"c")] == [None, None, b"-"]
    assert [short.of(name, SECRETS) for name in (b"a", b"b", b"c")] == [None, None, b"----"]


def test_a_response_ends_with_the_secrets_that_sealed_its_token():
    cache, newer = ResponseCache(), (b"new", *SECRETS)
    cache.keep(b"asked", b"old", SECRETS)

    assert cache.of(b"asked", newer) is None
    cache.keep(b"asked", b"new", newer)

    assert (cache.of(b"asked", newer), cache.of(b"asked", SECRETS)) == (b"new", None)


def test_every_cache_says_what_it_holds_and_its_bounds():
    cache = ResponseCache(most=7, most_bytes=70)
    cache.keep(b"asked", b"answer", SECRETS)

    states = list(caches())

    assert CacheState("discovery.responses", 1, 7, 70) in states
    assert all(0 <= one.entries <= one.most_entries and one.most_bytes for one in states)
    assert {"discovery.responses", "domain.calendar.local_midnight"} <= {one.name for one in states}
