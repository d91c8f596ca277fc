"""Custom fields of rates: defined by the tenant, validated, and carried to the asset."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates

from clients.pages import pages
from clients.values import enum_name
from tests.stories.detail_words import detail_list, fields, history
from tests.stories.export_words import apply, whole
from tests.stories.quote_words import act, activate, order, rate
from tests.stories.rate_words import priced, put
from tests.stories.words import Metered, line, refusal
from tests.stories.world import World

FIXED = Metered(resource="calls", rate="1", negotiable=False)
TYPES = ("TEXT", "NUMBER", "CHECKBOX", "DAY", "PERCENT", "AMOUNT_OF_MONEY")
VALUES = {
    "a-text": "Ask Zoë first",
    "a-number": "-12.5",
    "a-checkbox": "true",
    "a-day": "2024-02-29",
    "a-percent": "30",
    "a-amount_of_money": "1000",
    "a-picklist": "gold",
}


async def define(world: World, name: str, kind: str, *values: str) -> rates.CustomField:
    field = rates.CustomField(type=kind, picklist_values=values)
    request = rates.CreateCustomFieldRequest(custom_field_id=name, custom_field=field)
    return await world.client.rates.CreateCustomField(request)


async def shop(sandbox: Any, *metered: Metered) -> tuple[World, str]:
    """A plan without rates unless told, a field of each type, and an account."""
    world = await sandbox("2024-01-31")
    await world.product("plan", *(metered or (Metered(resource="calls"),)))
    for kind in TYPES:
        await define(world, f"a-{kind.lower()}", kind)
    await define(world, "a-picklist", "PICKLIST", "gold", "silver")
    return world, await world.account("ann")


def with_fields(value: str | None, **given: str) -> rates.RateCardEntry:
    made = priced("calls", value)
    made.custom_fields.update({f"a-{key}": text for key, text in given.items()})
    return made


def asked(value: str | None, **given: str) -> quotes.NegotiatedRate:
    made = quotes.NegotiatedRate(usage_resource="usageResources/calls")
    if value is not None:
        made = rate(value)
    made.custom_fields.update({f"a-{key}": text for key, text in given.items()})
    return made


@pytest.mark.capability("M80.fields")
async def test_fields_of_every_type_go_from_the_rate_card_to_the_asset(sandbox):
    world, account = await shop(sandbox)
    entry = priced("calls", "0.50")
    entry.custom_fields.update(VALUES | {"a-number": "-12.50"})
    await put(world, "base/calls", entry)

    quote = await world.quote(account, line("plan", "2024-01-01"))
    ordered = await order(world, quote)
    active = await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=ordered.name))
    [asset] = active.assets

    for subject in (quote.name, ordered.name, asset):
        [shown] = await detail_list(world, subject)
        assert dict(shown.resource.terms.custom_fields) == VALUES
        assert not shown.resource.terms.catalog_custom_fields
    found = await world.discover("plan", "calls")
    assert dict(found.terms.custom_fields) == VALUES
    [sale] = await history(world, asset)
    assert fields(sale)["custom_fields/a-picklist"] == ("", "gold")


@pytest.mark.capability("M80.fields")
async def test_fields_of_a_negotiated_rate_replace_those_of_the_catalog(sandbox):
    world, account = await shop(sandbox)
    await put(world, "base/calls", with_fields("0.50", picklist="gold", text="list"))
    wanted = line("plan", "2024-01-01", negotiated=[asked("0.45", picklist="silver", percent="10")])

    quote = await world.quote(account, wanted)
    again = await act(world, "Reprice", quote)
    [asset] = await activate(world, quote)

    merged = {"a-picklist": "silver", "a-text": "list", "a-percent": "10"}
    assert again.lines == quote.lines
    assert dict(quote.lines[0].negotiated_rates[0].custom_fields) == {
        "a-picklist": "silver",
        "a-percent": "10",
    }
    [shown] = await detail_list(world, asset.name)
    assert dict(shown.resource.terms.custom_fields) == merged
    assert dict(shown.resource.terms.catalog_custom_fields) == {
        "a-picklist": "gold",
        "a-text": "list",
    }
    assert dict(asset.resources[0].terms.custom_fields) == merged


@pytest.mark.capability("M80.fields")
async def test_a_fixed_rate_can_have_fields_and_stays_as_it_is(sandbox):
    world, account = await shop(sandbox, FIXED)

    quote = await world.quote(
        account, line("plan", "2024-01-01", negotiated=[asked(None, text="by Zoë")])
    )
    refused = await refusal(
        world.quote(account, line("plan", "2024-01-01", negotiated=[asked("2", text="by Zoë")]))
    )

    terms = quote.lines[0].resources[0].terms
    assert (dict(terms.custom_fields), terms.rate_negotiated) == ({"a-text": "by Zoë"}, False)
    assert refused.reason == "NOT_NEGOTIABLE"


WRONG = {
    "text": "",
    "number": "1e3",
    "checkbox": "yes",
    "day": "2023-02-29",
    "percent": "10%",
    "amount_of_money": "USD 5",
    "picklist": "bronze",
    "other": "x",
}


@pytest.mark.capability("M80.types")
async def test_wrong_values_are_refused_with_the_name_of_each_field(sandbox):
    world, account = await shop(sandbox, FIXED)
    wrong = sorted(f"a-{key}" for key in WRONG)

    on_card = await refusal(put(world, "base/calls", with_fields("0.50", **WRONG)))
    on_quote = await refusal(
        world.quote(account, line("plan", "2024-01-01", negotiated=[asked(None, **WRONG)]))
    )

    for refused, path in (
        (on_card, "rate_card_entry.custom_fields"),
        (on_quote, "quote.lines[0].negotiated_rates[0].custom_fields"),
    ):
        assert (refused.code.name, refused.reason) == ("INVALID_ARGUMENT", "CUSTOM_FIELD_INVALID")
        assert [one.field for one in refused.violations] == [f"{path}[{key}]" for key in wrong]
    texts = {one.field.rpartition("[")[2]: one.description for one in on_card.violations}
    assert texts["a-picklist]"] == "must be one of gold, silver"
    assert texts["a-other]"] == "is not a custom field; CreateCustomField defines one"


@pytest.mark.capability("M80.types")
async def test_a_field_keeps_its_type_and_is_deleted_only_without_rates(sandbox):
    world, _ = await shop(sandbox)
    rpc = world.client.rates
    await put(world, "base/calls", with_fields("0.50", picklist="gold"))

    async def update(path: str, **changes: Any) -> rates.CustomField:
        field = rates.CustomField(name="customFields/a-picklist", **changes)
        request = rates.UpdateCustomFieldRequest(
            custom_field=field, update_mask=FieldMask(paths=[path])
        )
        return await rpc.UpdateCustomField(request)

    longer = await update("picklist_values", picklist_values=["gold", "silver", "bronze"])
    refused = [
        await refusal(update("type", type="TEXT")),
        await refusal(update("picklist_values")),
        await refusal(define(world, "b", "PICKLIST")),
        await refusal(define(world, "b", "TEXT", "gold")),
        await refusal(define(world, "a-text", "NUMBER")),
        await refusal(
            rpc.DeleteCustomField(rates.DeleteCustomFieldRequest(name="customFields/a-picklist"))
        ),
    ]
    await rpc.DeleteCustomField(rates.DeleteCustomFieldRequest(name="customFields/a-text"))
    gone = await refusal(
        rpc.GetCustomField(rates.GetCustomFieldRequest(name="customFields/a-text"))
    )
    listed = [
        one.name
        async for one in pages(rpc.ListCustomFields, rates.ListCustomFieldsRequest(page_size=2))
    ]

    assert [*longer.picklist_values] == ["gold", "silver", "bronze"]
    assert enum_name(longer, "type") == "PICKLIST"
    assert [one.reason for one in refused] == [
        "FIELD_MASK_INVALID",
        "CUSTOM_FIELD_INVALID",
        "CUSTOM_FIELD_INVALID",
        "CUSTOM_FIELD_INVALID",
        "CODE_TAKEN",
        "IN_USE",
    ]
    assert refused[-1].violations[0].field == "rateCards/base/entries/calls"
    assert gone.reason == "CUSTOM_FIELD_NOT_FOUND"
    assert listed == sorted(f"customFields/{key}" for key in VALUES if key != "a-text")


@pytest.mark.capability("M80.catalog")
async def test_a_catalog_is_exported_and_set_up_with_its_fields(sandbox):
    world, _ = await shop(sandbox)
    await put(world, "base/calls", with_fields("0.50", picklist="gold", day="2024-02-29"))
    exported = await whole(world)
    other = await sandbox("2024-01-31")

    created = await apply(other, exported)
    again = await apply(other, exported)

    assert "customFields/a-picklist" in created["CREATED"]
    assert again.keys() == {"REUSED"}
    assert await whole(other) == exported
    [entry] = exported.rate_card_entries
    assert dict(entry.custom_fields) == {"a-picklist": "gold", "a-day": "2024-02-29"}
    assert len(exported.custom_fields) == len(VALUES)
