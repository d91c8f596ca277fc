"""A catalog is exported and applied: to a new tenant, and again to its own."""

from collections.abc import Callable

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import setup_service_pb2 as pb

from clients.catalogs.exchange import export, parts
from clients.catalogs.writing import write_json, write_yaml
from clients.descriptions import read_yaml
from tests.stories.export_words import PINGS, apply, fill, paged, whole
from tests.stories.procedure_words import BASE, by, own, version, voucher
from tests.stories.rate_words import ACTIVE, get
from tests.stories.setup_words import Step
from tests.stories.words import day, figure, line, number, refusal
from tests.stories.world import World


async def test_an_export_is_applied_to_a_new_tenant_and_exported_again_the_same(sandbox):
    source: World = await sandbox("2026-01-01")
    copy: World = await sandbox("2026-01-01")
    await fill(source)
    first = await whole(source)

    done = await apply(copy, first)
    second = await whole(copy)
    again = await apply(copy, first)
    at_home = await apply(source, first)

    assert second == first
    assert set(again) == set(at_home) == {"REUSED"}
    assert await whole(copy) == await whole(source) == first
    assert set(done) == {"CREATED", "REUSED", "ACTIVATED", "DEACTIVATED"}
    assert (
        set(done["DEACTIVATED"])
        == set(first.inactive)
        == {
            "products/old",
            "products/old/usageResources/bytes",
            "products/plan/grants/bytes-grant",
        }
    )
    assert {"products/next", "unitClasses/distance", "sellingModels/yearly"} < set(first.drafts)
    for field in pb.Catalog.DESCRIPTOR.fields:
        assert getattr(first, field.name), field.name


@pytest.mark.parametrize("most", [2, 20])
async def test_parts_of_a_catalog_are_applied_one_after_the_other(sandbox, most: int):
    source: World = await sandbox("2026-01-01")
    copy: World = await sandbox("2026-01-01")
    await fill(source)
    first = await whole(source)

    some = parts(first, most)
    for part in some:
        await apply(copy, part.catalog)
    again = [await apply(copy, part.catalog) for part in some]

    assert len(some) > 80 / most
    assert await whole(copy) == first
    assert {action for one in again for action in one} == {"REUSED"}


async def test_a_tenant_with_an_applied_catalog_sells_as_the_source_does(sandbox):
    source: World = await sandbox("2026-01-01")
    copy: World = await sandbox("2026-01-01")
    await fill(source)
    await apply(copy, await whole(source))

    figures = []
    for world in (source, copy):
        account = await world.account("ann")
        quote = await world.quote(account, line("plan", "2026-02-01"), line("plan", "2026-03-01"))
        found = [
            (
                resource.usage_resource,
                [figure(grant.quantity) for grant in resource.grants],
                figure(resource.terms.rate.value),
            )
            for sold in quote.lines
            for resource in sold.resources
        ]
        figures.append(found)
    old = await refusal(copy.quote("accounts/ann", line("old", "2026-02-01")))

    assert figures[0] == figures[1]
    assert [found[1:] for found in figures[1] if found[0].endswith("pings")] == [
        ([10], 1),
        ([10], 3),
    ]
    assert [found[1:] for found in figures[1] if found[0].endswith("bytes")] == [([9], 2)] * 2
    assert old.reason == "RESOURCE_INACTIVE"


async def test_pages_of_any_size_make_the_same_catalog(sandbox):
    world: World = await sandbox("2026-01-01")
    await fill(world)
    expected = await whole(world)
    count = sum(len(group) for _, group in expected.ListFields() if hasattr(group[0], "name"))

    small, pages = await paged(world, 7)

    assert small == expected
    assert pages == -(-count // 7)
    wrong = await refusal(
        world.client.setup.ExportCatalog(pb.ExportCatalogRequest(page_token="no"))
    )
    assert wrong.reason == "PAGE_TOKEN_INVALID"


async def test_large_records_make_small_pages_and_parts(sandbox):
    """A page ends at a mebibyte, and a part before that; default clients read 4 MiB."""
    source: World = await sandbox("2026-01-01")
    copy: World = await sandbox("2026-01-01")
    row = {"cells": [{"value": "x" * 190}] * 3, "adjustment": by("AMOUNT", 1)}
    matrix = {"columns": ["a", "b", "c"], "rows": [row] * 1_000}
    inputs = [{"name": name, "kind": "TEXT", "default_value": ""} for name in matrix["columns"]]
    elements = [{"rating_setting": {"inputs": inputs}}, BASE, {"adjustment_matrix": matrix}]
    for rank in range(3):
        await version(source, f"v{rank}", elements, rank=rank)

    _, pages = await paged(source, 1_000)
    first = await whole(source)
    some = parts(first)
    for part in some:
        await apply(copy, part.catalog)

    assert first.ByteSize() > 1_800_000
    assert pages == len(some) == 3
    assert max(part.catalog.ByteSize() for part in some) < 900_000
    assert await whole(copy) == first


@pytest.mark.parametrize("write", [write_yaml, write_json])
async def test_a_file_says_what_was_exported(sandbox, write: Callable[[pb.Catalog], str]):
    world: World = await sandbox("2026-01-01")
    await fill(world)
    expected = await whole(world)

    assert read_yaml(write(expected)).into(pb.Catalog()) == expected


async def test_the_default_procedure_is_exported_and_made_the_default(sandbox):
    source: World = await sandbox("2026-01-01")
    copy: World = await sandbox("2026-01-01")
    await own(source, voucher(10))
    name = "procedures/own"
    first = await whole(source)

    plan = await apply(copy, first, validate_only=True)
    done = await apply(copy, first)
    again = await apply(copy, first)
    shipped = await whole(await sandbox("2026-01-01"))
    lost = await refusal(apply(copy, shipped))
    told = await apply(copy, shipped, validate_only=True)

    assert name in first.default_procedures
    assert plan == done
    assert done["MADE_DEFAULT"] == [name]
    assert set(again) == {"REUSED"}
    assert await whole(copy) == first
    assert (lost.reason, lost.facts["fields"]) == ("SETUP_CONFLICT", "default_procedures")
    assert told["CONFLICT"] == [lost.facts["name"]]


async def test_earlier_versions_of_a_policy_are_named_and_left_out(sandbox):
    source: World = await sandbox("2026-01-01")
    copy: World = await sandbox("2026-01-01")
    await source.product("plan", PINGS)
    charge = policies.OveragePolicy(name="overagePolicies/charge", overage="FREE")
    await source.client.policies.RevisePolicy(
        policy_rpc.RevisePolicyRequest(
            policy=policy_rpc.Policy(overage_policy=charge),
            update_mask=FieldMask(paths=["overage"]),
        )
    )

    first, omissions = await export(source.client)
    await apply(copy, first)
    second, none = await export(copy.client)

    assert [(one.name, one.description) for one in omissions] == [
        ("overagePolicies/charge", "it is version 2; the versions before it are left out")
    ]
    assert second == first
    assert none == []
    assert first.overage_policies[0].overage == policies.OveragePolicy.FREE


async def test_a_catalog_that_differs_changes_nothing(sandbox):
    world: World = await sandbox("2026-01-01")
    await world.product("plan", PINGS)
    before = await whole(world)
    other = pb.Catalog()
    other.CopyFrom(before)
    other.products[0].display_name = "Another"
    other.products.add(name="products/more", usage_model_type="ANCHOR")
    other.inactive.append("rateCards/base/entries/plan-pings-USD")
    other.drafts.append("products/plan/grants/pings-grant")

    refused = await refusal(apply(world, other))
    told = await world.client.setup.SetUpCatalog(
        pb.SetUpCatalogRequest(catalog=other, validate_only=True)
    )

    assert refused.reason == "SETUP_CONFLICT"
    assert {(one.field, one.description) for one in refused.violations} == {
        ("products/plan", "differs in display_name"),
        ("products/plan/grants/pings-grant", "differs in state"),
        ("rateCards/base/entries/plan-pings-USD", "differs in state"),
    }
    fields = {one.name: [*one.fields] for one in told.steps if one.action == Step.CONFLICT}
    assert fields["rateCards/base/entries/plan-pings-USD"] == ["state"]
    assert await whole(world) == before


async def test_a_draft_is_activated_when_the_catalog_says_so(sandbox):
    world: World = await sandbox("2026-01-01")
    await world.product("plan", PINGS, activate=False)
    wanted = await whole(world)
    assert "products/plan" in wanted.drafts
    del wanted.drafts[:]

    done = await apply(world, wanted)

    assert done["ACTIVATED"][-1] == "rateCards/base/entries/plan-pings-USD"
    assert "products/plan" in done["ACTIVATED"]
    entry = await get(world, "rateCards/base/entries/plan-pings-USD")
    assert entry.state == ACTIVE
    assert not (await whole(world)).drafts


async def test_a_catalog_that_was_exported_before_a_succession_changes_nothing(sandbox):
    world: World = await sandbox("2026-01-01")
    await world.product("plan", PINGS)
    before = await whole(world)
    await world.client.rates.SupersedeRateCardEntry(
        rates.SupersedeRateCardEntryRequest(
            name="rateCards/base/entries/plan-pings-USD",
            rate_card_entry_id="pings-2",
            start_date=day("2026-03-01"),
        )
    )

    assert set(await apply(world, before)) == {"REUSED"}


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        (lambda c: c.drafts.append("products/none"), "NAME_FORMAT", "catalog.drafts[0]"),
        (lambda c: c.inactive.append("rateCards/base"), "NAME_FORMAT", "catalog.inactive[0]"),
        (
            lambda c: c.inactive.extend(["products/plan"] * 2),
            "SETUP_AMBIGUOUS",
            "catalog.inactive[1]",
        ),
        (
            lambda c: c.default_procedures.append("procedures/none"),
            "PROCEDURE_NOT_FOUND",
            "catalog.default_procedures[2]",
        ),
        (
            lambda c: c.product_usage_grants.add(name="products/plan/grants/x"),
            "FIELD_REQUIRED",
            "catalog.product_usage_grants[1].product_usage_resource",
        ),
        (
            lambda c: c.products.add(name="products/PLAN", usage_model_type="ANCHOR"),
            "SETUP_AMBIGUOUS",
            "catalog.products[1].name",
        ),
        (
            lambda c: c.rate_card_entries.add().CopyFrom(
                rates.RateCardEntry(
                    name="rateCards/none/entries/x",
                    product="products/plan",
                    currency_code="USD",
                )
            ),
            "RATE_CARD_NOT_FOUND",
            "catalog.rate_card_entries[1]",
        ),
    ],
)
async def test_a_fault_is_named_by_its_place(sandbox, change, reason, field):
    source: World = await sandbox("2026-01-01")
    await source.product("plan", PINGS)
    wanted = await whole(source)
    change(wanted)

    refused = await refusal(apply(await sandbox("2026-01-01"), wanted))

    assert refused.reason == reason
    places = [one.field for one in refused.violations] or [refused.facts["field"]]
    assert places[0] == field


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        # The rate of a draft, a product of a draft, and two grants for the same days.
        (lambda c: c.drafts.append("products/plan"), "RESOURCE_INACTIVE"),
        (lambda c: c.drafts.append("overagePolicies/charge"), "RESOURCE_INACTIVE"),
        (
            lambda c: c.product_usage_grants.add().CopyFrom(
                catalog.ProductUsageGrant(
                    name="products/plan/grants/twice",
                    product_usage_resource="products/plan/usageResources/pings",
                    quantity=number(1),
                    refresh_policy="refreshPolicies/every-1-month",
                )
            ),
            "EFFECTIVITY_OVERLAP",
        ),
        (
            lambda c: c.rate_card_entries.add().CopyFrom(
                rates.RateCardEntry(
                    name="rateCards/base/entries/twice",
                    product="products/plan",
                    usage_resource="usageResources/pings",
                    currency_code="USD",
                    rate={"value": number(1), "currency_code": "USD"},
                )
            ),
            "RATE_OVERLAP",
        ),
    ],
)
async def test_records_in_force_obey_the_rules_of_activation(sandbox, change, reason):
    source: World = await sandbox("2026-01-01")
    await source.product("plan", PINGS)
    wanted = await whole(source)
    change(wanted)
    copy: World = await sandbox("2026-01-01")
    before = await whole(copy)

    assert (await refusal(apply(copy, wanted))).reason == reason
    assert await whole(copy) == before


async def test_a_setup_of_a_catalog_is_repeated_under_its_request_id(sandbox):
    source: World = await sandbox("2026-01-01")
    await source.product("plan", PINGS)
    wanted = pb.SetUpCatalogRequest(catalog=await whole(source), request_id="catalog-0001")
    copy: World = await sandbox("2026-01-01")

    first = await copy.client.setup.SetUpCatalog(wanted)

    assert await copy.client.setup.SetUpCatalog(wanted) == first
