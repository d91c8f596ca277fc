"""Discounts for all resources of a commitment: what they come to, and what goes before them."""

from typing import Any

import pytest
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import validation_service_pb2 as validation

from tests.stories.bill_words import owed
from tests.stories.rate_words import (
    ACTIVE,
    DISCOUNT,
    DISCOUNTS,
    Step,
    add,
    add_all,
    adding,
    adjusted,
    card,
    get,
    listed,
    move,
    priced,
    put,
    update,
)
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import figure, line, refusal

CREDIT = "unitsOfMeasure/credit"
HELD = "\n- product_usage_resource: {{usage_resource: usageResources/{0}}}"
ALL = """
rate_card_entries:
- name: rateCards/tiers/entries/commit-all
  token_unit: unitsOfMeasure/credit
  tiers: {{tiers: [{{adjustment: {{kind: PERCENTAGE, value: {0}}}}}]}}
"""


@pytest.mark.capability("M52")
@pytest.mark.parametrize(
    ("discounts", "tokens"),
    [
        # X20: 25,000 and 500 tokens at −10 %, once and for all.
        (HELD.format("minutes") + HELD.format("storage") + ALL.format(10), (22_500, 450)),
        (DISCOUNT.format("minutes", 10) + DISCOUNT.format("storage", 10), (22_500, 450)),
        # X20: what says its own goes before what is said for all.
        (HELD.format("minutes") + DISCOUNT.format("storage", 4) + ALL.format(5), (23_750, 480)),
        (HELD.format("storage") + DISCOUNT.format("minutes", 5) + ALL.format(4), (23_750, 480)),
    ],
)
async def test_one_discount_is_for_all_resources_but_those_with_their_own(
    sandbox, discounts, tokens
):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"minutes": "5", "storage": "10"}, Credits(price="1")))
    await set_up(world, DISCOUNTS + discounts)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    [sold] = await world.sell(account, linked("commit", "2024-01-01", asset))

    await world.use(asset, "minutes", "2024-01-10", 5_000)
    await world.use(asset, "storage", "2024-01-11", 50)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    assert [bool(one.terms.tiers.tiers) for one in sold.resources] == [True, True]
    amounts = {
        one.usage_resource.partition("/")[2]: figure(one.amount)
        for one in await world.ratable(account)
        if one.token_unit
    }
    assert amounts == dict(zip(("minutes", "storage"), tokens, strict=True))
    assert figure(live.overage_quantity) == sum(tokens)
    assert await owed(world, account) == {"credits": (sum(tokens), sum(tokens))}


def for_all(*steps: Step, **fields: Any) -> rates.RateCardEntry:
    """Tiers for all resources of a commitment."""
    made = priced("data", None, *steps, **{"product": "commit", "currency": CREDIT} | fields)
    made.ClearField("usage_resource")
    return made


async def test_only_discounts_of_commitments_are_for_all_resources(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"data": "5", "sms": "1"}, Credits(price="1")))
    await set_up(world, DISCOUNTS + HELD.format("data") + DISCOUNT.format("sms", 4))
    await card(world, "regions", "ATTRIBUTE")
    base, regions = priced("data", "2"), adjusted("data", ({"region": "eu"}, "PERCENTAGE", "5"))
    for other in (base, regions):
        other.product = "products/commit"
        other.ClearField("usage_resource")
    tenth = ("0", None, "PERCENTAGE", "10")

    for name, entry, reason in (
        ("base/all", base, "FIELD_REQUIRED"),
        ("regions/all", regions, "FIELD_REQUIRED"),
        ("tiers/plan", for_all(tenth, product="plan"), "FIELD_REQUIRED"),
        ("tiers/none", for_all(tenth, product="none"), "PRODUCT_NOT_FOUND"),
        ("tiers/price", for_all(("0", None, "OVERRIDE", "1")), "TIERS_INVALID"),
    ):
        assert (await refusal(add(world, name, entry))).reason == reason, name
    refused = await refusal(add_all(world, [adding("tiers/one", for_all(tenth, product="plan"))]))
    assert refused.facts["field"] == "requests[0].rate_card_entry.usage_resource"

    made = await put(world, "tiers/all", for_all(tenth, end="2024-06-01"))
    second = await add(world, "tiers/second", for_all(tenth, start="2024-05-01"))
    overlap = await refusal(move(world, ACTIVE, second.name))
    assert (overlap.reason, overlap.facts["other"]) == ("RATE_OVERLAP", made)
    later = for_all(tenth, start="2024-06-01")
    later.name = second.name
    await update(world, later, "start_date")
    await move(world, ACTIVE, second.name)
    assert (await get(world, made)).usage_resource == ""
    of_product = await listed(world, product="products/commit")
    assert of_product == ["tiers/entries/all", "tiers/entries/commit-sms", "tiers/entries/second"]
    assert await listed(world, usage_resource="usageResources/data") == ["base/entries/plan-data"]


async def test_a_look_up_finds_the_discount_for_all_where_there_is_no_other(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"data": "5", "sms": "1"}, Credits(price="1")))
    await set_up(world, DISCOUNTS + HELD.format("data") + DISCOUNT.format("sms", 4))
    for resource in ("data", "sms"):
        cost = priced(resource, "5", product="commit", currency=CREDIT)
        await put(world, f"base/commit-{resource}", cost)
    made = await put(world, "tiers/all", for_all(("0", None, "PERCENTAGE", "10")))

    asked = [
        rates.RateQuestion(
            price_book="priceBooks/book",
            product="products/commit",
            usage_resource=f"usageResources/{resource}",
            token_unit=CREDIT,
        )
        for resource in ("data", "sms")
    ]
    request = rates.DiscoverRatesRequest(
        questions=asked, freshness="FULLY_CONSISTENT", explain=True
    )
    of_data, of_sms = (await world.client.rates.DiscoverRates(request)).answers

    assert of_data.terms.tier_entry == made
    assert of_sms.terms.tier_entry == "rateCards/tiers/entries/commit-sms"
    assert [(one.entry, one.Reason.Name(one.reason)) for one in of_sms.rejected_candidates] == [
        (made, "RESOURCE_FIRST")
    ]


async def test_a_setup_says_what_is_wrong_with_a_discount_for_all(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"data": "5"}, Credits(price="1")))
    commit = DISCOUNTS + HELD.format("data") + ALL.format(10)
    anchor = commit.replace("TOKEN_COMMITMENT", "ANCHOR")
    twice = commit.replace("token_unit", "usage_resource: usageResources/data\n  token_unit")

    of_anchor = await refusal(set_up(world, anchor))
    named = await refusal(set_up(world, twice))
    first = await set_up(world, commit)
    again = await set_up(world, commit)

    path = "rate_card_entries[0].usage_resource"
    assert (of_anchor.reason, of_anchor.facts["field"]) == ("FIELD_REQUIRED", path)
    assert (named.reason, named.facts["field"]) == ("NAME_FORMAT", path)
    entry = "rateCards/tiers/entries/commit-all"
    done = [one.Action.Name(one.action) for one in first.steps if one.name == entry]
    assert done == ["CREATED", "ACTIVATED"]
    assert [one.Action.Name(one.action) for one in again.steps if one.name == entry] == [
        "UNCHANGED"
    ]


async def test_a_discount_for_all_cannot_end_with_what_is_not_granted(sandbox):
    world = await sandbox("2024-01-15")
    await set_up(world, described("plan", {"data": "5"}, Credits(price="1")))
    bounded = HELD.format("data").replace("data", "data, policies: {commitment_policy: {0}}")
    policy = "commitmentPolicies/bounded"
    text = DISCOUNTS + HELD.format("credits") + bounded.replace("{0}", policy) + ALL.format(10)
    text += f"commitment_policies: [{{name: {policy}, rate: BOUNDED}}]\n"
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    refused = await refusal(world.quote(account, linked("commit", "2024-01-01", asset)))
    request = validation.ValidateProductsRequest(products=["products/commit"])
    [found] = (await world.client.validation.ValidateProducts(request)).products

    assert (refused.reason, refused.facts["usage_resource"]) == ("RATE_UNREACHABLE", "data")
    assert "RATE_UNREACHABLE" in [one.rule.id for one in found.results]
