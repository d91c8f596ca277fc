"""Price books, cards and entries: made once, refused when they make no sense, listed by id."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import asyncpg
import pytest
from usage_management.v1 import rate_service_pb2 as pb

from server.api.services.rating.rates import RateService
from server.domain.errors import AlreadyExists, InvalidArgument, NotFound
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.rate_cards import PriceBook, RateCard, RateCardType
from server.domain.rating.rates import TierBounds
from server.runtime.rate_snapshots import RateSnapshots
from server.store.modeling import records
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.rating.rates import PRICE_BOOK, RATE_CARD
from tests.usecases.rate_world import (
    RateWorld,
    add_tenant,
    begin_call,
    create_book,
    create_card,
    create_entry,
    entry,
    env_of,
    rate_world,
    tier,
)


@pytest.fixture
async def world(database: str) -> AsyncIterator[RateWorld]:
    async with rate_world(database) as world:
        await world.book()
        yield world


async def test_making_the_same_twice_is_making_it_once(world):
    card = RateCard(id="extra", display_name="Extra", type=RateCardType.BASE, end=date(2024, 2, 1))
    before = await world.revision()

    made = await asyncio.gather(*(world.do(create_card, card) for _ in range(4)))
    entries = await asyncio.gather(*(world.do(create_entry, entry("1")) for _ in range(4)))

    assert {record.revision for record in (*made, *entries)} == {1}
    assert len({record.audit for record in made}) == len({record.audit for record in entries}) == 1
    assert made[0].content == card
    # The card took effect, once; the entry is a draft and takes effect with its product.
    assert await world.revision() == before + 1
    assert entries[0].state is CatalogState.DRAFT


async def test_other_content_under_the_same_id_is_refused_with_what_differs(world):
    await world.do(create_entry, entry("1", per="1000"))
    again = entry("2", per="1000", is_negotiable=False, start=date(2024, 1, 1))

    with pytest.raises(AlreadyExists) as caught:
        await world.do(create_entry, again)

    assert caught.value.reason == "CODE_TAKEN"
    assert caught.value.facts["fields"] == "rate, negotiability, start_date"
    for other in (
        RateCard(id="BASE", type=RateCardType.BASE),
        RateCard(id="base", type=RateCardType.TIER),
    ):
        with pytest.raises(AlreadyExists, match=r"is there (as|and differs in)"):
            await world.do(create_card, other)


async def test_a_book_has_one_card_of_each_type(world):
    await world.do(create_card, RateCard(id="base2", type=RateCardType.BASE))
    two = PriceBook(id="two", card_ids=("base", "base2"))
    none = replace(two, card_ids=("other",))

    with pytest.raises(AlreadyExists) as caught:
        await world.do(create_book, two)
    assert caught.value.reason == "RATE_CARD_TYPE_TAKEN"
    with pytest.raises(NotFound) as caught:
        await world.do(create_book, none)
    assert caught.value.reason == "RATE_CARD_NOT_FOUND"

    swapped = PriceBook(id="book", card_ids=("tier", "base"))
    book = await world.do(create_book, swapped)
    assert book.content.card_ids == ("base", "tier")
    with pytest.raises(AlreadyExists) as caught:
        await world.do(create_book, replace(swapped, card_ids=("base2", "tier")))
    assert caught.value.facts["fields"] == "rate_cards"


@pytest.mark.parametrize(
    ("wrong", "refusal", "reason"),
    [
        (entry("1", resource="calls"), NotFound, "PRODUCT_USAGE_RESOURCE_NOT_FOUND"),
        (entry("1", product="other"), NotFound, "PRODUCT_USAGE_RESOURCE_NOT_FOUND"),
        (replace(entry("1"), card_id="other"), NotFound, "RATE_CARD_NOT_FOUND"),
        (replace(entry("1"), currency_code="EUR"), InvalidArgument, "CURRENCY_MISMATCH"),
        (replace(entry("1"), card_id="tier"), InvalidArgument, "FIELD_REQUIRED"),
        (replace(entry(), card_id="base"), InvalidArgument, "FIELD_REQUIRED"),
        (replace(entry("1"), per=Decimal(2)), InvalidArgument, "RATE_CARD_TYPE_MISMATCH"),
        (entry(tiers=(tier("0", "5", "1"), tier("4", "9", "1"))), InvalidArgument, "TIERS_INVALID"),
    ],
)
async def test_an_entry_that_makes_no_sense_is_refused(world, wrong, refusal, reason):
    with pytest.raises(refusal) as caught:
        await world.do(create_entry, wrong)

    assert caught.value.reason == reason


async def test_tiers_are_kept_in_order_and_gaps_of_one_step_of_the_unit_are_closed(world):
    steps = (tier("0", "10", "0", "PERCENTAGE"), tier("11", "60", "10", "PERCENTAGE"))
    whole = entry(tiers=steps, bounds=TierBounds.UPPER_INCLUSIVE)
    hundredths = (steps[0], tier("10.01", "60", "-0.5", "AMOUNT"))

    kept = [await world.do(create_entry, whole) for _ in range(2)]
    fine = await world.do(
        create_entry,
        entry(resource="data", tiers=hundredths, bounds=TierBounds.UPPER_INCLUSIVE),
    )

    assert kept[0] == kept[1] == await world.do(records.get, RATE_ENTRY, "tier", "sms-USD")
    assert [(t.lower, t.upper) for t in kept[0].content.tiers] == [(0, 10), (10, 60)]
    assert [(t.lower, t.adjustment.value) for t in fine.content.tiers] == [
        (0, 0),
        (10, Decimal("-0.5")),
    ]
    with pytest.raises(InvalidArgument, match="gap"):
        await world.do(create_entry, replace(whole, id="data", resource_id="data"))


async def test_what_is_not_there_is_not_found_whatever_its_case(world):
    await world.do(create_entry, entry("1", id="sms"))

    for kind, ids, reason in (
        (PRICE_BOOK, ("BOOK",), "PRICE_BOOK_NOT_FOUND"),
        (RATE_CARD, ("BASE",), "RATE_CARD_NOT_FOUND"),
        (RATE_ENTRY, ("base", "SMS"), "RATE_CARD_ENTRY_NOT_FOUND"),
        (RATE_ENTRY, ("tier", "sms"), "RATE_CARD_ENTRY_NOT_FOUND"),
    ):
        with pytest.raises(NotFound) as caught:
            await world.do(records.get, kind, *ids)
        assert caught.value.reason == reason


async def test_lists_go_by_id_after_the_last_one_seen_and_stay_within_the_tenant(world):
    other = RateWorld(world.pool, await add_tenant(world.pool))
    for id_ in ("a", "c", "B"):
        await world.do(create_entry, entry("1", id=id_))

    async def page(*parent, **more):
        found = await world.do(records.list_records, RATE_ENTRY, *parent, limit=2, **more)
        return [record.content.id for record in found]

    for parent in ((), ("base",)):
        assert await page(*parent, after=None) == ["B", "a"]
        assert await page(*parent, after=("base", "a")) == ["c"]
    cards = await world.do(records.list_records, RATE_CARD, after=("base",), limit=9)
    books = await world.do(records.list_records, PRICE_BOOK, after=None, limit=9)
    assert [record.content.id for record in (*cards, *books)] == ["tier", "book"]
    for kind in (RATE_CARD, RATE_ENTRY):
        assert await other.do(records.list_records, kind, after=None, limit=9) == []


async def test_active_entries_of_one_key_never_overlap(world):
    await world.do(create_entry, entry("1", id="one", end=date(2024, 2, 1)))
    await world.do(create_entry, entry("2", id="two", start=date(2024, 2, 1)))
    await world.activate()
    await world.do(create_entry, entry("3", id="three", start=date(2024, 1, 31)))

    with pytest.raises(asyncpg.ExclusionViolationError) as caught:
        await world.activate()

    assert caught.value.constraint_name == "rates_do_not_overlap"


async def test_the_service_keeps_reads_and_pages(world):
    """Every method but DiscoverRates, as the edge calls them."""
    begin_call(world)
    env = env_of(world)
    service = RateService(env, RateSnapshots(world.pool))
    priced = pb.RateCardEntry(
        product="products/plan", usage_resource="usageResources/sms", currency_code="USD"
    )
    priced.rate.value.value, priced.rate.currency_code = "2.50", "USD"

    made = [
        await service.CreateRateCardEntry(
            pb.CreateRateCardEntryRequest(
                parent="rateCards/base", rate_card_entry_id=f"e{i}", rate_card_entry=priced
            ),
            None,
        )
        for i in range(3)
    ]
    card = await service.CreateRateCard(
        pb.CreateRateCardRequest(rate_card_id="solo", rate_card=pb.RateCard(type="TIER")), None
    )
    book = await service.CreatePriceBook(
        pb.CreatePriceBookRequest(
            price_book_id="small", price_book=pb.PriceBook(rate_cards=[card.name])
        ),
        None,
    )

    assert made[0].rate.value.value == "2.5"
    request = pb.GetRateCardEntryRequest(name=made[0].name)
    assert await service.GetRateCardEntry(request, None) == made[0]
    assert await service.GetRateCard(pb.GetRateCardRequest(name=card.name), None) == card
    assert await service.GetPriceBook(pb.GetPriceBookRequest(name=book.name), None) == book
    cards = await service.ListRateCards(pb.ListRateCardsRequest(), None)
    books = await service.ListPriceBooks(pb.ListPriceBooksRequest(), None)
    assert [one.name for one in cards.rate_cards][1:] == ["rateCards/solo", "rateCards/tier"]
    assert list(books.price_books)[1:] == [book]

    pages, token = [], ""
    while not pages or token:
        page = await service.ListRateCardEntries(
            pb.ListRateCardEntriesRequest(parent="rateCards/base", page_size=2, page_token=token),
            None,
        )
        pages.append(list(page.rate_card_entries))
        token = page.next_page_token
    assert pages == [made[:2], made[2:]]
