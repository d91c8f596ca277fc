"""A product with all it needs in one call: shared policies, plans, repeats, two at once."""

import asyncio
import re
from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import catalog_service_pb2 as catalog_rpc

from clients import UsageError
from tests.stories.setup_words import (
    SHARED,
    Step,
    by_action,
    described,
    example,
    policy_names,
    product_names,
    request,
    sell,
)
from tests.stories.words import day, figure, money, refusal


@pytest.mark.capability("M32.reuse")
async def test_the_second_product_shares_the_policies_of_the_first(sandbox):
    world = await sandbox("2026-01-01")

    first = by_action(await world.client.setup.SetUpProduct(request(described("one"))))
    before = await policy_names(world)
    second = by_action(
        await world.client.setup.SetUpProduct(request(described("two", "texts", "calls")))
    )

    assert before == SHARED == set(first["CREATED"]) & SHARED
    assert await policy_names(world) == SHARED
    assert set(second["REUSED"]) > SHARED
    assert {"products/two", "usageResources/calls"} <= set(second["CREATED"])
    assert sorted(await product_names(world)) == ["products/one", "products/two"]


DEPENDENCE = (
    "unitClasses/messages",
    "unitsOfMeasure/message",
    "aggregationPolicies/sum-daily",
    "refreshPolicies/refresh-1-month",
    "usageResources/texts",
    "products/telecom-plan",
    "products/telecom-plan/usageResources/texts",
    "products/telecom-plan/grants/included-texts",
    "rateCards/list/entries/telecom-plan-texts",
)


@pytest.mark.capability("M31", "M32.anchor")
async def test_a_product_can_be_sold_after_one_call(sandbox):
    world = await sandbox("2026-01-01")

    answer = by_action(await world.client.setup.SetUpProduct(example("telecom")))
    account = await world.account("acme")
    [asset] = await sell(world, account, "priceBooks/standard", "telecom-plan")
    await world.advance("2026-01-31")
    await world.use(asset, "texts", "2026-01-10T12:00", 4500)
    await world.use(asset, "data", "2026-01-10T12:00", 102)
    await world.use(asset, "calls", "2026-01-10T12:00", 60)
    other = await world.account("other")
    [second] = await sell(world, other, "priceBooks/standard", "telecom-plan")
    await world.use(second, "texts", "2026-01-10T12:00", 4100)
    calls, texts = await world.wallet(account, "calls"), await world.wallet(other, "texts")
    await world.advance("2026-02-05")
    lines = {one.usage_resource: money(one.amount) for one in await world.liable(account)}

    activated = answer["ACTIVATED"]
    order_of = [activated.index(name) for name in DEPENDENCE]
    assert order_of == sorted(order_of)
    assert (figure(calls.used_quantity), figure(texts.used_quantity)) == (60, 4100)
    [text_line] = [one for one in await world.liable(other) if one.amount.units]
    assert (figure(text_line.overage_quantity), money(text_line.amount)) == (100, Decimal(75))
    assert lines["usageResources/texts"] == Decimal(375)
    assert lines["usageResources/data"] == Decimal(125)
    assert lines.get("usageResources/calls", 0) == 0


async def test_the_second_example_shares_what_the_first_made(sandbox):
    world = await sandbox("2026-01-01")

    await world.client.setup.SetUpProduct(example("telecom"))
    answer = by_action(await world.client.setup.SetUpProduct(example("ai-platform")))

    assert {"priceBooks/standard", "rateCards/list", "aggregationPolicies/sum-daily"} <= set(
        answer["REUSED"]
    )
    assert {"aggregationPolicies/peak-daily", "rolloverPolicies/rollover-unlimited"} <= set(
        answer["CREATED"]
    )
    assert "products/ai-platform" in answer["ACTIVATED"]


@pytest.mark.parametrize("request_id", ["", "setup-0001"])
async def test_a_repeat_changes_nothing(sandbox, request_id):
    world = await sandbox("2026-01-01")
    wanted = request(described("plan", "texts", "calls"))

    await world.client.setup.SetUpProduct(wanted)
    before = await world.client.catalog.GetProduct(
        catalog_rpc.GetProductRequest(name="products/plan")
    )
    again = by_action(await world.client.setup.SetUpProduct(wanted))
    after = await world.client.catalog.GetProduct(
        catalog_rpc.GetProductRequest(name="products/plan")
    )

    assert set(again) == {"REUSED", "UNCHANGED"}
    assert set(again["UNCHANGED"]) == {
        "products/plan",
        *(f"products/plan/usageResources/{one}" for one in ("texts", "calls")),
        *(f"products/plan/grants/{one}-0" for one in ("texts", "calls")),
        *(f"rateCards/base/entries/plan-{one}" for one in ("texts", "calls")),
    }
    assert before == after
    assert await policy_names(world) == SHARED


async def test_a_repeat_under_one_request_id_is_the_same_answer(sandbox):
    world = await sandbox("2026-01-01")
    wanted = request(described(), request_id="setup-0001")

    first = await world.client.setup.SetUpProduct(wanted)

    assert await world.client.setup.SetUpProduct(wanted) == first


async def test_a_plan_tells_the_steps_and_changes_nothing(sandbox):
    world = await sandbox("2026-01-01")
    wanted = request(described())

    plan = await world.client.setup.SetUpProduct(request(described(), validate_only=True))
    between = await product_names(world), await policy_names(world)
    done = await world.client.setup.SetUpProduct(wanted)

    assert between == ([], set())
    assert plan.steps == done.steps
    assert {step.action for step in plan.steps} == {Step.CREATED, Step.ACTIVATED}


async def test_two_at_once_make_everything_once(sandbox):
    world = await sandbox("2026-01-01")

    answers = await asyncio.gather(
        *(world.client.setup.SetUpProduct(request(described())) for _ in range(4))
    )
    made = [by_action(answer) for answer in answers]

    assert sorted("CREATED" in one for one in made) == [False, False, False, True]
    assert sorted("ACTIVATED" in one for one in made) == [False, False, False, True]
    assert await policy_names(world) == SHARED


async def test_two_products_at_once_share_their_policies(sandbox):
    world = await sandbox("2026-01-01")

    answers = await asyncio.gather(
        *(world.client.setup.SetUpProduct(request(described(f"p{n}"))) for n in range(4))
    )

    created = [set(by_action(answer)["CREATED"]) & SHARED for answer in answers]
    assert sorted(map(len, created)) == [0, 0, 0, len(SHARED)]
    assert await policy_names(world) == SHARED


async def test_of_setups_that_contradict_each_other_one_wins_and_the_others_are_told(sandbox):
    world = await sandbox("2026-01-01")
    rivals = []
    for quantity in ("10", "20", "30"):
        one = described()
        one["product_usage_resources"][0]["grants"][0]["product_usage_grant"]["quantity"] = quantity
        rivals.append(request(one))

    answers = await asyncio.gather(
        *(world.client.setup.SetUpProduct(rival) for rival in rivals), return_exceptions=True
    )

    won = [one for one in answers if not isinstance(one, BaseException)]
    told = [one for one in answers if isinstance(one, UsageError)]
    assert (len(won), len(told)) == (1, 2)
    assert {one.reason for one in told} == {"SETUP_CONFLICT"}
    [name] = {one.facts["name"] for one in told}
    assert name.startswith("products/plan/grants/")
    grants = await world.client.catalog.ListProductUsageGrants(
        catalog_rpc.ListProductUsageGrantsRequest(parent="products/plan")
    )
    assert [one.name for one in grants.product_usage_grants] == [name]


@pytest.mark.capability("M42")
async def test_a_file_with_another_rate_and_its_first_day_supersedes_the_rate_in_force(sandbox):
    world = await sandbox("2026-01-01")
    setup = world.client.setup.SetUpProduct
    entry = "rateCards/list/entries/telecom-plan-texts"

    def changed(rate: str, start: str | None) -> Any:
        asked = example("telecom")
        [texts] = [
            one
            for held in asked.product_usage_resources
            for one in held.rate_card_entries
            if one.name == entry
        ]
        texts.rate.value.value = rate
        if start:
            texts.start_date.CopyFrom(day(start))
        return asked

    await setup(example("telecom"))
    undated = await refusal(setup(changed("0.80", None)))
    first = by_action(await setup(changed("0.80", "2026-03-01")))
    again = by_action(await setup(changed("0.80", "2026-03-01")))
    second = by_action(await setup(changed("0.90", "2026-06-01")))
    values = [
        figure(
            (
                await world.discover(
                    "telecom-plan", "texts", price_book="priceBooks/standard", date=day(date)
                )
            ).terms.rate.value
        )
        for date in ("2026-02-28", "2026-03-01", "2026-05-31", "2026-06-01")
    ]

    assert undated.reason == "SETUP_CONFLICT"
    assert "start_date" in undated.message
    assert f"{entry}-2026-03-01" in first["CREATED"]
    assert f"{entry}-2026-03-01" in again["UNCHANGED"]
    assert f"{entry}-2026-06-01" in second["CREATED"]
    assert values == [Decimal("0.75"), Decimal("0.8"), Decimal("0.8"), Decimal("0.9")]


def telecom_at(rate: str, start: str | None) -> Any:
    """The telecom plan with another rate for texts."""
    asked = example("telecom")
    for held in asked.product_usage_resources:
        for one in held.rate_card_entries:
            if one.name == TEXTS:
                one.rate.value.value = rate
                if start:
                    one.start_date.CopyFrom(day(start))
    return asked


TEXTS = "rateCards/list/entries/telecom-plan-texts"


@pytest.mark.parametrize("length", [53, 54, 64])
async def test_an_id_that_takes_no_day_is_refused_when_its_rate_changes(sandbox, length):
    """An id has at most 64 characters, of which a day and its hyphen take 11."""
    world = await sandbox("2026-01-01")
    setup = world.client.setup.SetUpProduct
    entry_id = "t" * length

    def renamed(asked: Any) -> Any:
        for held in asked.product_usage_resources:
            for one in held.rate_card_entries:
                if one.name == TEXTS:
                    one.name = f"rateCards/list/entries/{entry_id}"
        return asked

    await setup(renamed(telecom_at("0.75", None)))
    changed = setup(renamed(telecom_at("0.80", "2026-03-01")))

    if length == 53:
        created = by_action(await changed)["CREATED"]
        assert created == [f"rateCards/list/entries/{entry_id}-2026-03-01"]
        return
    error = await refusal(changed)
    [fault] = error.violations
    assert (error.reason, fault.reason) == ("CODE_FORMAT", "CODE_FORMAT")
    assert re.fullmatch(r"product_usage_resources\[\d\]\.rate_card_entries\[0\]\.name", fault.field)
    assert fault.description == (
        f"is too long to take the day of a new rate, as in {entry_id}-2026-03-01;"
        " choose a shorter id"
    )


@pytest.mark.capability("M42")
async def test_a_file_of_before_a_succession_changes_nothing(sandbox):
    world = await sandbox("2026-01-01")
    setup = world.client.setup.SetUpProduct
    files = [telecom_at("0.75", None), telecom_at("0.80", "2026-03-01")]

    for file in (*files, telecom_at("0.90", "2026-06-01")):
        await setup(file)
    again = [by_action(await setup(file)) for file in files]
    changed = await refusal(setup(telecom_at("0.76", None)))

    assert [set(steps) for steps in again] == [{"REUSED", "UNCHANGED"}] * 2
    assert (changed.reason, changed.facts["fields"]) == ("SETUP_CONFLICT", "rate")


@pytest.mark.capability("M42")
async def test_a_rate_between_two_others_ends_as_the_later_one_begins(sandbox):
    world = await sandbox("2026-01-01")
    setup = world.client.setup.SetUpProduct
    await setup(telecom_at("0.75", None))
    await setup(telecom_at("0.90", "2026-06-01"))

    between = by_action(await setup(telecom_at("0.80", "2026-03-01")))
    again = by_action(await setup(telecom_at("0.80", "2026-03-01")))

    values = [
        figure(
            (
                await world.discover(
                    "telecom-plan", "texts", price_book="priceBooks/standard", date=day(date)
                )
            ).terms.rate.value
        )
        for date in ("2026-02-28", "2026-03-01", "2026-05-31", "2026-06-01")
    ]
    assert between["CREATED"] == [f"{TEXTS}-2026-03-01"]
    assert f"{TEXTS}-2026-03-01" in again["UNCHANGED"]
    assert values == [Decimal("0.75"), Decimal("0.8"), Decimal("0.8"), Decimal("0.9")]


@pytest.mark.capability("M14")
async def test_a_file_is_applied_again_after_its_resource_was_superseded(sandbox):
    world = await sandbox("2026-01-01")
    wanted = request(described("plan", "texts"))
    await world.client.setup.SetUpProduct(wanted)
    await world.client.catalog.SupersedeProductUsageResource(
        catalog_rpc.SupersedeProductUsageResourceRequest(
            name="products/plan/usageResources/texts",
            product_usage_resource_id="texts-2",
            start_date=day("2026-03-01"),
            grant_ids={"texts-0": "texts-1"},
        )
    )

    again = by_action(await world.client.setup.SetUpProduct(wanted))

    assert set(again) == {"REUSED", "UNCHANGED"}
    assert "products/plan/grants/texts-0" in again["UNCHANGED"]
