"""Validating a whole catalog: a run with its progress, and what it found, page by page."""

import asyncio

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import validation_service_pb2 as rpc

from clients import UsageError
from clients.pages import pages
from tests.stories.validation_words import CALLS, validate
from tests.stories.words import Metered, day
from tests.stories.world import World

ERROR = rpc.ValidationRule.ERROR


async def looked_at(world: World, **more) -> access.Run:
    """A run over the whole catalog, when it has ended."""
    run = await world.client.validation.ValidateCatalog(rpc.ValidateCatalogRequest(**more))
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await world.client.access.GetRun(access.GetRunRequest(name=run.name))
    assert run.state == access.Run.DONE, run
    return run


async def findings(world: World, run: access.Run, **filters) -> list[rpc.CatalogFinding]:
    request = rpc.ListValidationFindingsRequest(parent=run.name, page_size=7, **filters)
    return [one async for one in pages(world.client.validation.ListValidationFindings, request)]


async def many(world: World, count: int) -> None:
    """A product that is fine, and so many drafts without anything in them."""
    await world.product("plan", CALLS)
    for number in range(count):
        made = catalog.Product(usage_model_type="ANCHOR")
        request = catalog_rpc.CreateProductRequest(product_id=f"p{number:03}", product=made)
        await world.client.catalog.CreateProduct(request)


@pytest.mark.capability("M123")
async def test_a_run_finds_what_calls_find(sandbox):
    world = await sandbox("2024-01-01")
    await many(world, 45)
    await world.product("other", Metered(resource="sms", tiers=(("0", "10", "0"),)))

    run = await looked_at(world)
    found = await findings(world, run)

    assert dict(run.done_counts) == {
        "products": 47,
        "products_done": 47,
        "errors": sum(one.rule.severity == ERROR for one in found),
        "warnings": sum(one.rule.severity != ERROR for one in found),
    }
    for product in ("plan", "other", "p000", "p044"):
        [called] = (await validate(world, product)).products
        expected = [
            (result.rule.id, one.message)
            for result in sorted(called.results, key=lambda result: result.rule.id)
            for one in result.findings
        ]
        own = [one for one in found if one.product == f"products/{product}"]
        assert [(one.rule.id, one.finding.message) for one in own] == expected
    assert [one.product for one in found] == sorted(one.product for one in found)


async def test_findings_are_filtered_and_are_the_tenants_own(sandbox):
    world, stranger = await sandbox("2024-01-01"), await sandbox("2024-01-01")
    await many(world, 3)
    run = await looked_at(world, include_drafts=True)
    found = await findings(world, run)

    errors = await findings(world, run, severity=ERROR)
    one = await findings(world, run, product="products/p001")
    rule = await findings(world, run, rule_id=found[0].rule.id)

    assert errors == [each for each in found if each.rule.severity == ERROR]
    assert one == [each for each in found if each.product == "products/p001"]
    assert rule == [each for each in found if each.rule.id == found[0].rule.id]
    assert one
    with pytest.raises(UsageError) as refused:
        await findings(stranger, run)
    assert refused.value.reason == "RUN_NOT_FOUND"


async def test_an_empty_catalog_has_no_findings(sandbox):
    world = await sandbox("2024-01-01")

    run = await looked_at(world)

    assert (run.done_counts["products"], await findings(world, run)) == (0, [])


async def test_what_is_upside_down_or_no_validation_is_refused(sandbox):
    world = await sandbox("2024-01-01")
    clock = await world.advance("2024-01-02")
    ask = world.client.validation.ValidateCatalog

    for call, reason in (
        (ask(rpc.ValidateCatalogRequest(end_date=day("2024-01-01"))), "INTERVAL_INVALID"),
        (findings(world, clock), "RUN_NOT_FOUND"),
    ):
        with pytest.raises(UsageError) as refused:
            await call
        assert refused.value.reason == reason
