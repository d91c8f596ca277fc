"""Procedures: written, put in force, chosen by rank; what they do to lines they are tried on."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import procedure_resources_pb2 as procedures
from usage_management.v1 import procedure_service_pb2 as requests

from tests.stories.procedure_words import (
    BASE,
    INACTIVE,
    SETTING,
    amounts,
    by,
    elements,
    formula,
    line,
    net,
    num,
    put,
    rate,
    rounding,
    simulate,
    tiers,
    version,
    voucher,
)
from tests.stories.words import day, refusal

RATING = "PROCEDURE_USAGE_RATING"


async def resolve(world: Any, on: str, **more: str) -> requests.ResolveProcedureResponse:
    asked = more or {"usage": RATING}
    request = requests.ResolveProcedureRequest(date=day(on), **asked)
    return await world.client.procedures.ResolveProcedure(request)


async def test_a_tenant_begins_with_the_shipped_procedures(sandbox):
    world = await sandbox("2024-01-31")
    service = world.client.procedures

    found = await service.ListProcedures(requests.ListProceduresRequest(usage=RATING))
    used = await resolve(world, "2024-01-31")
    looked = await resolve(world, "2024-01-31", usage="PROCEDURE_USAGE_DISCOVERY")
    kept = await service.GetProcedureVersion(requests.GetProcedureVersionRequest(name=used.version))

    assert [one.name for one in found.procedures] == [
        "procedures/default-rating",
        "procedures/negotiable-rating",
    ]
    assert used.version == "procedures/negotiable-rating/versions/v1"
    assert looked.version == "procedures/default-discovery/versions/v1"
    assert kept.elements[0].WhichOneof("element") == "rating_setting"
    assert (kept.run_milliseconds, kept.element_milliseconds) == (10_000, 5_000)


@pytest.mark.capability("M48")
async def test_the_default_is_chosen_and_of_its_versions_the_highest_rank_is_used(sandbox):
    world = await sandbox("2024-01-31")
    service = world.client.procedures
    first = await version(world, "v1", [SETTING, BASE], rank=1)
    spring = {"start_date": {"year": 2024, "month": 3, "day": 1}}
    second = await version(world, "v2", [SETTING, BASE], rank=2, **spring)
    draft = await version(world, "v3", [SETTING, BASE], rank=3, active=False)

    before = await resolve(world, "2024-03-01")
    request = requests.SetDefaultProcedureRequest(procedure="procedures/own")
    made = await service.SetDefaultProcedure(request)
    winter, used = await resolve(world, "2024-02-29"), await resolve(world, "2024-03-01")
    await put(world, second.name, state=INACTIVE)
    after = await resolve(world, "2024-03-01")

    assert before.procedure == made.replaced == "procedures/negotiable-rating"
    assert (winter.version, used.version, after.version) == (first.name, second.name, first.name)
    verdict = requests.ResolveProcedureResponse.Candidate.Verdict.Name
    assert {one.version[-2:]: verdict(one.verdict) for one in used.candidates} == {
        "v3": "NOT_ACTIVE",
        "v2": "WON",
        "v1": "OUTRANKED",
    }
    assert used.candidates[0].version == draft.name
    assert verdict(winter.candidates[1].verdict) == "NOT_IN_FORCE"


@pytest.mark.capability("M48")
async def test_what_cannot_be_the_default_is_refused_and_the_default_stays(sandbox):
    world = await sandbox("2024-01-31")
    service = world.client.procedures
    first = await version(world, "v1", [SETTING, BASE], rank=1)
    same = await version(world, "same", [SETTING, BASE], rank=1, active=False)
    await service.CreateProcedure(
        requests.CreateProcedureRequest(procedure_id="new", procedure={"usage": RATING})
    )
    draft = requests.SetDefaultProcedureRequest(procedure="procedures/new")
    default = requests.SetDefaultProcedureRequest(procedure="procedures/own")

    assert (await refusal(put(world, same.name))).reason == "EFFECTIVITY_OVERLAP"
    assert (await refusal(service.SetDefaultProcedure(draft))).reason == "RESOURCE_INACTIVE"
    used = await refusal(put(world, "procedures/own", state=INACTIVE))
    await service.SetDefaultProcedure(default)
    names = ("procedures/own", first.name)
    also = await refusal(put(world, *names, state=INACTIVE))
    assert (used.reason, also.reason) == ("IN_USE", "IN_USE")
    assert used.violations[0].field == first.name
    assert "the default for RATING" in also.message


@pytest.mark.capability("M49")
async def test_a_procedure_is_a_stack_that_begins_with_its_setting(sandbox):
    world = await sandbox("2024-01-31")

    missing = await refusal(version(world, "v1", [BASE, rounding("UP", 0)]))
    alone = await refusal(version(world, "v1", [SETTING]))
    unknown = await refusal(version(world, "v1", [SETTING, BASE, formula("net_unit_rate + fee")]))
    made = await version(world, "v1", [SETTING, BASE])
    [rated] = await simulate(world, made.name, line(4, "2.5"))

    assert (missing.reason, missing.violations[0].field) == (
        "PROCEDURE_INVALID",
        "procedure_version.elements[0]",
    )
    assert alone.reason == "PROCEDURE_INVALID"
    assert (unknown.reason, unknown.facts["position"]) == ("FORMULA_INVALID", "17")
    assert amounts([rated]) == ["10"]
    assert elements(rated) == ["BASE_RATE", "AMOUNT"]


async def test_what_is_in_force_does_not_change(sandbox):
    world = await sandbox("2024-01-31")
    service = world.client.procedures
    made = await version(world, "v1", [SETTING, BASE], active=False)
    other = procedures.ProcedureVersion(name=made.name, rank=7, run_milliseconds=2_000)
    other.elements.extend(made.elements)
    other.elements.add(stop={})

    def change(*paths: str) -> Any:
        request = requests.UpdateProcedureVersionRequest(
            procedure_version=other, update_mask=FieldMask(paths=paths)
        )
        return service.UpdateProcedureVersion(request)

    changed = await change("rank", "elements", "run_milliseconds")
    await put(world, "procedures/own", made.name)
    other.elements.add(stop={})
    frozen = await refusal(change("elements"))
    used = await refusal(
        service.DeleteProcedureVersion(requests.DeleteProcedureVersionRequest(name=made.name))
    )
    await put(world, made.name, state=INACTIVE)
    await service.DeleteProcedureVersion(requests.DeleteProcedureVersionRequest(name=made.name))

    assert (changed.rank, len(changed.elements), changed.run_milliseconds) == (7, 3, 2_000)
    assert (frozen.reason, used.reason) == ("ACTIVE_IMMUTABLE", "IN_USE")
    gone = await refusal(simulate(world, made.name, line(1)))
    assert gone.reason == "PROCEDURE_VERSION_NOT_FOUND"


SHIPPED = "procedures/negotiable-rating/versions/v1"


@pytest.mark.capability("M50")
async def test_a_rate_is_the_assets_then_the_targets_then_the_catalogs(sandbox):
    world = await sandbox("2024-01-31")
    agreed = {"target_rate": rate(8)}

    outcomes = await simulate(
        world, SHIPPED, line(2, asset_rate=rate(7), **agreed), line(2, **agreed), line(2)
    )

    assert amounts(outcomes) == ["14", "16", "20"]
    assert elements(outcomes[0]) == ["BASE_RATE", "NEGOTIATED_RATE", "AMOUNT"]


@pytest.mark.capability("M51")
async def test_negotiated_tiers_replace_those_of_the_catalog(sandbox):
    world = await sandbox("2024-01-31")
    catalog = tiers((0, 100, "PERCENTAGE", 10), (100, None, "PERCENTAGE", 20))
    # Ten added to ten, and fifteen from a hundred on: the unit is 20, the total 1,500.
    added = tiers((0, 50, "AMOUNT", 5), (50, 100, "AMOUNT", 10), (100, 150, "AMOUNT", 15))
    stepped = tiers(
        (0, 10, "PERCENTAGE", 0),
        (10, 60, "PERCENTAGE", 10),
        (60, 100, "PERCENTAGE", 20),
        mode="GRADUATED",
        bounds="UPPER_INCLUSIVE",
    )

    outcomes = await simulate(
        world,
        SHIPPED,
        line(75, tiers=catalog),
        line(75, tiers=catalog, asset_tiers=added, asset_rate=rate(10)),
        line(75, tiers=catalog, target_tiers=added),
        line(100, "0.5", tiers=catalog, target_tiers=stepped),
    )

    assert amounts(outcomes) == ["675", "1500", "1500", "43.5"]
    by_catalog = await simulate(
        world, "procedures/default-rating/versions/v1", line(75, tiers=catalog, asset_tiers=added)
    )
    assert amounts(by_catalog) == ["675"]


MATRIX = {
    "adjustment_matrix": {
        "columns": ["region", "overage_quantity"],
        "rows": [
            {"cells": [{"value": "EU"}, {"value": "5"}], "adjustment": by("OVERRIDE", 3)},
            {"cells": [{"value": "EU"}, {}], "adjustment": by("PERCENTAGE", 50)},
        ],
    }
}
REGION = {"rating_setting": {"inputs": [{"name": "region", "kind": "TEXT"}]}}


@pytest.mark.capability("M53")
async def test_vouchers_matrices_formulas_and_constants(sandbox):
    world = await sandbox("2024-01-31")
    constant = {"assignment": {"variable": "net_unit_rate", "value": num(4)}}

    voucher_off = await simulate(world, [SETTING, BASE, voucher(10)], line(3))
    lines = [line(n, attributes={"region": of}) for n, of in ((5, "EU"), (6, "EU"), (5, "US"))]
    looked_up = await simulate(world, [REGION, BASE, MATRIX], *lines)
    added = await simulate(world, [SETTING, BASE, formula("net_unit_rate + 3")], line(2))
    fixed = await simulate(world, [SETTING, BASE, constant], line(2))
    less = {"manual_discount": {"amount": num("0.5")}}
    both = await simulate(world, [SETTING, BASE, voucher(10), less], line(2))

    assert amounts(voucher_off) == ["27"]
    assert net(looked_up) == ["3", "5", "10"]
    assert amounts(added) == ["26"]
    assert amounts(fixed) == ["8"]
    assert net(both) == ["8.5"]


@pytest.mark.capability("M54")
async def test_a_group_is_the_lines_for_which_its_condition_holds(sandbox):
    world = await sandbox("2024-01-31")
    group = {"list_group": {"condition": "overage_quantity > 100", "elements": [voucher(10)]}}
    total = {
        "list_operation": {
            "list_function": "SUM",
            "source": "overage_quantity",
            "variable": "total",
        }
    }
    whole = {
        "list_group": {"condition": "total >= 300", "elements": [formula("net_unit_rate - 1")]}
    }
    lines = [line(n) for n in (100, 101, 50)]

    alone = await simulate(world, [SETTING, BASE, group], *lines)
    together = await simulate(world, [SETTING, BASE, total, group, whole], *lines, line(49))

    assert net(alone) == ["10", "9", "10"]
    assert net(together) == ["9", "8", "9", "9"]


@pytest.mark.capability("M55")
async def test_rates_are_rounded_and_a_stop_skips_what_follows(sandbox):
    world = await sandbox("2024-01-31")
    for value, mode, precision, expected in (
        ("1.7", "UP", 0, "2"),
        ("1.3", "DOWN", 0, "1"),
        ("1.3", "HALF_UP", 0, "1"),
        ("1.45", "HALF_UP", 1, "1.5"),
    ):
        outcomes = await simulate(world, [SETTING, BASE, rounding(mode, precision)], line(1, value))
        assert net(outcomes) == [expected]

    [stopped] = await simulate(world, [SETTING, BASE, {"stop": {}}, voucher(50)], line(2))

    assert amounts([stopped]) == ["20"]
    assert elements(stopped) == ["BASE_RATE", "STOP", "MANUAL_DISCOUNT", "AMOUNT"]
    assert stopped.waterfall[2].outputs == {"skipped": "true"}
