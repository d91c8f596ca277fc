"""`usage export`, `usage setup` of what it wrote, and `usage clone`, as programs."""

import json
from pathlib import Path

import grpc
import pytest
import yaml
from google.rpc import error_details_pb2 as details
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import setup_service_pb2 as pb

from clients import UsageClient, UsageError
from clients.catalogs.exchange import export, parts
from clients.catalogs.writing import write_json, write_yaml
from clients.demo import EXAMPLES
from clients.descriptions import read_yaml
from clients.values import decimal_pb
from tests.clients.command_line import Ended, usage
from tests.clients.small_server import Script, answering, refusal
from tests.service import Service, add_tenant
from tests.stories.words import day, moment

TEXTS = (
    "plain",
    "a: b # c",
    "it's",
    '"quoted"',
    "- item",
    "two\nlines\n",
    " blanks ",
    "",
    "no",
    "true",
    "null",
    "~",
    "012",
    "12",
    "-3.50",
    "+.5",
    "1e5",
    "0x1f",
    "1:30",
    "2026-01-31",
    "2026-13-31",
    "&anchor",
    "*alias",
    "!tag",
    "% percent",
    "@at",
    "tab\there",
    "größe 😀",
    "\u2028",
    "x" * 200,
)


@pytest.mark.parametrize("write", [write_yaml, write_json])
@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_read_as_it_was_written(write, text):
    written = pb.Catalog(products=[catalog.Product(name="products/p", display_name=text)])

    read = read_yaml(write(written)).into(pb.Catalog())

    assert read == written


@pytest.mark.parametrize("write", [write_yaml, write_json])
@pytest.mark.parametrize(
    "number", ["0", "7", "-12.5", "0.000000000001", "1" * 26 + ".123456789012"]
)
def test_numbers_and_days_are_read_as_they_were_written(write, number):
    grant = catalog.ProductUsageGrant(quantity=decimal_pb(0), start_date=day("2026-01-31"))
    grant.quantity.value = number
    written = pb.Catalog(product_usage_grants=[grant])

    assert read_yaml(write(written)).into(pb.Catalog()) == written


def test_yaml_is_as_people_write_it():
    grant = catalog.ProductUsageGrant(
        name="products/p/grants/g", type="COMMIT", quantity={"value": "0.75"}
    )
    grant.start_date.CopyFrom(day("2026-01-31"))
    written = write_yaml(pb.Catalog(product_usage_grants=[grant], drafts=["products/p/grants/g"]))

    assert written == (
        "product_usage_grants:\n"
        "- name: products/p/grants/g\n"
        "  quantity: 0.75\n"
        "  type: COMMIT\n"
        "  start_date: 2026-01-31\n"
        "drafts:\n"
        "- products/p/grants/g\n"
    )


def units(count: int) -> pb.Catalog:
    """A catalog of tokens after what is rated in them, and classes whose default comes last."""
    made = pb.Catalog(default_procedures=["procedures/p"], drafts=["unitsOfMeasure/u0", "none/x"])
    for index in range(count):
        unit_class = f"unitClasses/c{index}"
        unit = f"unitsOfMeasure/u{count - index - 1}"
        made.unit_classes.add(name=unit_class, kind="USAGE", default_unit=unit)
        made.units_of_measure.add(name=f"unitsOfMeasure/u{index}", unit_class=unit_class)
    made.usage_resources.add(name="usageResources/a", token_resource="usageResources/z")
    made.usage_resources.add(name="usageResources/z")
    return made


def test_parts_have_what_belongs_together_and_come_in_the_order_of_dependencies():
    found = parts(units(3), 3)

    assert [[one.name for one in part.catalog.unit_classes] for part in found] == [
        ["unitClasses/c0"],
        ["unitClasses/c1"],
        ["unitClasses/c2"],
        [],
    ]
    assert [[one.name for one in part.catalog.units_of_measure] for part in found[:3]] == [
        ["unitsOfMeasure/u2"],
        ["unitsOfMeasure/u1"],
        ["unitsOfMeasure/u0"],
    ]
    order = [one.name for part in found for one in part.catalog.usage_resources]
    assert order == ["usageResources/z", "usageResources/a"]
    assert [list(part.catalog.drafts) for part in found] == [
        [],
        [],
        ["unitsOfMeasure/u0"],
        ["none/x"],
    ]
    assert [list(part.catalog.default_procedures) for part in found] == [
        [],
        [],
        [],
        ["procedures/p"],
    ]


def test_a_place_in_a_part_is_known_in_the_whole():
    *_, before, last = parts(units(3), 3)

    assert before.placed("catalog.units_of_measure[0].factor") == "units_of_measure[0].factor"
    assert before.placed("catalog.unit_classes[0]") == "unit_classes[2]"
    assert before.placed("catalog.usage_resources[0].name") == "usage_resources[1].name"
    assert last.placed("catalog.usage_resources[0].name") == "usage_resources[0].name"
    assert last.placed("catalog.drafts[0]") == "drafts[0]"
    assert parts(units(3))[0].placed("catalog.unit_classes[2].kind") == "unit_classes[2].kind"


async def test_a_catalog_that_changes_between_its_pages_is_read_again(tmp_path: Path) -> None:
    pages = [
        pb.ExportCatalogResponse(next_page_token="t", catalog_revision=1),
        pb.ExportCatalogResponse(catalog_revision=2),
    ]
    whole = pb.ExportCatalogResponse(catalog=pb.Catalog(drafts=["products/p"]), catalog_revision=2)
    script = Script({"ExportCatalog": [*pages, whole, *pages * 3]})
    async with answering(script) as address, UsageClient(address, "k") as client:
        found, _ = await export(client)
        with pytest.raises(UsageError) as refused:
            await export(client)

    assert list(found.drafts) == ["products/p"]
    assert refused.value.reason == "CATALOG_CHANGED"


async def tenant(service: Service) -> tuple[str, ...]:
    """The options for a new tenant with the usual units."""
    _, key = await add_tenant(service, moment("2026-01-01"), is_empty=False)
    return ("--address", service.address, "--key", key)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
async def test_an_exported_file_is_set_up_in_another_tenant(
    service: Service, tmp_path: Path, suffix: str
) -> None:
    source, copy = await tenant(service), await tenant(service)
    form = ("--json",) if suffix == "json" else ()
    file = tmp_path / f"catalog.{suffix}"

    async def run(*command: str) -> Ended:
        ended = await usage(*command, home=tmp_path)
        assert ended.code == 0, ended.err
        return ended

    for name in ("telecom", "ai-platform"):
        await run("setup", str(EXAMPLES / f"{name}.yaml"), *source)
    exported = await run("export", *form, *source)
    file.write_text(exported.out)
    at_home = await run("setup", str(file), *source)
    plan = await run("setup", str(file), "--plan", *copy)
    done = await run("setup", str(file), *copy)
    again = await run("setup", str(file), *copy)

    assert exported.err == ""
    assert "products/telecom-plan" in exported.out
    assert "would be created" in plan.out
    assert "products/telecom-plan" in done.out
    assert "unitsOfMeasure/EUR" not in done.out
    assert "nothing changes" in at_home.out
    assert "nothing changes" in again.out
    assert (await run("export", *form, *copy)).out == exported.out


async def test_what_a_file_cannot_say_is_named(tmp_path: Path) -> None:
    page = pb.ExportCatalogResponse(catalog=pb.Catalog(drafts=["products/p"]))
    page.omissions.add(name="overagePolicies/o", description="it is version 2")
    script = Script({"ExportCatalog": [page, page]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        told = await usage("export", *where, home=tmp_path)
        plain = await usage("export", "--json", *where, home=tmp_path)

    assert told.out.startswith("# not in this file: overagePolicies/o: it is version 2\n")
    assert yaml.safe_load(told.out) == json.loads(plain.out) == {"drafts": ["products/p"]}
    assert "overagePolicies/o: it is version 2" in told.err
    assert told.err == plain.err


async def test_a_refused_part_names_lines_and_what_is_done(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    whole = pb.Catalog()
    for index in range(1001):
        whole.products.add(name=f"products/p{index}", usage_model_type="ANCHOR")
    file.write_text(write_yaml(whole))
    fault = details.BadRequest()
    fault.field_violations.add(
        field="catalog.products[0].name", reason="CODE_FORMAT", description="is wrong"
    )
    first = refusal(grpc.StatusCode.INVALID_ARGUMENT, "CODE_FORMAT", fault)
    script = Script({"SetUpCatalog": [pb.SetUpCatalogResponse(), first]})
    async with answering(script) as address:
        where = ("--address", address, "--key", "k")
        plan = await usage("setup", str(file), "--plan", *where, home=tmp_path)
        told = await usage("setup", str(file), *where, home=tmp_path)

    said = " ".join(told.err.split())
    assert (plan.code, told.code) == (2, 1)
    assert "2 parts" in plan.err
    assert "line 2002: products[1000].name: is wrong (CODE_FORMAT)" in said
    assert "1 of 2 parts are set up; correct the file and run it again" in said
    assert [len(one.catalog.products) for one in script.asked] == [1000, 1]


async def test_products_cards_and_books_are_cloned(service: Service, tmp_path: Path) -> None:
    where = await tenant(service)
    await usage("setup", str(EXAMPLES / "telecom.yaml"), *where, home=tmp_path)

    async def clone(*command: str) -> Ended:
        return await usage("clone", *command, *where, home=tmp_path)

    plan = await clone("product", "telecom-plan", "copy", "--plan")
    product = await clone("product", "products/telecom-plan", "copy", "--display-name", "Copy")
    card = await clone("rate-card", "list", "list-2", "--json")
    book = await clone("price-book", "standard", "outlet")
    missing = await clone("product", "none", "x")

    assert [one.code for one in (plan, product, card, book, missing)] == [0, 0, 0, 0, 1]
    assert product.out == "products/copy\n"
    assert json.loads(card.out)["name"] == "rateCards/list-2"
    assert book.out.split("\n") == [
        "priceBooks/outlet",
        "  with rateCards/outlet-base",
        "  with rateCards/outlet-tier",
        "",
    ]
    assert "PRODUCT_NOT_FOUND" in missing.err
