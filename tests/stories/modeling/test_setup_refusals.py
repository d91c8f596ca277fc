"""Refused set-ups: conflicts, faults by their paths, limits, roles."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import grpc
import pytest
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import types_pb2 as types

from clients import UsageClient, UsageError
from tests.service import Service, add_tenant
from tests.stories.setup_words import (
    HELD,
    Step,
    by_action,
    described,
    entry,
    held,
    policy_names,
    product_names,
    refused,
    request,
)


async def test_what_is_there_and_differs_is_named_and_nothing_happens(sandbox):
    world = await sandbox("2026-01-01")
    await world.client.setup.SetUpProduct(request(described("one")))
    other = described("two", "texts", "calls")
    other["usage_resources"][0]["display_name"] = "Texts"
    other["units_of_measure"][0]["scale"] = 2
    other["rate_cards"][0]["type"] = "TIER"

    error = await refused(world, request(other))
    plan = await world.client.setup.SetUpProduct(request(other, validate_only=True))

    assert (error.code, error.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SETUP_CONFLICT",
    )
    expected = {
        "unitsOfMeasure/piece": ["scale"],
        "usageResources/texts": ["display_name"],
        "rateCards/base": ["type"],
    }
    assert {one.field: one.description for one in error.violations} == {
        name: f"differs in {', '.join(fields)}" for name, fields in expected.items()
    }
    assert error.facts["name"] == "unitsOfMeasure/piece"
    assert {
        step.name: list(step.fields) for step in plan.steps if step.action == Step.CONFLICT
    } == expected
    assert Step.ACTIVATED not in {step.action for step in plan.steps}
    assert await product_names(world) == ["products/one"]


async def test_what_follows_from_a_conflict_is_told_as_the_conflict(sandbox):
    world = await sandbox("2026-01-01")
    await world.client.setup.SetUpProduct(request(described("one")))
    finer = described("two")
    finer["units_of_measure"][0]["scale"] = 1
    too_fine(finer)

    error = await refused(world, request(finer))
    plan = await world.client.setup.SetUpProduct(request(finer, validate_only=True))

    assert [one.field for one in error.violations] == ["unitsOfMeasure/piece"]
    assert by_action(plan)["CONFLICT"] == ["unitsOfMeasure/piece"]
    assert await product_names(world) == ["products/one"]


async def test_a_draft_that_differs_is_in_the_way_and_one_that_is_equal_is_activated(sandbox):
    world = await sandbox("2026-01-01")
    for product, name in (("equal", ""), ("other", "Another")):
        await world.client.catalog.CreateProduct(
            catalog_rpc.CreateProductRequest(
                product_id=product,
                product=catalog.Product(usage_model_type="ANCHOR", display_name=name),
            )
        )

    error = await refused(world, request(described("other")))
    answer = by_action(await world.client.setup.SetUpProduct(request(described("equal"))))

    assert (error.reason, error.facts["fields"]) == ("SETUP_CONFLICT", "display_name")
    assert answer["UNCHANGED"] == ["products/equal"]
    assert "products/equal" in answer["ACTIVATED"]


async def test_policies_are_found_by_their_settings_whatever_they_are_called(sandbox):
    world = await sandbox("2026-01-01")
    rpc = world.client.policies
    await rpc.CreateRefreshPolicy(
        policy_rpc.CreateRefreshPolicyRequest(
            refresh_policy_id="every-month",
            refresh_policy=policies.RefreshPolicy(
                display_name="Every month", interval=types.Cadence(unit="MONTH", count=1)
            ),
        )
    )
    await rpc.CreateAggregationPolicy(
        policy_rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="sum-daily",
            aggregation_policy=policies.AggregationPolicy(method="PEAK", period="DAY"),
        )
    )

    answer = by_action(await world.client.setup.SetUpProduct(request(described())))
    asked = catalog_rpc.GetProductUsageGrantRequest(name="products/plan/grants/texts-0")
    grant = await world.client.catalog.GetProductUsageGrant(asked)
    another = by_action(await world.client.setup.SetUpProduct(request(described())))

    assert grant.refresh_policy == "refreshPolicies/every-month"
    assert "refreshPolicies/every-month" in answer["REUSED"]
    assert "aggregationPolicies/sum-daily-2" in answer["CREATED"]
    assert "aggregationPolicies/sum-daily-2" in another["REUSED"]


async def test_a_repeat_keeps_to_the_policy_it_chose(sandbox):
    world = await sandbox("2026-01-01")
    await world.client.setup.SetUpProduct(request(described()))
    rival = described("rival")
    rival["refresh_policies"] = [
        {"name": "refreshPolicies/a-month", "interval": {"unit": "MONTH", "count": 1}}
    ]
    grant = rival["product_usage_resources"][0]["grants"][0]
    del grant["refresh"]
    grant["product_usage_grant"]["refresh_policy"] = "refreshPolicies/a-month"
    await world.client.setup.SetUpProduct(request(rival))

    again = by_action(await world.client.setup.SetUpProduct(request(described())))

    assert set(again) == {"REUSED", "UNCHANGED"}


@pytest.mark.capability("M31")
async def test_one_bad_record_and_nothing_is_kept(sandbox):
    world = await sandbox("2026-01-01")
    wrong = described("plan", "texts", "calls")
    entries = wrong["product_usage_resources"][1]["rate_card_entries"]
    entries.append(entry("plan", "calls", name="rateCards/base/entries/again"))

    error = await refused(world, request(wrong))

    assert error.reason == "VALIDATION_FAILED"
    assert {one.reason for one in error.violations} == {"RATE_OVERLAP"}
    assert (await product_names(world), await policy_names(world)) == ([], set())


def missing_class(content: dict[str, Any]) -> None:
    content["usage_resources"][0]["unit_class"] = "unitClasses/none"


def wrong_quantity(content: dict[str, Any]) -> None:
    grants = content["product_usage_resources"][0]["grants"]
    grants[0]["product_usage_grant"]["quantity"] = 0


def too_fine(content: dict[str, Any]) -> None:
    grants = content["product_usage_resources"][0]["grants"]
    grants[0]["product_usage_grant"]["quantity"] = Decimal("0.5")


def other_currency(content: dict[str, Any]) -> None:
    content["product_usage_resources"][0]["rate_card_entries"][0]["rate"]["currency_code"] = "EUR"


def other_product(content: dict[str, Any]) -> None:
    content["product_usage_resources"][0]["rate_card_entries"][0]["product"] = "products/other"


def nameless_class(content: dict[str, Any]) -> None:
    del content["unit_classes"][0]["name"]


def named_twice(content: dict[str, Any]) -> None:
    content["usage_resources"].append(deepcopy(content["usage_resources"][0]))


def by_name_and_settings(content: dict[str, Any]) -> None:
    own = content["product_usage_resources"][0]["product_usage_resource"]
    own["policies"] = {"overage_policy": "overagePolicies/free"}


def name_and_settings(content: dict[str, Any]) -> None:
    content["product_usage_resources"][0]["overage"]["name"] = "overagePolicies/free"


def no_scale(content: dict[str, Any]) -> None:
    content["units_of_measure"][0]["scale"] = 13


def no_resources(content: dict[str, Any]) -> None:
    content["product_usage_resources"] = []


@pytest.mark.parametrize(
    ("spoil", "reason", "field"),
    [
        (missing_class, "UNIT_CLASS_NOT_FOUND", "usage_resources[0]"),
        (wrong_quantity, "QUANTITY_ZERO", f"{HELD}.grants[0].product_usage_grant.quantity"),
        (too_fine, "UNIT_SCALE", f"{HELD}.grants[0].product_usage_grant.quantity"),
        (other_currency, "CURRENCY_MISMATCH", f"{HELD}.rate_card_entries[0].rate.currency_code"),
        (other_product, "NAME_FORMAT", f"{HELD}.rate_card_entries[0].product"),
        (nameless_class, "FIELD_REQUIRED", "unit_classes[0].name"),
        (named_twice, "SETUP_AMBIGUOUS", "usage_resources[1].name"),
        (by_name_and_settings, "SETUP_AMBIGUOUS", f"{HELD}.overage"),
        (name_and_settings, "SETUP_AMBIGUOUS", f"{HELD}.overage.name"),
        (no_scale, "RANGE", "units_of_measure[0].scale"),
        (no_resources, "FIELD_REQUIRED", "product_usage_resources"),
    ],
)
async def test_what_is_wrong_is_named_by_its_place(sandbox, spoil, reason, field):
    world = await sandbox("2026-01-01")
    content = described()
    spoil(content)

    error = await refused(world, request(content))

    assert (error.reason, error.facts["field"]) == (reason, field)
    assert await product_names(world) == []


@pytest.mark.capability("M140")
async def test_a_setup_has_limits(sandbox):
    world = await sandbox("2026-01-01")
    wide = described("wide", *(f"r{number}" for number in range(21)))
    deep = described("deep")
    deep["product_usage_resources"] = [held("deep", "texts", grants=6)]
    most = described("most", *(f"r{number}" for number in range(20)))
    most["product_usage_resources"][0] = held("most", "r0", grants=5)
    more = described("more")
    more["product_usage_resources"][0]["rate_card_entries"] = [
        entry(
            "more",
            "texts",
            name=f"rateCards/base/entries/e{year}",
            start_date=f"{year}-01-01",
            end_date=f"{year + 1}-01-01",
        )
        for year in range(1995, 2195)
    ]

    errors = [await refused(world, request(content)) for content in (wide, deep, more)]
    await world.client.setup.SetUpProduct(request(most))

    assert {(one.code, one.reason) for one in errors} == {
        (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_ITEMS")
    }
    assert [one.facts.get("field") for one in errors[:2]] == [
        "product_usage_resources",
        f"{HELD}.grants",
    ]
    assert errors[2].facts["limit"] == "200"
    assert await product_names(world) == ["products/most"]


@pytest.mark.parametrize("role", ["DESIGNER", "RATE_MANAGER", "RUN_TIME_USER"])
async def test_who_may_set_up(service: Service, role: str):
    _, key = await add_tenant(service, None, role)
    said = ""
    async with UsageClient(service.address, key) as client:
        try:
            await client.setup.SetUpProduct(request(described()))
        except UsageError as error:
            said = error.reason

    assert said == ("" if role == "DESIGNER" else "PERMISSION_MISSING")


async def test_what_was_withdrawn_is_in_the_way_and_a_withdrawn_policy_is_not_chosen(sandbox):
    world = await sandbox("2026-01-01")
    await world.client.setup.SetUpProduct(request(described()))
    withdrawn = ["products/plan/grants/texts-0", "refreshPolicies/refresh-1-month"]
    await world.client.catalog.ChangeStates(
        catalog_rpc.ChangeStatesRequest(names=withdrawn, state=types.CATALOG_STATE_INACTIVE)
    )

    error = await refused(world, request(described()))
    other = by_action(await world.client.setup.SetUpProduct(request(described("other"))))

    assert {one.field: one.description for one in error.violations} == {
        "products/plan/grants/texts-0": "differs in refresh_policy, state"
    }
    assert "refreshPolicies/refresh-1-month-2" in other["CREATED"]
