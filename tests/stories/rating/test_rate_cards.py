"""Price books, rate cards and entries: kept, found, changed, withdrawn and deleted."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import rate_service_pb2 as rates

from clients.pages import pages
from clients.values import enum_name
from tests.stories.rate_words import (
    ACTIVE,
    DRAFT,
    INACTIVE,
    add,
    add_all,
    adding,
    book,
    card,
    get,
    listed,
    move,
    priced,
    put,
    shop,
)
from tests.stories.words import Metered, day, figure, line, refusal, resources


def on(date: str) -> dict:
    return {"on_date": day(date)}


@pytest.mark.capability("M34")
async def test_rate_cards_have_a_type_and_days_and_are_found_by_them(sandbox):
    world = await sandbox("2024-01-15")
    await card(world, "old", end="2024-02-01", display_name="Last year's")
    await card(world, "new", start="2024-02-01")
    await card(world, "steps", "TIER", start="2024-01-01", end="2025-01-01")

    async def found(**only) -> list[str]:
        request = rates.ListRateCardsRequest(page_size=1, **only)
        listed_cards = pages(world.client.rates.ListRateCards, request)
        return [one.name.removeprefix("rateCards/") async for one in listed_cards]

    kept = await world.client.rates.GetRateCard(rates.GetRateCardRequest(name="rateCards/old"))

    assert (kept.type, kept.display_name) == (rates.RateCard.BASE, "Last year's")
    assert (kept.HasField("start_date"), kept.end_date) == (False, day("2024-02-01"))
    assert await found() == ["new", "old", "steps"]
    assert await found(type="BASE") == ["new", "old"]
    assert await found(type="TIER") == ["steps"]
    assert await found(**on("2024-01-31")) == ["old", "steps"]
    assert await found(**on("2024-02-01")) == ["new", "steps"]
    assert await found(type="BASE", **on("2025-01-01")) == ["new"]
    wrong = await refusal(card(world, "wrong", start="2024-02-01", end="2024-02-01"))
    assert wrong.reason == "INTERVAL_INVALID"


@pytest.mark.capability("M35")
async def test_a_price_book_has_one_card_of_each_type_now_and_later(sandbox):
    """R03, and other cards for a book that is there."""
    world = await shop(sandbox)
    await card(world, "other")
    await put(world, "base/usd", priced("data", "2"))
    await put(world, "other/usd", priced("data", "3"))

    def changed(*cards: str, **more) -> rates.UpdatePriceBookRequest:
        made = rates.PriceBook(name="priceBooks/book", rate_cards=cards, **more)
        mask = FieldMask(paths=["rate_cards"])
        return rates.UpdatePriceBookRequest(price_book=made, update_mask=mask)

    change = world.client.rates.UpdatePriceBook
    two = await refusal(book(world, "two", "base", "tiers", "other"))
    there = await refusal(change(changed("rateCards/base", "rateCards/other")))
    before = await world.discover("plan", "data")
    old = await world.client.rates.GetPriceBook(rates.GetPriceBookRequest(name="priceBooks/book"))
    new = await change(changed("rateCards/other", "rateCards/tiers", etag=old.etag))
    after = await world.discover("plan", "data")
    stale = await refusal(change(changed("rateCards/base", etag=old.etag)))

    assert two.reason == there.reason == "RATE_CARD_TYPE_TAKEN"
    assert there.code.name == "ALREADY_EXISTS"
    assert (there.facts["rate_card"], there.facts["other_rate_card"]) == ("other", "base")
    assert list(new.rate_cards) == ["rateCards/other", "rateCards/tiers"]
    assert [figure(one.terms.rate.value) for one in (before, after)] == [2, 3]
    assert stale.reason == "ETAG_MISMATCH"
    missing = await refusal(change(changed("rateCards/none")))
    assert missing.reason == "RATE_CARD_NOT_FOUND"


@pytest.mark.capability("M36")
async def test_an_entry_says_what_it_prices_for_whom_and_begins_as_a_draft(sandbox):
    world = await shop(sandbox)
    request = rpc.CreateSellingModelRequest(
        selling_model_id="yearly",
        selling_model={"type": "TERM", "term": {"unit": "YEAR", "count": 1}},
    )
    await world.client.catalog.CreateSellingModel(request)
    told = priced(
        "data",
        "2.5",
        per="1000",
        start="2024-01-01",
        negotiability="NON_NEGOTIABLE",
        selling_model="sellingModels/yearly",
    )

    made = await add(world, "base/yearly", told)
    again = await add(world, "base/yearly", told)
    plain = await add(world, "base/plain", priced("data", "3"))

    assert made == again == await get(world, "rateCards/base/entries/yearly")
    assert (made.state, plain.state) == (DRAFT, DRAFT)
    assert (figure(made.rate.value), figure(made.rate.per)) == (2.5, 1000)
    assert (made.currency_code, made.rate.currency_code) == ("USD", "USD")
    assert (made.product, made.usage_resource) == ("products/plan", "usageResources/data")
    assert made.selling_model == "sellingModels/yearly"
    assert [made.negotiability, plain.negotiability] == [
        rates.RateCardEntry.NON_NEGOTIABLE,
        rates.RateCardEntry.NEGOTIABLE,
    ]
    none = await refusal(add(world, "base/x", priced("data", "1", selling_model="sellingModels/x")))
    assert none.reason == "SELLING_MODEL_NOT_FOUND"


async def test_entries_are_listed_by_what_they_price(sandbox):
    world = await shop(sandbox)
    await put(world, "base/b", priced("data", "1", end="2024-02-01"))
    await add_all(
        world,
        [
            adding("base/a", priced("data", "1", currency="EUR", start="2024-02-01")),
            adding("base/c", priced("sms", "1")),
            adding("tiers/d", priced("sms", None, ("0", None, "PERCENTAGE", "5"))),
        ],
    )

    assert await listed(world) == [
        "base/entries/a",
        "base/entries/b",
        "base/entries/c",
        "tiers/entries/d",
    ]
    assert await listed(world, "rateCards/base", state=DRAFT) == [
        "base/entries/a",
        "base/entries/c",
    ]
    assert await listed(world, state=ACTIVE) == ["base/entries/b"]
    assert await listed(world, usage_resource="usageResources/sms") == [
        "base/entries/c",
        "tiers/entries/d",
    ]
    assert await listed(world, product="products/none") == []
    assert await listed(world, currency_code="EUR") == ["base/entries/a"]
    assert await listed(world, "rateCards/base", currency_code="USD", **on("2024-02-01")) == [
        "base/entries/c"
    ]
    assert (await refusal(listed(world, "rateCards/none"))).reason == "RATE_CARD_NOT_FOUND"


async def test_entries_are_added_by_the_thousand_all_or_none(sandbox):
    world = await shop(sandbox)
    good = adding("base/good", priced("data", "1"))
    bad = adding("base/bad", priced("data", "1", currency="EUR"))
    bad.rate_card_entry.currency_code = "USD"
    absent = adding("base/none", priced("none", "1"))
    other = adding("base/GOOD", priced("data", "2"))

    malformed = adding("base/bad", priced("data", "1e3"))
    for requests, reason, field in (
        ([good, bad], "CURRENCY_MISMATCH", "requests[1].rate_card_entry.rate.currency_code"),
        ([good, malformed], "DECIMAL_FORMAT", "requests[1].rate_card_entry.rate.value"),
        ([good, absent], "PRODUCT_USAGE_RESOURCE_NOT_FOUND", "requests[1].rate_card_entry"),
        ([good, other], "CODE_TAKEN", "requests[1].rate_card_entry"),
        ([], "FIELD_REQUIRED", "requests"),
        ([good] * 1_001, "TOO_MANY_ITEMS", "requests"),
    ):
        refused = await refusal(add_all(world, requests))
        assert (refused.reason, refused.facts["field"]) == (reason, field)
    assert await listed(world) == []

    dry = rates.BatchCreateRateCardEntriesRequest(requests=[good], validate_only=True)
    told = await world.client.rates.BatchCreateRateCardEntries(dry)
    assert resources(told, "CREATED") == ["rateCards/base/entries/good"]
    assert await listed(world) == []
    twice = rates.BatchCreateRateCardEntriesRequest(requests=[good, good])
    made = await world.client.rates.BatchCreateRateCardEntries(twice)
    assert [enum_name(one, "outcome") for one in made.outcomes] == ["CREATED", "UNCHANGED"]
    assert await add_all(world, [good]) == ["rateCards/base/entries/good"]


async def test_a_card_changes_its_days_and_goes_when_no_book_has_it(sandbox):
    """M05: what is in the way is named."""
    world = await shop(sandbox)
    await card(world, "spare")
    await put(world, "base/usd", priced("data", "2"))
    await add(world, "spare/one", priced("data", "2"))
    in_use = await put(world, "spare/two", priced("sms", "2"))

    def changed(**fields) -> rates.UpdateRateCardRequest:
        made = rates.RateCard(name="rateCards/base", **fields)
        return rates.UpdateRateCardRequest(
            rate_card=made, update_mask=FieldMask(paths=["end_date"])
        )

    def gone(name: str, **more) -> rates.DeleteRateCardRequest:
        return rates.DeleteRateCardRequest(name=f"rateCards/{name}", **more)

    rpcs = world.client.rates
    ended = await rpcs.UpdateRateCard(changed(end_date=day("2024-01-15"), type="TIER"))
    after = await world.discover("plan", "data")
    before = await world.discover("plan", "data", date=day("2024-01-14"))
    typed = await refusal(
        rpcs.UpdateRateCard(
            rates.UpdateRateCardRequest(
                rate_card=changed().rate_card, update_mask=FieldMask(paths=["type"])
            )
        )
    )
    booked = await refusal(rpcs.DeleteRateCard(gone("base", force=True)))
    full = await refusal(rpcs.DeleteRateCard(gone("spare")))
    active = await refusal(rpcs.DeleteRateCard(gone("spare", force=True)))
    stale = await refusal(rpcs.DeleteRateCard(gone("spare", force=True, etag='"7"')))
    await move(world, INACTIVE, in_use)
    await rpcs.DeleteRateCard(gone("spare", force=True))

    assert (ended.type, ended.end_date) == (rates.RateCard.BASE, day("2024-01-15"))
    assert ("RATE_NOT_FOUND" in str(after.status), figure(before.terms.rate.value)) == (True, 2)
    assert typed.reason == "FIELD_MASK_INVALID"
    assert booked.reason == full.reason == active.reason == "IN_USE"
    assert [one.field for one in booked.violations] == [
        "priceBooks/book",
        "rateCards/base/entries/usd",
    ]
    assert [one.field for one in full.violations] == [
        "rateCards/spare/entries/one",
        "rateCards/spare/entries/two",
    ]
    assert [one.field for one in active.violations] == ["rateCards/spare/entries/two"]
    assert stale.reason == "ETAG_MISMATCH"
    assert await listed(world) == ["base/entries/usd"]


async def test_a_book_goes_when_nothing_was_sold_by_it(sandbox):
    world = await shop(sandbox, Metered(resource="data", rate="1"))
    account = await world.account("ann")
    await world.quote(account, line("plan", "2024-01-01"))
    await book(world, "spare", "base")
    name = rates.UpdatePriceBookRequest(
        price_book=rates.PriceBook(name="priceBooks/spare", display_name="Spare"),
        update_mask=FieldMask(paths=["display_name"]),
    )

    named = await world.client.rates.UpdatePriceBook(name)
    sold = await refusal(
        world.client.rates.DeletePriceBook(rates.DeletePriceBookRequest(name="priceBooks/book"))
    )
    await world.client.rates.DeletePriceBook(
        rates.DeletePriceBookRequest(name="priceBooks/spare", etag=named.etag)
    )

    assert (named.display_name, list(named.rate_cards)) == ("Spare", ["rateCards/base"])
    assert sold.reason == "IN_USE"
    left = await world.client.rates.ListPriceBooks(rates.ListPriceBooksRequest())
    assert [one.name for one in left.price_books] == ["priceBooks/book"]
