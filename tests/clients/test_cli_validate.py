"""`usage validate` as a program: whom it asks about, what it prints, and how it ends."""

import json
from pathlib import Path

import grpc
from google.protobuf.message import Message
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import validation_service_pb2 as validation

from tests.clients.command_line import usage
from tests.clients.small_server import Script, answering, refusal

RECORD = "products/bad/usageResources/calls-of-a-name-that-takes-all-of-the-sixty-four-characters"
MISSING = validation.ValidationResult(
    rule=validation.ValidationRule(
        id="RATE_MISSING", severity="ERROR", title="There is a rate.", remedy="Create an entry."
    ),
    findings=[
        validation.ValidationFinding(
            message="calls has no rate", records=[RECORD, "products/bad/grants/included"]
        )
    ],
    finding_count=3,
)


def answer(request: Message) -> Message:
    """Every product is fine, but for `bad`."""
    assert isinstance(request, validation.ValidateProductsRequest)
    found = [
        validation.ProductValidation(
            product=name,
            valid=name != "products/bad",
            results=[MISSING] if name == "products/bad" else [],
        )
        for name in request.products
    ]
    return validation.ValidateProductsResponse(products=found)


async def test_errors_are_1_with_what_is_wrong_where_and_what_to_do(tmp_path: Path):
    script = Script({"ValidateProducts": [answer]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        told = await usage("validate", "bad", "products/good", *where, home=tmp_path)
        plain = await usage("validate", "bad", "--drafts", *where, "--json", home=tmp_path)
        good = await usage("validate", "good", *where, "--json", home=tmp_path)

    assert (told.code, plain.code, good.code) == (1, 1, 0)
    shown = ("RATE_MISSING", "calls has no rate", "Create an entry.", "and 2 more", RECORD)
    assert [text for text in shown if text not in told.out] == []
    assert "2 products looked at, 1 with errors" in told.out
    found = json.loads(plain.out)
    assert found["valid"] is False
    assert found["products"][0]["valid"] is False
    assert found["products"][0]["results"][0]["rule"]["id"] == "RATE_MISSING"
    assert json.loads(good.out) == {
        "valid": True,
        "products": [{"valid": True, "product": "products/good"}],
    }
    assert plain.err == ""
    assert script.asked[:2] == [
        validation.ValidateProductsRequest(products=["products/bad", "products/good"]),
        validation.ValidateProductsRequest(products=["products/bad"], include_drafts=True),
    ]


def run(state: str, done: int) -> access.Run:
    counts = {"products": 23, "products_done": done, "errors": 3, "warnings": 0}
    return access.Run(
        name="runs/r", state=state, done_counts=counts, error={"message": "a job died"}
    )


async def test_without_names_a_run_looks_at_all_products(tmp_path: Path):
    found = [
        validation.CatalogFinding(
            product=f"products/{name}", rule=MISSING.rule, finding=MISSING.findings[0]
        )
        for name in ("bad", "bad", "worse")
    ]
    script = Script(
        {
            "ValidateCatalog": [run("RUNNING", 0)],
            "GetRun": [run("RUNNING", 20), run("DONE", 23)],
            "ListValidationFindings": [
                validation.ListValidationFindingsResponse(
                    validation_findings=found[:2], next_page_token="more"
                ),
                validation.ListValidationFindingsResponse(validation_findings=found[2:]),
            ],
        }
    )
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        told = await usage("validate", "--drafts", *where, home=tmp_path)

    assert told.code == 1
    assert script.asked[0] == validation.ValidateCatalogRequest(
        include_drafts=True, request_id=script.asked[0].request_id
    )
    assert "23 products looked at, 2 with errors" in told.out
    assert "validating" in told.err


async def test_a_run_that_stops_says_why(tmp_path: Path):
    script = Script({"ValidateCatalog": [run("FAILED", 0)]})
    async with answering(script) as address:
        told = await usage("validate", "--address", address, "--key", "k", home=tmp_path)

    assert (told.code, "a job died" in told.err) == (1, True)


async def test_a_product_that_is_not_there_is_a_refusal(tmp_path: Path):
    refused = refusal(grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    async with answering(Script({"ValidateProducts": [refused]})) as address:
        where = ("--address", address, "--key", "k")
        told = await usage("validate", "nothing", *where, home=tmp_path)

    assert (told.code, "PRODUCT_NOT_FOUND" in told.err) == (1, True)
