"""Bad procedures and formulas, as they are sent (R06 to R08 of the matrix)."""

import time
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from grpc import StatusCode
from usage_management.v1 import procedure_service_pb2 as simulation

from clients import UsageError
from tests.api.refusals import INVALID, is_
from tests.api.wire import Wire
from tests.stories.procedure_words import BASE, SETTING, formula, line, num, tiers

SIMULATE = "ProcedureService/SimulateProcedure"


def trying(elements: list[Any], *lines: Any, **more: Any) -> simulation.SimulateProcedureRequest:
    made = simulation.SimulateProcedureRequest()
    ParseDict(
        {"inline_version": {"elements": elements, **more}, "lines": list(lines or [line(1)])}, made
    )
    return made


async def outcomes(wire: Wire, *asked: Any, **more: Any) -> list[simulation.SimulatedOutcome]:
    answer = await wire.call(SIMULATE, trying(*asked, **more))
    assert isinstance(answer, bytes), answer
    return list(simulation.SimulateProcedureResponse.FromString(answer).outcomes)


def nest(depth: int) -> dict[str, Any]:
    inner = [BASE] if depth == 0 else [nest(depth - 1)]
    return {"list_group": {"condition": "overage_quantity > 0", "elements": inner}}


@pytest.mark.parametrize(
    ("elements", "field"),
    [
        ([BASE, {"stop": {}}], "inline_version.elements[0]"),
        ([SETTING], "inline_version.elements"),
        ([BASE], "inline_version.elements"),
        ([SETTING, *[BASE] * 100], "inline_version.elements"),
        ([SETTING, BASE, SETTING], "inline_version.elements[2]"),
        # There are no jumps, so the nearest to a cycle is a nest without an end.
        (
            [SETTING, nest(3)],
            "inline_version.elements[1].list_group.elements[0].list_group.elements[0].list_group"
            ".elements[0]",
        ),
    ],
    ids=["no setting", "one element", "only another", "101", "two settings", "deep"],
)
async def test_r06_what_is_no_procedure_is_refused_by_its_element(
    wire: Wire, elements: list[Any], field: str
):
    refused = await wire.refused(SIMULATE, trying(elements))
    is_(refused, INVALID, "PROCEDURE_INVALID")
    assert refused.fields == (field,)


@pytest.mark.parametrize(
    "text",
    [
        "net_unit_rate / 0",
        "10**10**10",
        "net_unit_rate + fee",
        "net_unit_rate.real",
        "__import__('os')",
        "(lambda f: f(f))(lambda f: f(f))",
        "[n for n in (1, 2)]",
        "+".join(["net_unit_rate"] * 720),  # ten kilobytes
        "(" * 5_000 + "1" + ")" * 5_000,
        "",
    ],
    ids=lambda text: text[:20],
)
async def test_r07_what_is_no_formula_is_refused_when_it_is_kept(wire: Wire, text: str):
    # Starts the process that simulates, which takes as long as an import.
    await wire.refused(SIMULATE, trying([SETTING, BASE, formula("")]))
    began = time.perf_counter()
    refused = await wire.refused(SIMULATE, trying([SETTING, BASE, formula(text)]))
    took = time.perf_counter() - began

    assert refused.code == INVALID
    assert refused.reason in ("FORMULA_INVALID", "TEXT_TOO_LONG", "FIELD_REQUIRED")
    assert refused.fields == ("inline_version.elements[2].formula.expression",)
    assert took < 0.5


@pytest.mark.parametrize(
    "text", ["1 / (overage_quantity - 4)", " * ".join(["overage_quantity ** 10"] * 7)]
)
async def test_r07_what_a_line_cannot_compute_fails_with_it_and_no_other(wire: Wire, text: str):
    is_division = text.startswith("1 /")
    bad, good = (4, 5) if is_division else (10**25, 1)
    failed, priced = await outcomes(wire, [SETTING, BASE, formula(text)], line(bad), line(good))

    assert failed.status.code == StatusCode.FAILED_PRECONDITION.value[0]
    assert UsageError.of_status(failed.status).reason == "RATING_FAILED"
    assert not failed.HasField("amount")
    assert (priced.status.code, priced.HasField("amount")) == (0, True)


async def test_r08_a_line_past_its_time_fails_and_the_call_does_not(wire: Wire):
    steps = [(n, n + 1, "PERCENTAGE", 10) for n in range(100)]
    slow = line(
        100,
        tiers=tiers(*steps, mode="GRADUATED"),
        commitments=[{"tiers": tiers(*steps)}] * 20,
        used_quantity=num(99),
    )
    elements = [SETTING, BASE, {"graduated_tiers": {}}, {"commitment_rate": {}}]

    first, late, last = await outcomes(
        wire, elements, line(2), slow, line(3), element_milliseconds=4
    )

    assert UsageError.of_status(late.status).reason == "TIME_LIMIT"
    assert (first.status.code, last.status.code, late.HasField("amount")) == (0, 0, False)
