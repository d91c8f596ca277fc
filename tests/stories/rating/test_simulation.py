"""Simulation: a procedure is tried before it is used; limits of time and size; nothing is kept."""

import pytest
from usage_management.v1 import procedure_service_pb2 as requests

from clients import UsageError
from clients.values import enum_name
from tests.stories.procedure_words import (
    BASE,
    SETTING,
    amounts,
    elements,
    formula,
    line,
    num,
    rate,
    rounding,
    simulate,
    tiers,
    version,
    voucher,
)
from tests.stories.words import refusal


@pytest.mark.capability("M57")
async def test_a_draft_is_tried_on_lines_and_nothing_is_kept(sandbox):
    world = await sandbox("2024-01-31")
    made = await version(world, "v1", [SETTING, BASE, voucher(10)], active=False)
    asked = [line(3), line(0), line(5, overage="FREE"), line(2, None)]

    drafted = await simulate(world, made.name, *asked)
    given = await simulate(world, [SETTING, BASE, voucher(10)], *asked)
    after = await world.client.procedures.GetProcedureVersion(
        requests.GetProcedureVersionRequest(name=made.name)
    )

    assert drafted == given
    assert amounts(drafted) == ["27", "0", "0", "there is no rate to adjust"]
    assert [
        step.outputs["amount"]
        for step in drafted[0].waterfall
        if enum_name(step, "element") == "AMOUNT"
    ] == ["27"]
    assert drafted[0].waterfall[1].inputs == {
        "rate": "10",
        "per": "1",
        "unit": "USD",
        "discount": "PERCENTAGE",
        "value": "10",
    }
    assert after == made


@pytest.mark.capability("M57")
async def test_every_kind_of_term_can_be_tried(sandbox):
    world = await sandbox("2024-01-31")
    half = {"attributes": {"plan": "gold"}, "adjustment": {"kind": "PERCENTAGE", "value": num(50)}}
    committed = [{"tiers": tiers((0, 100, "PERCENTAGE", 10), (100, None, "PERCENTAGE", 30))}]
    shipped = "procedures/negotiable-rating/versions/v1"

    outcomes = await simulate(
        world,
        shipped,
        line(4, attributes={"plan": "gold"}, attribute_adjustments=[half]),
        line(4, commitments=committed, used_quantity=num(150)),
        line(40, None, tiers=tiers((0, None, "OVERRIDE", 5)), tier_per=num(10)),
        line(
            4,
            quantity_before=num(8),
            tiers=tiers((0, 10, "OVERRIDE", 1), (10, None, "OVERRIDE", 2), mode="GRADUATED"),
        ),
        line(
            4,
            tier_quantity=num(400),
            tiers=tiers((0, 400, "OVERRIDE", 1), (400, None, "OVERRIDE", 2)),
        ),
        {
            "token_unit": "unitsOfMeasure/credit",
            "quantity": num(3),
            "rate": {"value": num(2), "token_unit": "unitsOfMeasure/credit"},
        },
    )

    assert amounts(outcomes) == ["20", "28", "20", "6", "8", "6"]
    assert outcomes[-1].waterfall[0].outputs["unit"] == "credit"


async def test_packages_go_on_after_the_units_before(sandbox):
    world = await sandbox("2024-01-31")
    package = rate(300) | {"per": num(100), "package_pricing": True}

    outcomes = await simulate(
        world,
        [SETTING, BASE],
        line(2, None, rate=package, quantity_before=num(98)),
        line(3, None, rate=package, quantity_before=num(98)),
        line(3, None, rate=package),
    )

    assert amounts(outcomes) == ["0", "300", "300"]
    assert outcomes[0].waterfall[-1].inputs["units_before"] == "98"


async def test_what_is_negotiated_keeps_the_parts_that_are_not_named(sandbox):
    """As on a quote: packages of a hundred; 25 are 10 at 6 and 15 at 3 where tiers graduate."""
    world = await sandbox("2024-01-31")
    package = rate(300) | {"per": num(100), "package_pricing": True}
    ours, single = {"value": num(250)}, {"value": num(250), "package_pricing": False}
    steps = tiers((0, 10, "OVERRIDE", 6), (10, None, "OVERRIDE", 3))
    listed = {"tiers": tiers((0, None, "OVERRIDE", 9), mode="GRADUATED")}

    outcomes = await simulate(
        world,
        "procedures/negotiable-rating/versions/v1",
        line("101.5", None, rate=package, asset_rate=ours),
        line("101.5", None, rate=package, asset_rate=single),
        line("101.5", None, rate=package, target_rate=ours),
        line(25, **listed, asset_tiers=steps),
        line(25, **listed, target_tiers=steps),
        line(25, **listed, target_tiers=steps | {"mode": "VOLUME"}),
        line(25, asset_tiers=steps),
        line(25, None, tier_per=num(5), target_tiers=steps),
    )

    assert amounts(outcomes) == ["500", "253.75", "500", "105", "105", "75", "75", "15"]


async def test_tiers_with_both_bounds_inside_are_tried_as_an_entry_stores_them(sandbox):
    world = await sandbox("2024-01-31")
    tried = [SETTING, BASE, {"volume_tiers": {}}, {"negotiated_tiers": {}}]
    inside = {"bounds": "UPPER_INCLUSIVE"}
    whole = tiers((0, 10, "OVERRIDE", 5), (11, None, "OVERRIDE", 2), **inside)
    cents = tiers((0, 10, "OVERRIDE", 5), ("10.01", None, "OVERRIDE", 2), **inside)
    own = tiers((1, 10, "OVERRIDE", 3), (11, None, "OVERRIDE", 1))
    listed = {"tiers": tiers((0, 20, "OVERRIDE", 5), (21, None, "OVERRIDE", 4), **inside)}

    outcomes = await simulate(
        world,
        tried,
        line(10, tiers=whole),
        line(11, tiers=whole),
        line("10.5", tiers=whole),
        line(10, tiers=cents, unit_scale=2),
        line("10.01", tiers=cents, unit_scale=2),
        # Negotiated tiers without bounds have those of the catalog's.
        line(10, **listed, asset_tiers=own),
        line(11, **listed, target_tiers=own),
    )
    finer = await refusal(simulate(world, tried, line(1, tiers=cents)))
    coarser = await refusal(simulate(world, tried, line(1, tiers=whole, unit_scale=2)))

    assert amounts(outcomes) == ["50", "22", "21", "50", "20.02", "30", "11"]
    for error in (finer, coarser):
        place = error.violations[0].field
        assert (error.reason, place) == ("TIERS_INVALID", "lines[0].tiers.tiers[1]")


async def test_what_cannot_be_tried_is_refused_by_its_field(sandbox):
    world = await sandbox("2024-01-31")
    plain = [SETTING, BASE]
    euros = {"value": num(1), "currency_code": "EUR"}
    steps = tiers((0, None, "OVERRIDE", 1))
    gap = tiers((0, 10, "OVERRIDE", 1), (11, None, "OVERRIDE", 2))
    cases = [
        (plain, line(-1), "QUANTITY_NEGATIVE", "lines[0].quantity"),
        (plain, line(1, None, rate=euros), "CURRENCY_MISMATCH", "lines[0].rate"),
        (plain, {"quantity": num(1)}, "FIELD_REQUIRED", "lines[0].currency_code"),
        (plain, line(1, tiers=gap), "TIERS_INVALID", "lines[0].tiers.tiers[1]"),
        (
            plain,
            line(1, tiers=steps, asset_tiers=steps | {"mode": "GRADUATED"}),
            "TIERS_INVALID",
            "lines[0].asset_tiers",
        ),
        (plain, line(1, asset_rate=euros), "CURRENCY_MISMATCH", "lines[0].asset_rate"),
        ([BASE, SETTING], line(1), "PROCEDURE_INVALID", "inline_version.elements[0]"),
        (
            [SETTING, formula("net_unit_rate.real")],
            line(1),
            "FORMULA_INVALID",
            "inline_version.elements[1].formula.expression",
        ),
    ]

    for tried, one, reason, field in cases:
        error = await refusal(simulate(world, tried, one))
        assert (error.reason, error.violations[0].field) == (reason, field)
    discovery = await refusal(simulate(world, "procedures/default-discovery/versions/v1", line(1)))
    nothing = requests.SimulateProcedureRequest()
    assert discovery.reason == "PROCEDURE_USAGE"
    with pytest.raises(UsageError):
        await world.client.procedures.SimulateProcedure(nothing)


@pytest.mark.capability("M142")
async def test_a_line_that_takes_too_long_fails_with_its_reason_and_the_others_do_not(sandbox):
    world = await sandbox("2024-01-31")
    steps = [(n, n + 1, "PERCENTAGE", 10) for n in range(100)]
    # A hundred parts, each at the best of twenty commitments of a hundred tiers each.
    many = [{"tiers": tiers(*steps)}] * 20
    slow = line(100, tiers=tiers(*steps, mode="GRADUATED"), commitments=many, used_quantity=num(99))
    tried = [SETTING, BASE, {"graduated_tiers": {}}, {"commitment_rate": {}}]

    outcomes = await simulate(world, tried, line(2), slow, line(3), element_milliseconds=4)
    with_time = await simulate(world, tried, slow)

    assert [one.status.message for one in outcomes if one.status.code == 0] == ["", ""]
    assert "took longer" in outcomes[1].status.message
    assert elements(outcomes[1])[0] == "BASE_RATE"
    assert amounts(with_time) == ["810"]  # a hundred at 10, less ten percent, less ten again


@pytest.mark.capability("M142")
@pytest.mark.parametrize(
    ("count", "times", "reason"),
    [
        (69, {}, None),
        (70, {}, "PROCEDURE_INVALID"),
        (100, {}, "PROCEDURE_INVALID"),
        (0, {}, "PROCEDURE_INVALID"),
        (1, {"run_milliseconds": 1_000, "element_milliseconds": 4}, None),
        (1, {"run_milliseconds": 60_000, "element_milliseconds": 10_000}, None),
        (1, {"run_milliseconds": 999}, "RANGE"),
        (1, {"run_milliseconds": 60_001}, "RANGE"),
        (1, {"element_milliseconds": 3}, "RANGE"),
        (1, {"element_milliseconds": 10_001}, "RANGE"),
    ],
)
async def test_elements_and_their_time_are_limited(sandbox, count, times, reason):
    world = await sandbox("2024-01-31")
    tried = [SETTING, *[BASE, *[rounding("HALF_UP", 12)] * 100][:count]]

    if reason is None:
        made = await version(world, "v1", tried, **times)
        assert len(made.elements) == count + 1
        assert {name: getattr(made, name) for name in times} == times
        return
    assert (await refusal(version(world, "v1", tried, **times))).reason == reason


async def test_a_thousand_lines_are_tried_at_once(sandbox):
    world = await sandbox("2024-01-31")
    total = {"list_operation": {"list_function": "COUNT", "variable": "lines"}}

    outcomes = await simulate(
        world, [SETTING, BASE, total, formula("lines")], *(line(1) for _ in range(1000))
    )
    error = await refusal(simulate(world, [SETTING, BASE], *(line(1) for _ in range(1001))))

    assert set(amounts(outcomes)) == {"1000"}
    assert error.reason == "TOO_MANY_ITEMS"


async def test_a_formula_that_fails_at_run_fails_its_line(sandbox):
    world = await sandbox("2024-01-31")
    tried = [SETTING, BASE, formula("net_unit_rate / (overage_quantity - 2)")]

    outcomes = await simulate(world, tried, line(2), line(3, asset_rate=rate(1)))

    assert outcomes[0].status.code == 9
    assert "division by zero" in outcomes[0].status.message
    assert amounts(outcomes[1:]) == ["30"]


async def test_a_simulation_has_a_bounded_number_of_steps(sandbox):
    world = await sandbox("2024-01-15")
    procedure = [SETTING, BASE, *[formula(f"net_unit_rate + {n}") for n in range(60)]]

    with pytest.raises(UsageError) as refused:
        await simulate(world, procedure, *[line(1)] * 1_000)
    outcomes = await simulate(world, procedure, *[line(1)] * int(refused.value.facts["lines"]))

    assert (refused.value.code.name, refused.value.reason) == (
        "RESOURCE_EXHAUSTED",
        "TOO_MANY_STEPS",
    )
    assert {one.status.code for one in outcomes} == {0}
