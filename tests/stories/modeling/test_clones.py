"""Clones: drafts that are copies of a product, a rate card or a price book."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import rate_service_pb2 as rates

from clients.pages import pages
from tests.stories.catalog_words import move as move_records
from tests.stories.rate_words import (
    ACTIVE,
    DRAFT,
    INACTIVE,
    add,
    book,
    card,
    get,
    listed,
    move,
    priced,
    put,
    shop,
)
from tests.stories.words import Metered, day, figure, line, number, refusal
from tests.stories.world import World

CALLS = Metered(resource="calls", grant="10", refresh="MONTH", rate="1")
OWN = ("name", "state", "etag", "create_time", "update_time", "created_by", "updated_by")


def content(record: Any, *more: str) -> dict[str, Any]:
    """The fields of a record that a copy has too."""
    found = {field.name: value for field, value in record.ListFields()}
    return {name: value for name, value in found.items() if name not in (*OWN, *more)}


async def clone(world: World, product_id: str = "copy", **more: Any) -> catalog.Product:
    request = rpc.CloneProductRequest(name="products/plan", product_id=product_id, **more)
    return await world.client.catalog.CloneProduct(request)


async def held_of(world: World, product: str) -> list[catalog.ProductUsageResource]:
    request = rpc.ListProductUsageResourcesRequest(parent=f"products/{product}")
    return list(
        (await world.client.catalog.ListProductUsageResources(request)).product_usage_resources
    )


async def grants_of(world: World, product: str) -> list[catalog.ProductUsageGrant]:
    request = rpc.ListProductUsageGrantsRequest(parent=f"products/{product}", page_size=1000)
    return list((await world.client.catalog.ListProductUsageGrants(request)).product_usage_grants)


async def test_a_clone_of_a_product_is_a_draft_with_all_its_parts(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS, Metered(resource="data", grant="5", rate="2"))
    source = await world.client.catalog.GetProduct(rpc.GetProductRequest(name="products/plan"))

    made = await clone(world, display_name="Plan, again")

    assert (made.name, made.display_name, made.state) == ("products/copy", "Plan, again", DRAFT)
    assert content(made, "display_name") == content(source, "display_name")
    for parts, reference in ((held_of, ""), (grants_of, "product_usage_resource")):
        old, new = await parts(world, "plan"), await parts(world, "copy")
        assert [one.name for one in new] == [one.name.replace("plan", "copy", 1) for one in old]
        assert [content(one, reference) for one in new] == [content(one, reference) for one in old]
        assert {one.state for one in old} == {ACTIVE}
        assert {one.state for one in new} == {DRAFT}
    assert [one.product_usage_resource for one in await grants_of(world, "copy")] == [
        "products/copy/usageResources/calls",
        "products/copy/usageResources/data",
    ]
    assert await listed(world, product="products/copy") == []


async def test_a_clone_can_be_priced_activated_and_sold(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    await clone(world)
    await add(world, "base/copy-calls", priced("calls", "3", product="copy"))
    await world.activate("copy")

    quote = await world.quote(await world.account("ann"), line("copy", "2024-02-01"))
    answer = await world.discover("copy", "calls")

    [sold] = quote.lines[0].resources
    assert [figure(grant.quantity) for grant in sold.grants] == [10]
    assert figure(answer.terms.rate.value) == 3


async def test_what_was_withdrawn_is_left_out_of_a_clone(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS, Metered(resource="data", grant="5", rate="2"))
    await move_records(
        world, INACTIVE, "products/plan/grants/data-grant", "products/plan/usageResources/data"
    )
    await world.client.catalog.CreateProductUsageGrant(
        rpc.CreateProductUsageGrantRequest(
            parent="products/plan",
            product_usage_grant_id="draft-of-data",
            product_usage_grant=catalog.ProductUsageGrant(
                product_usage_resource="products/plan/usageResources/data", quantity=number(1)
            ),
        )
    )

    await clone(world)

    assert [one.name for one in await held_of(world, "copy")] == [
        "products/copy/usageResources/calls"
    ]
    assert [one.name for one in await grants_of(world, "copy")] == [
        "products/copy/grants/calls-grant"
    ]
    await world.activate("copy")


async def test_a_clone_can_be_repeated_and_is_not_put_over_something_else(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)

    preview = await clone(world, validate_only=True)
    missing = await refusal(
        world.client.catalog.GetProduct(rpc.GetProductRequest(name="products/copy"))
    )
    made = await clone(world, request_id="clone-0001")
    again, keyed = await clone(world), await clone(world, request_id="clone-0001")
    other = catalog.Product(usage_model_type="ANCHOR")
    await world.client.catalog.CreateProduct(
        rpc.CreateProductRequest(product_id="empty", product=other)
    )
    taken = await refusal(clone(world, "empty"))
    renamed = await refusal(clone(world, display_name="Another"))
    itself = await refusal(clone(world, "plan"))

    assert (preview.name, missing.reason) == (made.name, "PRODUCT_NOT_FOUND")
    assert made == again == keyed
    assert [one.reason for one in (taken, renamed)] == ["CODE_TAKEN"] * 2
    assert renamed.facts["fields"] == "display_name"
    assert await held_of(world, "empty") == []
    assert itself.reason == "CODE_TAKEN"
    assert "is ACTIVE; a copy is a draft" in itself.message


async def test_a_clone_of_a_product_has_at_most_two_hundred_records(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    quantity = number(1)
    creations = [
        rpc.CatalogRecord(
            product_usage_grant=rpc.CreateProductUsageGrantRequest(
                parent="products/plan",
                product_usage_grant_id=f"more-{index}",
                product_usage_grant=catalog.ProductUsageGrant(
                    product_usage_resource="products/plan/usageResources/calls", quantity=quantity
                ),
            )
        )
        for index in range(198)
    ]
    await world.client.catalog.CreateRecords(rpc.CreateRecordsRequest(records=creations[:-1]))
    await clone(world, "largest")
    await world.client.catalog.CreateRecords(rpc.CreateRecordsRequest(records=creations[-1:]))

    refused = await refusal(clone(world))

    assert len(await grants_of(world, "largest")) == 198
    assert (refused.reason, refused.facts["got"]) == ("TOO_MANY_ITEMS", "201")


async def test_a_clone_of_a_rate_card_has_the_entries_that_were_not_withdrawn(sandbox):
    world = await shop(sandbox)
    await put(world, "base/data-1", priced("data", "2", end="2024-03-01"))
    await add(world, "base/sms-1", priced("sms", "3"))
    gone = await put(world, "base/sms-0", priced("sms", "4"))
    await move(world, INACTIVE, gone)
    request = rates.CloneRateCardRequest(name="rateCards/base", rate_card_id="base-2")
    preview = rates.CloneRateCardRequest(validate_only=True)
    preview.MergeFrom(request)
    assert (await world.client.rates.CloneRateCard(preview)).name == "rateCards/base-2"
    missing = await refusal(listed(world, "rateCards/base-2"))

    made = await world.client.rates.CloneRateCard(request)
    again = await world.client.rates.CloneRateCard(request)

    assert missing.reason == "RATE_CARD_NOT_FOUND"
    assert (made, made.name) == (again, "rateCards/base-2")
    assert await listed(world, "rateCards/base-2") == [
        "base-2/entries/data-1",
        "base-2/entries/sms-1",
    ]
    old = await get(world, "rateCards/base/entries/data-1")
    new = await get(world, "rateCards/base-2/entries/data-1")
    assert content(new) == content(old)
    assert (old.state, new.state) == (ACTIVE, DRAFT)
    await add(world, "base/data-2", priced("data", "5", start="2024-03-01"))
    grown = await refusal(world.client.rates.CloneRateCard(request))
    assert grown.reason == "CODE_TAKEN"


async def test_a_clone_of_a_price_book_has_clones_of_its_cards(sandbox):
    world = await shop(sandbox)
    await card(world, "steps", "TIER", start="2024-01-01")
    await book(world, "shop", "base", "steps")
    await put(world, "base/data-1", priced("data", "2"))
    await put(world, "steps/data-1", priced("data", None, ("0", "10", "PERCENTAGE", "5")))
    request = rates.ClonePriceBookRequest(
        name="priceBooks/shop", price_book_id="outlet", display_name="Outlet"
    )

    preview = await world.client.rates.ClonePriceBook(
        rates.ClonePriceBookRequest(
            name="priceBooks/shop", price_book_id="outlet", validate_only=True
        )
    )
    made = await world.client.rates.ClonePriceBook(request)
    again = await world.client.rates.ClonePriceBook(request)
    free = await world.discover("plan", "data", price_book=made.name)
    await move(
        world,
        ACTIVE,
        "rateCards/outlet-base/entries/data-1",
        "rateCards/outlet-tier/entries/data-1",
    )
    mask = FieldMask(paths=["end_date"])
    ended = rates.RateCard(name="rateCards/outlet-tier", end_date=day("2024-02-01"))
    await world.client.rates.UpdateRateCard(
        rates.UpdateRateCardRequest(rate_card=ended, update_mask=mask)
    )

    assert list(made.rate_cards) == ["rateCards/outlet-base", "rateCards/outlet-tier"]
    assert list(preview.rate_cards) == list(made.rate_cards)
    assert (made, made.display_name) == (again, "Outlet")
    assert free.status.details
    costs = []
    for name in ("shop", "outlet"):
        where = {"price_book": f"priceBooks/{name}", "quantity": number(4)}
        answers = [
            await world.discover("plan", "data", date=day(date), **where)
            for date in ("2024-01-15", "2024-02-01")
        ]
        costs.append([str(figure(one.amount)) for one in answers])
    assert costs == [["7.6", "7.6"], ["7.6", "8"]]
    cards = pages(world.client.rates.ListRateCards, rates.ListRateCardsRequest())
    assert [one.name async for one in cards] == [
        "rateCards/base",
        "rateCards/outlet-base",
        "rateCards/outlet-tier",
        "rateCards/steps",
        "rateCards/tiers",
    ]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (rates.CloneRateCardRequest(name="rateCards/no", rate_card_id="x"), "RATE_CARD_NOT_FOUND"),
        (rates.CloneRateCardRequest(name="rateCards/base", rate_card_id="a b"), "CODE_FORMAT"),
        (rates.CloneRateCardRequest(name="rateCards/base", rate_card_id="tiers"), "CODE_TAKEN"),
        (
            rates.ClonePriceBookRequest(name="priceBooks/no", price_book_id="x"),
            "PRICE_BOOK_NOT_FOUND",
        ),
        (
            rates.ClonePriceBookRequest(name="priceBooks/book", price_book_id="b" * 60),
            "CODE_FORMAT",
        ),
    ],
    ids=str,
)
async def test_a_clone_that_cannot_be_made_is_refused(sandbox, request_, reason):
    world = await shop(sandbox)
    is_card = isinstance(request_, rates.CloneRateCardRequest)
    call = world.client.rates.CloneRateCard if is_card else world.client.rates.ClonePriceBook

    assert (await refusal(call(request_))).reason == reason


async def test_a_rate_card_with_other_entries_under_the_same_ids_is_no_copy(sandbox):
    world = await shop(sandbox, CALLS)
    await world.activate("plan")
    await card(world, "other", "BASE")
    await put(world, "other/calls", priced("calls", "7"))
    request = rates.CloneRateCardRequest(name="rateCards/base", rate_card_id="other")
    onto = await refusal(world.client.rates.CloneRateCard(request))

    assert (onto.reason, onto.facts["name"]) == ("CODE_TAKEN", "rateCards/other")
