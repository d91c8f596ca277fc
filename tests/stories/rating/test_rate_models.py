"""An entry for a selling model goes before one for all."""

from decimal import Decimal

import pytest
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from tests.stories.rate_words import cost, move, priced, put
from tests.stories.token_words import set_up
from tests.stories.words import day, figure, line, refusal

MODELS = """
product: {name: products/plan, usage_model_type: ANCHOR}
unit_classes: [{name: unitClasses/data, kind: USAGE, default_unit: unitsOfMeasure/GB}]
units_of_measure: [{name: unitsOfMeasure/GB, unit_class: unitClasses/data}]
selling_models:
- {name: sellingModels/yearly, type: TERM, term: {unit: YEAR, count: 1}}
- {name: sellingModels/monthly, type: TERM, term: {unit: MONTH, count: 1}}
usage_resources: [{name: usageResources/data, category: USAGE, unit_class: unitClasses/data}]
rate_cards: [{name: rateCards/base, type: BASE}, {name: rateCards/tiers, type: TIER}]
price_book: {name: priceBooks/book, rate_cards: [rateCards/base, rateCards/tiers]}
product_usage_resources:
- product_usage_resource: {usage_resource: usageResources/data}
  rate_card_entries:
  - {name: rateCards/base/entries/all, currency_code: USD, rate: {value: 10, currency_code: USD}}
  - name: rateCards/base/entries/yearly
    selling_model: sellingModels/yearly
    currency_code: USD
    start_date: 2024-01-15
    rate: {value: 8, currency_code: USD}
  - name: rateCards/tiers/entries/monthly
    selling_model: sellingModels/monthly
    currency_code: USD
    tiers: {tiers: [{adjustment: {kind: AMOUNT, value: 1}}]}
"""


@pytest.mark.capability("M36")
async def test_an_entry_for_a_selling_model_goes_before_one_for_all(sandbox):
    world = await sandbox("2024-01-31")
    activated = await set_up(world, MODELS)
    account = await world.account("ann")

    async def found(model: str, date: str) -> Decimal:
        named = f"sellingModels/{model}" if model else ""
        return await cost(world, 1, date=day(date), selling_model=named)

    sold = {}
    for model, start in (
        ("", "2024-01-20"),
        ("yearly", "2024-01-20"),
        ("monthly", "2024-01-20"),
        ("yearly", "2024-01-10"),
    ):
        sale = line("plan", start)
        sale.selling_model = f"sellingModels/{model}" if model else ""
        [asset] = await world.sell(account, sale)
        await world.use(asset, "data", "2024-01-25", 1)
        sold[model, start] = asset.name
    await world.advance("2024-02-10")

    assert "sellingModels/yearly" in str(activated)
    assert [await found(model, "2024-01-20") for model in ("", "yearly", "monthly")] == [10, 8, 11]
    assert await found("yearly", "2024-01-14") == 10
    rated = {one.asset: figure(one.amount) for one in await world.ratable(account)}
    assert [rated[name] for name in sold.values()] == [10, 8, 11, 10]
    again = await refusal(
        put(world, "base/again", priced("data", "1", selling_model="sellingModels/yearly"))
    )
    assert (again.reason, again.facts["other"]) == ("RATE_OVERLAP", "rateCards/base/entries/yearly")


async def test_a_selling_model_stays_while_it_has_a_rate(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, MODELS)
    withdrawn = rpc.ChangeStatesRequest(
        names=["sellingModels/yearly"], state="CATALOG_STATE_INACTIVE"
    )
    await world.client.catalog.ChangeStates(withdrawn)

    call = world.client.catalog.DeleteSellingModel(
        rpc.DeleteSellingModelRequest(name="sellingModels/yearly")
    )
    refused = await refusal(call)

    assert refused.reason == "IN_USE"
    assert [one.field for one in refused.violations] == ["rateCards/base/entries/yearly"]


async def test_a_rate_for_one_selling_model_alone_is_nobody_elses(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, MODELS)
    await move(world, types.CATALOG_STATE_INACTIVE, "rateCards/base/entries/all")

    yearly = await world.discover("plan", "data", selling_model="sellingModels/yearly")
    other = await world.discover("plan", "data", selling_model="sellingModels/monthly")
    none = await world.discover("plan", "data")

    assert figure(yearly.terms.rate.value) == 8
    assert UsageError.of_status(other.status).facts["missing"] == "BASE_RATE"
    assert UsageError.of_status(none.status).facts["missing"] == "SELLING_MODEL"
