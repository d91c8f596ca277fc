"""The age of usage that is taken is a setting of the tenant."""

from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient, UsageError
from tests.service import add_tenant
from tests.stories.consumption.amend_words import amend, reasons, shop
from tests.stories.preview_words import lines, preview
from tests.stories.words import ACCEPTED, moment, refusal, usage
from tests.stories.world import World

LATE = 4


async def update(world: World, name: str = "tenants/-", **fields: object) -> access.Tenant:
    request = access.UpdateTenantRequest(
        tenant=access.Tenant(name=name, **fields), update_mask={"paths": sorted(fields)}
    )
    return await world.client.access.UpdateTenant(request)


async def tenant(world: World) -> access.Tenant:
    return await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))


async def test_older_usage_is_refused_everywhere_and_the_refusal_names_the_setting(sandbox):
    world, account, asset = await shop(sandbox)
    assert (await tenant(world)).usage_window_days == 400
    await world.record([usage(asset, "calls", "2024-01-25", 1, "r1")])

    changed = await update(world, usage_window_days=10)

    assert changed.usage_window_days == (await tenant(world)).usage_window_days == 10
    old, young = (usage(asset, "calls", f"2024-01-{day}", 2, "r1") for day in (20, 21))
    fresh = usage(asset, "calls", "2024-01-20T23:59:59", 2, "r2")
    [outcome] = await world.record([fresh])
    error = UsageError.of_status(outcome.status)
    assert error.reason == "TIMESTAMP_TOO_OLD"
    assert "usage_window_days" in error.message
    assert "UpdateTenant" in error.message
    assert error.facts["setting"] == "usage_window_days"
    assert error.facts["window_days"] == "10"
    assert error.facts["oldest"].startswith("2024-01-21T00:00:00")
    assert reasons(await amend(world, old)) == ["TIMESTAMP_TOO_OLD"]
    assert reasons(await amend(world, young)) == [""]
    asked = lines(asset, "calls", ("2024-01-20", 1), ("2024-01-21", 1))
    assert reasons(await preview(world, account, *asked)) == ["TIMESTAMP_TOO_OLD", ""]


async def test_a_longer_window_takes_usage_of_two_years_ago(sandbox):
    world, _, asset = await shop(sandbox)
    await world.advance("2025-12-10")
    kept = usage(asset, "calls", "2024-01-10", 1, "r1")
    assert reasons(await world.record([kept])) == ["TIMESTAMP_TOO_OLD"]

    await update(world, usage_window_days=3650)

    [outcome] = await world.record([kept])
    assert outcome.code == LATE
    await update(world, usage_window_days=0)
    assert (await tenant(world)).usage_window_days == 400
    # The repeat of a stored record is a duplicate at any age.
    [again] = await world.record([kept])
    assert again.code == again.DUPLICATE
    await world.advance("2025-12-11")


async def test_only_what_the_mask_names_changes_within_its_bounds(sandbox):
    world, _, asset = await shop(sandbox)
    before = await tenant(world)
    named = await update(world, display_name="Ann's", usage_window_days=30)
    assert (named.display_name, named.usage_window_days) == ("Ann's", 30)
    assert named.update_time.ToDatetime() > before.update_time.ToDatetime()
    assert named.updated_by
    again = await update(world, name=named.name, display_name="Ann")
    assert (again.display_name, again.usage_window_days) == ("Ann", 30)

    for days in (-1, 3651):
        error = await refusal(update(world, usage_window_days=days))
        assert [(one.reason, one.field) for one in error.violations] == [
            ("RANGE", "tenant.usage_window_days")
        ]
    clock = await refusal(update(world, clock_start_time=moment("2024-01-01")))
    assert clock.reason == "FIELD_MASK_INVALID"
    other = await refusal(update(world, name="tenants/other", usage_window_days=1))
    assert other.reason == "TENANT_NOT_FOUND"
    assert (await tenant(world)).usage_window_days == 30
    [outcome] = await world.record([usage(asset, "calls", "2024-01-02", 1)])
    assert outcome.code == ACCEPTED


async def test_operators_set_it_too_and_the_limits_show_the_default(service):
    tenant_id, key = await add_tenant(service, moment("2024-01-31"))
    made = access.CreateTenantRequest(
        tenant_id=f"{tenant_id}-w", tenant=access.Tenant(usage_window_days=7)
    )
    wanted = access.Tenant(name=f"tenants/{tenant_id}", usage_window_days=3650)
    async with UsageClient(service.address, service.operator_key) as operator:
        assert (await operator.access.CreateTenant(made)).usage_window_days == 7
        await operator.access.UpdateTenant(
            access.UpdateTenantRequest(tenant=wanted, update_mask={"paths": ["*"]})
        )
    _, collector = await add_tenant(service, None, "COLLECTOR")
    async with UsageClient(service.address, collector) as client:
        error = await refusal(
            client.access.UpdateTenant(
                access.UpdateTenantRequest(
                    tenant=access.Tenant(name="tenants/-", usage_window_days=1),
                    update_mask={"paths": ["usage_window_days"]},
                )
            )
        )
        assert error.reason == "PERMISSION_MISSING"
    async with UsageClient(service.address, key) as client:
        own = await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
        listed = await client.access.ListLimits(access.ListLimitsRequest(page_size=1000))
    assert own.usage_window_days == 3650
    [limit] = [one for one in listed.limits if one.id == "record.window_days"]
    assert (limit.value, limit.reason) == (400, "TIMESTAMP_TOO_OLD")
