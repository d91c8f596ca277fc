"""Selling models: who gets which grant, and when what is sold ends."""

from typing import Any

import pytest
from usage_management.v1 import catalog_service_pb2 as models
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import setup_service_pb2 as setup
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from clients.descriptions import read_yaml
from tests.stories.words import day, figure

PLAN = """
product: {name: products/plan, usage_model_type: ANCHOR}
unit_classes:
- {name: unitClasses/data, kind: USAGE, default_unit: unitsOfMeasure/GB}
units_of_measure:
- {name: unitsOfMeasure/GB, unit_class: unitClasses/data, scale: 3}
- {name: unitsOfMeasure/MB, unit_class: unitClasses/data, factor: 0.001}
selling_models:
- {name: sellingModels/yearly, type: TERM, term: {unit: YEAR, count: 1}}
- {name: sellingModels/for-ever, type: EVERGREEN}
- {name: sellingModels/once, type: ONE_TIME}
usage_resources:
- {name: usageResources/data, category: USAGE, unit_class: unitClasses/data}
rate_cards:
- {name: rateCards/base, type: BASE}
price_book: {name: priceBooks/book, rate_cards: [rateCards/base]}
product_usage_resources:
- product_usage_resource: {usage_resource: usageResources/data}
  rate_card_entries:
  - name: rateCards/base/entries/data
    currency_code: USD
    rate: {value: 1, currency_code: USD}
  grants:
  - product_usage_grant:
      name: products/plan/grants/for-all
      quantity: 250
      unit_of_measure: unitsOfMeasure/MB
      end_date: 2024-03-01
  - product_usage_grant:
      name: products/plan/grants/for-a-year
      quantity: 10
      selling_model: sellingModels/yearly
  - product_usage_grant:
      name: products/plan/grants/for-ever
      quantity: 3
      selling_model: sellingModels/for-ever
  - product_usage_grant:
      name: products/plan/grants/in-spring
      quantity: 100
      start_date: 2024-03-01
      end_date: 2024-06-01
  - product_usage_grant:
      name: products/plan/grants/after-spring
      quantity: 250
      unit_of_measure: unitsOfMeasure/MB
      start_date: 2024-06-01
"""


def sold(model: str = "", start: str = "2024-01-01", end: str | None = None) -> quotes.SaleLine:
    made = quotes.SaleLine(
        product="products/plan",
        start_date=day(start),
        selling_model=f"sellingModels/{model}" if model else "",
    )
    if end is not None:
        made.end_date.CopyFrom(day(end))
    return made


async def shop(sandbox) -> tuple[Any, str]:
    world = await sandbox("2024-01-01")
    await world.client.setup.SetUpProduct(read_yaml(PLAN).into(setup.SetUpProductRequest()))
    await force(world, "once")
    return world, await world.account("ann")


async def force(world: Any, model: str, state: str = "CATALOG_STATE_ACTIVE") -> None:
    request = models.ChangeStatesRequest(names=[f"sellingModels/{model}"], state=state)
    await world.client.catalog.ChangeStates(request)


def granted(line: quotes.SaleLine) -> dict[str, str]:
    [resource] = line.resources
    return {
        one.product_usage_grant.rpartition("/")[2]: f"{figure(one.quantity)} {one.unit_of_measure}"
        for one in resource.grants
    }


@pytest.mark.capability("M17.quantity", "M17.unit", "M17.effectivity", "M17.model")
async def test_a_sale_gets_the_grants_of_its_model_and_its_days(sandbox):
    world, account = await shop(sandbox)
    asked = [sold(), sold("yearly"), sold("for-ever"), sold("once", "2024-03-01")]
    asked += [sold(start="2024-05-31"), sold(start="2024-06-01")]

    quote = await world.quote(account, *asked)
    [_, asset, *_] = await world.sell(account, *asked)

    # A grant in megabytes is credited in the resource's unit.
    common = {"for-all": "0.25 unitsOfMeasure/GB"}
    spring = {"in-spring": "100 unitsOfMeasure/GB"}
    assert [granted(line) for line in quote.lines] == [
        common,
        common | {"for-a-year": "10 unitsOfMeasure/GB"},
        common | {"for-ever": "3 unitsOfMeasure/GB"},
        spring,
        spring,
        {"after-spring": "0.25 unitsOfMeasure/GB"},
    ]
    assert [line.selling_model for line in quote.lines[:2]] == ["", "sellingModels/yearly"]
    assert (asset.end_date.year, asset.end_date.month, asset.end_date.day) == (2025, 1, 1)
    wallet = next(one for one in await world.wallets(account) if one.target == asset.name)
    assert str(figure(wallet.balance)) == "10.25"


async def test_a_selling_model_says_when_a_sale_ends(sandbox):
    world, account = await shop(sandbox)

    quote = await world.quote(
        account, sold("yearly", end="2025-01-01"), sold("once", end="2024-02-01"), sold("for-ever")
    )
    ends = [line.end_date.year for line in quote.lines]

    assert ends == [2025, 2024, 0]
    for wrong, reason in (
        (sold("yearly", end="2024-12-31"), "INTERVAL_INVALID"),
        (sold("for-ever", end="2025-01-01"), "INTERVAL_INVALID"),
        (sold("none"), "SELLING_MODEL_NOT_FOUND"),
        (sold("once"), None),
    ):
        if reason is None:
            await world.quote(account, wrong)
            continue
        with pytest.raises(UsageError) as refused:
            await world.quote(account, wrong)
        assert refused.value.reason == reason, wrong


async def test_a_selling_model_has_the_life_of_every_record(sandbox):
    world, account = await shop(sandbox)
    catalog = world.client.catalog

    made = await catalog.CreateSellingModel(
        models.CreateSellingModelRequest(
            selling_model_id="monthly",
            selling_model={"type": "TERM", "term": types.Cadence(unit="MONTH", count=1)},
        )
    )
    with pytest.raises(UsageError) as draft:
        await world.quote(account, sold("monthly"))
    for wrong in ({"type": "TERM"}, {"type": "EVERGREEN", "term": {"unit": "MONTH", "count": 1}}):
        request = models.CreateSellingModelRequest(selling_model_id="bad", selling_model=wrong)
        with pytest.raises(UsageError) as refused:
            await catalog.CreateSellingModel(request)
        assert refused.value.violations[0].field == "selling_model.term"
    await catalog.ChangeStates(
        models.ChangeStatesRequest(names=[made.name], state="CATALOG_STATE_ACTIVE")
    )
    quote = await world.quote(account, sold("monthly"))
    with pytest.raises(UsageError) as used:
        await force(world, "yearly", "CATALOG_STATE_INACTIVE")
    listed = await catalog.ListSellingModels(models.ListSellingModelsRequest(state=made.state))

    assert draft.value.reason == "RESOURCE_INACTIVE"
    assert quote.lines[0].end_date.month == 2
    assert used.value.reason == "IN_USE"
    assert listed.selling_models == []
