"""Modeling: units, resources, products and their policies, each kept only if it can be meant."""

from decimal import Decimal

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type import date_pb2
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc

from clients import UsageClient, UsageError
from tests.service import add_tenant
from tests.stories.catalog_words import counted, held, product, resource, unit, unit_class
from tests.stories.words import Metered, figure, line, moment, number
from tests.stories.world import World


@pytest.mark.capability("M8")
async def test_a_product_is_of_one_type_which_does_not_change_once_it_is_set_up(sandbox):
    world = await sandbox("2024-01-01")
    for kind in catalog.Product.UsageModelType.keys()[1:]:
        assert (
            catalog.Product.UsageModelType.Name(
                (await product(world, f"a-{kind.lower()}", kind)).usage_model_type
            )
            == kind
        )
    for wrong, reason in ((0, "ENUM_UNSPECIFIED"), (9, "ENUM_UNKNOWN")):
        with pytest.raises(UsageError, match=reason):
            await product(world, "wrong", wrong)

    await unit_class(world, "data")
    await resource(world, "data", "data")
    change = rpc.UpdateProductRequest(
        product=catalog.Product(name="products/a-anchor", usage_model_type="PACK"),
        update_mask=FieldMask(paths=["usage_model_type"]),
    )
    changed = await world.client.catalog.UpdateProduct(change)
    assert changed.usage_model_type == catalog.Product.PACK
    await held(world, "a-anchor", "data")
    change.product.usage_model_type = catalog.Product.ANCHOR
    with pytest.raises(UsageError, match="IN_USE") as refused:
        await world.client.catalog.UpdateProduct(change)
    assert "products/a-anchor/usageResources/data" in str(refused.value)


async def test_only_an_anchor_says_how_its_usage_counts(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "data")
    await resource(world, "data", "data")
    for kind in ("PACK", "TOKEN_COMMITMENT", "QUANTITY_COMMITMENT", "MONETARY_COMMITMENT"):
        name = kind.lower()
        await product(world, name, kind)
        with pytest.raises(UsageError, match="POLICY_NOT_ALLOWED"):
            await held(
                world,
                name,
                "data",
                policies=catalog.ResourcePolicies(overage_policy="overagePolicies/any"),
            )
        assert (await held(world, name, "data")).name == f"products/{name}/usageResources/data"


@pytest.mark.capability("M9.code", "M9.kind", "M9.default")
async def test_a_class_of_units_has_a_code_of_its_own_and_a_unit_to_count_in(sandbox):
    world = await sandbox("2024-01-01")
    await counted(world, "mass", "kg", scale=3)
    await unit_class(world, "volume")
    for again in ("mass", "Mass"):
        with pytest.raises(UsageError, match="CODE_TAKEN") as refused:
            await unit_class(world, again, kind="TOKEN")
        assert refused.value.facts["name"] == "unitClasses/mass"
    for kind in ("USAGE", "CURRENCY", "TOKEN"):
        made = await unit_class(world, f"of-{kind.lower()}", kind=kind)
        assert catalog.UnitClass.Kind.Name(made.kind) == kind
    with pytest.raises(UsageError, match="ENUM_UNSPECIFIED"):
        await unit_class(world, "kindless", kind="KIND_UNSPECIFIED")
    await unit(world, "ton", "mass", factor=number(1000), scale=3)
    await unit(world, "litre", "volume", scale=3)

    await world.product("plan", Metered(resource="other", rate="1"), activate=False)
    await resource(world, "freight", "mass")
    await resource(world, "water", "volume", unit_of_measure="unitsOfMeasure/litre")
    for name in ("freight", "water"):
        await held(world, "plan", name)
        await world.price("plan", Metered(resource=name, rate="1"))
    await world.activate("plan")
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01"))

    units = {w.usage_resource: w.unit_of_measure for w in await world.wallets(account)}
    assert units["usageResources/freight"] == "unitsOfMeasure/kg"
    assert units["usageResources/water"] == "unitsOfMeasure/litre"


@pytest.mark.capability("M11")
async def test_a_unit_of_money_is_an_iso_code_to_the_letter(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "money", kind="CURRENCY")
    assert (await unit(world, "USD", "money", scale=2)).name == "unitsOfMeasure/USD"
    for wrong in ("usd", "Usd", "USDT", "dollar"):
        with pytest.raises(UsageError, match="CURRENCY_UNKNOWN") as refused:
            await unit(world, wrong, "money")
        assert "ISO 4217" in str(refused.value)


@pytest.mark.capability("M12")
async def test_a_resource_is_counted_in_units_of_its_kind(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "data")
    await unit_class(world, "money", kind="CURRENCY")
    await unit_class(world, "mass")
    await unit(world, "gb", "data")
    await unit(world, "kg", "mass")

    made = await resource(world, "traffic", "data", unit_of_measure="unitsOfMeasure/gb")
    assert (made.category, made.unit_class) == (catalog.UnitClass.USAGE, "unitClasses/data")
    with pytest.raises(UsageError, match="CODE_TAKEN"):
        await resource(world, "Traffic", "mass")
    for wrong in (
        {"of": "money"},
        {"of": "data", "category": "CURRENCY"},
        {"of": "data", "unit_of_measure": "unitsOfMeasure/kg"},
    ):
        with pytest.raises(UsageError, match="UNIT_CLASS_MISMATCH"):
            await resource(world, "wrong", **wrong)


@pytest.mark.capability("M14")
async def test_a_resource_is_sold_within_its_dates_and_stands_in_a_product_once(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    ends = rpc.UpdateProductUsageResourceRequest(
        product_usage_resource=catalog.ProductUsageResource(
            name="products/plan/usageResources/calls",
            start_date=date_pb2.Date(year=2024, month=1, day=1),
            end_date=date_pb2.Date(year=2024, month=3, day=1),
        ),
        update_mask=FieldMask(paths=["start_date", "end_date"]),
    )
    await world.client.catalog.UpdateProductUsageResource(ends)
    await world.activate("plan")
    account = await world.account("ann")

    assert (await world.quote(account, line("plan", "2024-02-29"))).name
    for day in ("2023-12-31", "2024-03-01"):
        with pytest.raises(UsageError, match="RESOURCE_INACTIVE"):
            await world.quote(account, line("plan", day))
    with pytest.raises(UsageError, match="CODE_TAKEN"):
        await held(world, "plan", "calls", start_date=date_pb2.Date(year=2024, month=2, day=1))


@pytest.mark.capability("M21")
async def test_48_hours_wait_as_long_as_2_days_and_days_are_rated_by_themselves(sandbox):
    world = await sandbox("2024-01-03")
    await world.product(
        "plan",
        Metered(resource="by-hours", rate="1", rating="DAY", waiting_hours=48),
        Metered(resource="by-days", rate="1", rating="DAY", waiting_days=2),
        Metered(resource="by-month", rate="1", rating="MONTH", waiting_days=2),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-03"))
    for name in ("by-hours", "by-days", "by-month"):
        await world.use(asset, name, "2024-01-03", 7)

    async def rated() -> set[str]:
        done = [one for one in await world.ratable(account) if figure(one.used_quantity)]
        return {one.usage_resource.rpartition("/")[2] for one in done}

    await world.advance("2024-01-05T23:59:59Z")
    assert await rated() == set()
    await world.advance("2024-01-06")
    assert await rated() == {"by-hours", "by-days"}
    await world.advance("2024-02-03")
    assert await rated() == {"by-hours", "by-days", "by-month"}


@pytest.mark.capability("M24.none", "M24.month", "M24.quarter", "M24.year")
async def test_three_months_are_a_quarter_and_days_are_days(sandbox):
    world = await sandbox("2024-01-01")
    await world.product(
        "plan",
        Metered(resource="months", grant="90", refresh="MONTH", refresh_count=3, rate="1"),
        Metered(resource="quarters", grant="90", refresh="QUARTER", rate="1"),
        Metered(resource="days", grant="10", refresh="DAY", refresh_count=30, rate="1"),
        Metered(resource="years", grant="5", refresh="YEAR", rate="1"),
        Metered(resource="once", grant="7", rate="1"),
    )
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01"))

    await world.advance("2025-01-02")

    starts = {}
    for wallet in await world.wallets(account):
        grants = await world.grants(wallet)
        name = wallet.usage_resource.partition("/")[2]
        starts[name] = [one.start_time.ToDatetime().strftime("%m-%d") for one in grants]
        assert figure(wallet.balance) == {"days": 10, "years": 5, "once": 7}.get(name, 90)
    quarters = ["01-01", "04-01", "07-01", "10-01", "01-01"]
    assert starts["months"] == starts["quarters"] == quarters
    assert starts["days"][:7] == ["01-01", "01-31", "03-01", "03-31", "04-30", "05-30", "06-29"]
    assert starts["years"] == ["01-01", "01-01"]
    assert starts["once"] == ["01-01"]


async def convert(world: World, quantity: object, unit_: str, target: str, **more):
    return await world.client.catalog.ConvertQuantity(
        rpc.ConvertQuantityRequest(
            quantity=number(quantity),
            unit_of_measure=f"unitsOfMeasure/{unit_}",
            target_unit_of_measure=f"unitsOfMeasure/{target}",
            **more,
        )
    )


@pytest.mark.capability("M10.factor", "M10.sequence", "M10.scale", "M10.rounding")
async def test_units_convert_by_factor_and_round_as_they_are_told(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "mass")
    await unit_class(world, "money", kind="CURRENCY")
    await unit(world, "lb", "mass", scale=1, sequence=2)
    kilo = await unit(world, "kg", "mass", factor=number("2.2"), scale=3, sequence=1)
    await unit(world, "stone", "mass", factor=number(14), scale=1, rounding="DOWN")
    for code, scale in (("JPY", 0), ("USD", 2)):
        await unit(world, code, "money", scale=scale)

    assert (kilo.sequence, kilo.rounding) == (1, catalog.UnitOfMeasure.ROUNDING_UNSPECIFIED)
    pounds = await convert(world, 3, "kg", "lb")
    assert (figure(pounds.quantity), pounds.exact) == (Decimal("6.6"), True)
    assert figure((await convert(world, "6.6", "lb", "kg")).quantity) == 3
    for quantity, source, target in ((1, "lb", "kg"), ("100.5", "JPY", "JPY")):
        with pytest.raises(UsageError, match="UNIT_SCALE"):
            await convert(world, quantity, source, target)
    kilos = await convert(world, 1, "lb", "kg", round=True)
    assert (figure(kilos.quantity), kilos.exact) == (Decimal("0.455"), False)
    stones = await convert(world, 27, "lb", "stone", round=True)
    assert figure(stones.quantity) == Decimal("1.9")
    for rounding, rounded in (("HALF_EVEN", "0.4"), ("UP", "0.5"), ("HALF_UP", "0.5")):
        name = f"tenth-{rounding.lower().replace('_', '-')}"
        await unit(world, name, "mass", factor=number(10), scale=1, rounding=rounding)
        found = await convert(world, "4.5", "lb", name, round=True)
        assert figure(found.quantity) == Decimal(rounded), rounding
    yen = await convert(world, "100.5", "JPY", "JPY", round=True)
    assert (figure(yen.quantity), yen.exact) == (101, False)
    for target in ("lb", "USD"):
        with pytest.raises(UsageError, match="UNIT_CLASS_MISMATCH"):
            await convert(world, 1, "JPY", target, round=True)
    with pytest.raises(UsageError, match="UNIT_OF_MEASURE_NOT_FOUND"):
        await convert(world, 1, "kg", "ton")


async def test_a_tenant_begins_with_units_and_currencies_that_can_be_used_at_once(service):
    _, key = await add_tenant(service, moment("2024-01-01"), is_empty=False)
    async with UsageClient(service.address, key) as client:
        world = World(client)
        request = rpc.ListUnitsOfMeasureRequest(page_size=1000, state="CATALOG_STATE_ACTIVE")
        units = (await client.catalog.ListUnitsOfMeasure(request)).units_of_measure
        scales = {one.name.partition("/")[2]: one.scale for one in units}
        gigabytes = await convert(world, "1.5", "GB", "MB")
        await resource(world, "traffic", "data-volume", unit_of_measure="unitsOfMeasure/GB")
        await product(world, "plan")
        await held(world, "plan", "traffic")
        await world.activate("plan")

    assert len(units) > 180
    assert (scales["USD"], scales["JPY"], scales["KWD"], scales["GB"]) == (2, 0, 3, 9)
    assert figure(gigabytes.quantity) == 1500
