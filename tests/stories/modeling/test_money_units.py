"""Units of money, and the currencies that a product is sold in."""

import pytest
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from tests.stories.catalog_words import move, unit, unit_class
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, refusal, tier


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("USD", {"scale": 3}),
        ("JPY", {"scale": 2}),
        ("KWD", {"scale": 2}),
        ("EUR", {"rounding": "DOWN"}),
    ],
)
async def test_a_currency_has_no_settings_that_have_no_effect(sandbox, code, fields):
    world = await sandbox("2024-01-01")
    await unit_class(world, "money", kind="CURRENCY")

    error = await refusal(unit(world, code, "money", **fields))

    [name] = fields
    assert error.reason == "RANGE"
    assert error.facts["field"].endswith(name)


async def test_a_currency_has_the_decimals_of_its_money(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "money", kind="CURRENCY")

    made = [await unit(world, code, "money") for code in ("USD", "JPY", "KWD")]
    again = await unit(world, "USD", "money", scale=2)

    assert [one.scale for one in made] == [2, 0, 3]
    assert again == made[0]


@pytest.mark.capability("M127.S11")
async def test_a_tenant_with_units_of_money_has_one_for_each_currency_it_sells_in(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "money", kind="CURRENCY")
    for code in ("EUR", "USD"):
        await unit(world, code, "money")
    names = ["unitClasses/money", "unitsOfMeasure/EUR", "unitsOfMeasure/USD"]
    await move(world, types.CATALOG_STATE_ACTIVE, *names)
    await move(world, types.CATALOG_STATE_INACTIVE, "unitsOfMeasure/USD")
    text = described("plan", {"data": "10"}, Credits(price="1"))

    error = await refusal(set_up(world, text, allow_invalid=False))
    await move(world, types.CATALOG_STATE_ACTIVE, "unitsOfMeasure/USD")
    await set_up(world, text, allow_invalid=False)

    assert (error.reason, error.facts["first"]) == ("VALIDATION_FAILED", "CURRENCY_UNIT_MISSING")


@pytest.mark.capability("M127.S7")
async def test_the_rate_of_a_token_has_one_tier_at_most(sandbox):
    world = await sandbox("2024-01-01")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="1")))
    steps = [tier("0", "100", "2"), tier("100", None, "1")]
    made = await world.client.rates.CreateRateCardEntry(
        rates.CreateRateCardEntryRequest(
            parent="rateCards/tiers",
            rate_card_entry_id="credits",
            rate_card_entry=rates.RateCardEntry(
                product="products/plan",
                usage_resource="usageResources/credits",
                currency_code="USD",
                tiers=types.RateTiers(tiers=steps),
            ),
        )
    )

    error = await refusal(world.activate("plan"))

    assert [(fault.field, fault.reason) for fault in error.violations] == [
        (made.name, "TOKEN_RESOURCE")
    ]


async def test_a_product_without_a_rate_is_not_activated_unless_it_is_allowed(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls"), activate=False)
    request = world.activation("plan")
    request.allow_invalid = False

    error = await refusal(world.client.catalog.ActivateProduct(request))
    request.allow_invalid = True
    done = await world.client.catalog.ActivateProduct(request)

    assert (error.reason, error.violations[0].reason) == ("VALIDATION_FAILED", "RATE_MISSING")
    assert done.product.state == types.CATALOG_STATE_ACTIVE
    assert not done.validation.valid
