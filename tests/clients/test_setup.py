"""`usage setup` as a program: the plan as a table, faults with their lines, exit codes."""

import json
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from usage_management.v1 import setup_service_pb2 as pb

from clients.demo import EXAMPLES
from tests.clients.command_line import Ended, usage
from tests.clients.small_server import Answer, Script, answering, refusal
from tests.service import Service, add_tenant
from tests.stories.words import moment

Step = pb.SetupStep
FILE = """\
product:
  name: products/p
  usage_model_type: ANCHOR
unit_classes:

  - name: unitClasses/c
    kind: USAGE
"""


def steps(*found: tuple[str, str, list[str]]) -> pb.SetUpProductResponse:
    made = [Step(name=name, action=action, fields=fields) for name, action, fields in found]  # type: ignore[arg-type]
    return pb.SetUpProductResponse(steps=made)


async def set_up(tmp_path: Path, answer: Answer, *more: str) -> tuple[Ended, Script]:
    file = tmp_path / "plan.yaml"
    file.write_text(FILE)
    script = Script({"SetUpProduct": [answer]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        return await usage("setup", str(file), *more, *where, home=tmp_path), script


async def test_a_plan_is_a_table_and_asks_for_nothing_to_be_done(tmp_path: Path) -> None:
    answer = steps(
        ("unitClasses/c", "REUSED", []),
        ("products/p", "CREATED", []),
        ("products/p", "ACTIVATED", []),
    )

    told, script = await set_up(tmp_path, answer, "--plan")
    plain, _ = await set_up(tmp_path, answer, "--plan", "--json")

    [asked] = script.asked
    assert isinstance(asked, pb.SetUpProductRequest)
    assert (asked.validate_only, asked.unit_classes[0].name) == (True, "unitClasses/c")
    rows = [row.split() for row in told.out.splitlines()]
    assert (told.code, plain.code) == (0, 0)
    assert [row for row in rows if row[:1] in (["use"], ["create"], ["activate"])] == [
        ["use", "unitClasses/c"],
        ["create", "products/p"],
        ["activate", "products/p"],
    ]
    assert "1 record would be created, 1 would be activated" in told.out
    assert [one["action"] for one in json.loads(plain.out)["steps"]] == [
        "REUSED",
        "CREATED",
        "ACTIVATED",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (steps(("products/p", "CREATED", []), ("products/p", "ACTIVATED", [])), "1 activated"),
        (steps(("products/p", "UNCHANGED", [])), "nothing changes"),
    ],
)
async def test_what_was_done_is_told(
    tmp_path: Path, answer: pb.SetUpProductResponse, said: str
) -> None:
    told, script = await set_up(tmp_path, answer)

    [asked] = script.asked
    assert isinstance(asked, pb.SetUpProductRequest)
    assert (told.code, asked.validate_only) == (0, False)
    assert said in told.out


async def test_a_plan_with_a_conflict_is_1_and_shows_what_differs(tmp_path: Path) -> None:
    told, _ = await set_up(
        tmp_path, steps(("unitClasses/c", "CONFLICT", ["kind", "default_unit"])), "--plan"
    )

    assert told.code == 1
    assert "kind, default_unit" in told.out
    assert "Nothing can be set up" in told.out


async def test_a_refusal_is_1_and_names_lines_by_field_or_by_record(tmp_path: Path) -> None:
    conflict = details.PreconditionFailure()
    conflict.violations.add(
        subject="unitClasses/c", type="SETUP_CONFLICT", description="differs in kind"
    )
    fault = details.BadRequest()
    fault.field_violations.add(
        field="product.usage_model_type", reason="ENUM_UNKNOWN", description="is no value"
    )

    by_record, _ = await set_up(
        tmp_path, refusal(grpc.StatusCode.FAILED_PRECONDITION, "SETUP_CONFLICT", conflict)
    )
    by_field, _ = await set_up(
        tmp_path, refusal(grpc.StatusCode.INVALID_ARGUMENT, "ENUM_UNKNOWN", fault)
    )
    by_fact, _ = await set_up(
        tmp_path,
        refusal(grpc.StatusCode.NOT_FOUND, "UNIT_CLASS_NOT_FOUND", field="unit_classes[0]"),
    )
    plain, _ = await set_up(
        tmp_path, refusal(grpc.StatusCode.INVALID_ARGUMENT, "ENUM_UNKNOWN", fault), "--json"
    )

    assert [one.code for one in (by_record, by_field, by_fact, plain)] == [1, 1, 1, 1]
    said = [" ".join(one.err.split()) for one in (by_record, by_field, by_fact)]
    assert "line 6: unitClasses/c: differs in kind (SETUP_CONFLICT)" in said[0]
    assert "line 3: product.usage_model_type: is no value (ENUM_UNKNOWN)" in said[1]
    assert "line 6: unit_classes[0]: because UNIT_CLASS_NOT_FOUND" in said[2]
    assert json.loads(plain.err)["error"]["violations"][0]["field"] == "product.usage_model_type"


async def test_a_file_that_says_nothing_known_is_2_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("product:\n  named: products/p\n")

    told = await usage("setup", str(file), home=tmp_path)
    plain = await usage("setup", str(file), "--json", home=tmp_path)
    missing = await usage("setup", str(tmp_path / "none.yaml"), home=tmp_path)

    toml = tmp_path / "plan.toml"
    toml.write_text("a = 1")
    other = await usage("setup", str(toml), home=tmp_path)

    assert (told.code, plain.code, missing.code, other.code) == (2, 2, 2, 2)
    assert "is TOML; descriptions are YAML" in " ".join(other.err.split())
    said = " ".join(told.err.split())
    assert "line 2: product.named: there is no such field; name?" in said
    assert json.loads(plain.err)["error"]["faults"][0]["line"] == 2


@pytest.mark.parametrize("name", ["telecom", "ai-platform"])
async def test_the_examples_are_set_up_by_the_service(
    service: Service, tmp_path: Path, name: str
) -> None:
    _, key = await add_tenant(service, moment("2026-01-01"))
    where = ("--address", service.address, "--key", key)
    command = ("setup", str(EXAMPLES / f"{name}.yaml"), *where)

    plan = await usage(*command, "--plan", home=tmp_path)
    done = await usage(*command, home=tmp_path)
    again = await usage(*command, home=tmp_path)

    assert (plan.code, done.code, again.code) == (0, 0, 0), done.err
    assert "would be created" in plan.out
    assert f"products/{name}" in done.out
    assert "nothing changes" in again.out
