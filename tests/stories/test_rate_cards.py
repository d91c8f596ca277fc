"""Price books, rate cards and entries: kept, found, changed, withdrawn and deleted."""

import asyncio

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage.v1 import catalog_service_pb2 as rpc
from usage.v1 import rate_service_pb2 as rates

from clients.pages import pages
from tests.stories.rate_words import (
    ACTIVE,
    DRAFT,
    INACTIVE,
    add,
    add_all,
    adding,
    book,
    card,
    delete,
    get,
    move,
    priced,
    put,
    refusal,
    update,
)
from tests.stories.words import Metered, day, figure, line
from tests.stories.world import World


async def shop(sandbox, *metered: Metered) -> World:
    """A plan in force, without rates unless told, and a book of two cards."""
    world = await sandbox("2024-01-15")
    await world.product("plan", *(metered or (Metered(resource="data"), Metered(resource="sms"))))
    return world


async def listed(world: World, parent: str = "rateCards/-", **only) -> list[str]:
    request = rates.ListRateCardEntriesRequest(parent=parent, page_size=2, **only)
    found = pages(world.client.rates.ListRateCardEntries, request)
    return [one.name.removeprefix("rateCards/") async for one in found]


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
    both = await refusal(listed(world, currency_code="USD", token_unit="unitsOfMeasure/t"))
    assert both.reason == "CURRENCY_MISMATCH"
    assert (await refusal(listed(world, "rateCards/none"))).reason == "RATE_CARD_NOT_FOUND"


@pytest.mark.capability("M42")
async def test_a_draft_changes_and_what_is_in_force_only_ends_later(sandbox):
    """M04, M05, M07: of entries."""
    world = await shop(sandbox)
    draft = await add(world, "base/usd", priced("data", "2", end="2024-02-01"))
    never = await world.discover("plan", "data")

    change = priced("data", "3", per="10", end="2024-03-01", name=draft.name, etag=draft.etag)
    drafted = await update(world, change, "rate", "end_date")
    stale = await refusal(update(world, change, "rate"))
    await move(world, ACTIVE, draft.name)
    dearer = await refusal(update(world, priced("data", "4", name=draft.name), "rate"))
    sooner = await refusal(
        update(world, priced("data", end="2024-02-01", name=draft.name), "end_date")
    )
    later = await update(world, priced("data", end="2024-04-01", name=draft.name), "end_date")
    found = await world.discover("plan", "data")
    kept = await refusal(delete(world, draft.name))
    back = await refusal(move(world, DRAFT, draft.name))

    assert "RATE_NOT_FOUND" in str(never.status)
    assert (figure(drafted.rate.value), figure(drafted.rate.per)) == (3, 10)
    assert stale.reason == "ETAG_MISMATCH"
    assert dearer.reason == sooner.reason == "ACTIVE_IMMUTABLE"
    assert (dearer.facts["state"], dearer.facts["fields"]) == ("ACTIVE", "rate")
    assert (later.end_date, figure(later.rate.value)) == (day("2024-04-01"), 3)
    assert figure(found.terms.rate.value) == 3
    assert (kept.reason, back.reason) == ("IN_USE", "STATE_TRANSITION")
    assert (back.facts["from"], back.facts["to"]) == ("ACTIVE", "DRAFT")

    assert await move(world, INACTIVE, draft.name) == [draft.name]
    assert await move(world, INACTIVE, draft.name) == []
    assert "RATE_NOT_FOUND" in str((await world.discover("plan", "data")).status)
    assert await move(world, ACTIVE, draft.name) == [draft.name]
    assert figure((await world.discover("plan", "data")).terms.rate.value) == 3
    await move(world, INACTIVE, draft.name)
    await delete(world, draft.name)
    gone = await refusal(get(world, draft.name))
    assert gone.reason == "RATE_CARD_ENTRY_NOT_FOUND"


async def test_a_change_of_an_entry_keeps_the_rules_of_the_whole(sandbox):
    world = await shop(sandbox)
    base = await add(world, "base/usd", priced("data", "2"))
    steps = await add(world, "tiers/usd", priced("data", None, ("0", "10", "PERCENTAGE", "5")))

    async def wrong(change: rates.RateCardEntry, *paths: str) -> str:
        return (await refusal(update(world, change, *paths))).reason

    assert await wrong(priced("data", name=base.name), "rate") == "FIELD_REQUIRED"
    assert await wrong(priced("none", name=base.name), "usage_resource") == (
        "PRODUCT_USAGE_RESOURCE_NOT_FOUND"
    )
    assert await wrong(priced("data", "1", name=base.name, currency="EUR"), "rate") == (
        "CURRENCY_MISMATCH"
    )
    assert await wrong(priced("data", name=base.name), "state") == "FIELD_MASK_INVALID"
    overlap = (("0", "10", "PERCENTAGE", "5"), ("9", None, "PERCENTAGE", "6"))
    assert await wrong(priced("data", None, *overlap, name=steps.name), "tiers") == "TIERS_INVALID"
    assert await get(world, steps.name) == steps
    more = priced("sms", None, ("0", "5", "OVERRIDE", "2"), ("5", None, "OVERRIDE", "1"))
    more.name = steps.name
    changed = await update(world, more, "*")
    assert changed.tiers.tiers == more.tiers.tiers
    assert changed.usage_resource == "usageResources/sms"


async def test_of_entries_all_move_or_none_and_both_that_overlap_are_named(sandbox):
    world = await shop(sandbox)
    await add_all(
        world,
        [
            adding("base/first", priced("data", "1", end="2024-02-01")),
            adding("base/second", priced("data", "2", start="2024-02-01")),
            adding("base/third", priced("data", "3", start="2024-03-01")),
            adding("base/other", priced("sms", "4")),
        ],
    )
    first, second, third, other = (
        f"rateCards/base/entries/{one}" for one in ("first", "second", "third", "other")
    )

    among = await refusal(move(world, ACTIVE, first, second, third, other))
    assert await listed(world, state=ACTIVE) == []
    assert await move(world, ACTIVE, other, second, first) == [first, other, second]
    behind = await refusal(move(world, ACTIVE, third))
    longer = await refusal(update(world, priced("data", end="2024-02-02", name=first), "end_date"))

    assert among.reason == behind.reason == longer.reason == "RATE_OVERLAP"
    assert {among.facts["name"], among.facts["other"]} == {second, third}
    assert (behind.facts["name"], behind.facts["other"]) == (third, second)
    assert (longer.facts["name"], longer.facts["other"]) == (first, second)
    assert (await refusal(move(world, ACTIVE, first, "rateCards/base/entries/no"))).reason == (
        "RATE_CARD_ENTRY_NOT_FOUND"
    )
    assert await move(world, INACTIVE, second) == [second]
    assert await move(world, ACTIVE, third) == [third]


async def test_of_two_that_overlap_and_are_activated_at_once_one_comes_into_force(sandbox):
    world = await shop(sandbox)
    names = [(await add(world, f"base/{i}", priced("data", f"{i}"))).name for i in range(1, 6)]

    outcomes = await asyncio.gather(
        *(move(world, ACTIVE, name) for name in names), return_exceptions=True
    )

    [winner] = [name for name, one in zip(names, outcomes, strict=True) if one == [name]]
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert {one.reason for one in refused} == {"RATE_OVERLAP"}
    assert {one.facts["other"] for one in refused} == {winner}
    assert len({one.facts["name"] for one in refused}) == len(refused) == 4


async def test_a_rate_comes_into_force_with_what_it_prices_and_not_before(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="data"), activate=False)
    made = await add(world, "base/usd", priced("data", "1"))

    early = await refusal(move(world, ACTIVE, made.name))
    await world.activate("plan")

    assert (early.reason, early.facts["name"]) == ("RESOURCE_INACTIVE", "products/plan")
    assert (await get(world, made.name)).state == ACTIVE


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
    assert (list(told.names), await listed(world)) == (["rateCards/base/entries/good"], [])
    assert await add_all(world, [good, good]) == ["rateCards/base/entries/good"] * 2
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


async def test_within_a_second_everybody_knows_the_rate_that_came_into_force(sandbox):
    world = await shop(sandbox)
    old = await put(world, "base/old", priced("data", "2"))
    asked = rates.RateQuestion(
        price_book="priceBooks/book",
        product="products/plan",
        usage_resource="usageResources/data",
        currency_code="USD",
        date=day("2024-01-15"),
    )

    async def cost() -> object:
        answer = await world.client.rates.DiscoverRates(
            rates.DiscoverRatesRequest(questions=[asked])
        )
        return figure(answer.answers[0].terms.rate.value)

    assert await cost() == 2
    await add(world, "base/new", priced("data", "3"))
    await move(world, INACTIVE, old)
    await move(world, ACTIVE, "rateCards/base/entries/new")
    await asyncio.sleep(1.0)

    assert await cost() == 3
