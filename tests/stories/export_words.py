"""Short words for whole catalogs: filled, exported and applied."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import setup_service_pb2 as pb

from clients.catalogs.exchange import export
from clients.descriptions import read_yaml
from tests.stories.catalog_words import counted, unit, unit_class
from tests.stories.catalog_words import move as move_records
from tests.stories.procedure_words import BASE, SETTING, by, formula, rounding, version, voucher
from tests.stories.rate_words import INACTIVE, add, adjusted, book, card, priced, put
from tests.stories.setup_words import by_action, example
from tests.stories.words import Metered, day, number
from tests.stories.world import World

PINGS = Metered(resource="pings", grant="10", refresh="MONTH", max_rollovers=2, rate="1")
CHANGES = ("CREATED", "ACTIVATED", "DEACTIVATED", "MADE_DEFAULT", "CONFLICT")


async def apply(world: World, wanted: pb.Catalog, **more: Any) -> dict[str, list[str]]:
    request = pb.SetUpCatalogRequest(catalog=wanted, **more)
    return by_action(await world.client.setup.SetUpCatalog(request))


async def whole(world: World) -> pb.Catalog:
    found, _ = await export(world.client)
    return found


async def paged(world: World, size: int) -> tuple[pb.Catalog, int]:
    """Return the catalog in pages of a size, and the number of pages."""
    found, token, count = pb.Catalog(), "", 0
    while token or not count:
        request = pb.ExportCatalogRequest(page_size=size, page_token=token)
        page = await world.client.setup.ExportCatalog(request)
        found.MergeFrom(page.catalog)
        token, count = page.next_page_token, count + 1
    return found, count


COMMITMENT = """
product: {name: products/commit, usage_model_type: QUANTITY_COMMITMENT}
commitment_policies: [{name: commitmentPolicies/bounded, rate: BOUNDED}]
product_usage_resources:
- product_usage_resource:
    usage_resource: usageResources/pings
    policies: {commitment_policy: commitmentPolicies/bounded}
  grants:
  - product_usage_grant: {name: products/commit/grants/pings, type: COMMIT, quantity: 100}
rate_card_entries:
- name: rateCards/tiers/entries/commit
  currency_code: USD
  tiers: {tiers: [{adjustment: {kind: PERCENTAGE, value: 10}}]}
"""


async def fill(world: World) -> None:
    """Make a catalog with every kind of record, in every state."""
    await world.client.setup.SetUpProduct(example("telecom"))
    await world.client.setup.SetUpProduct(example("ai-platform"))
    await world.product("plan", PINGS, Metered(resource="bytes", grant="5", rate="2"))
    await world.client.rates.CreateCustomField(
        rates.CreateCustomFieldRequest(
            custom_field_id="segment",
            custom_field=rates.CustomField(type="PICKLIST", picklist_values=["gold", "silver"]),
        )
    )
    commitment = read_yaml(COMMITMENT).into(pb.SetUpProductRequest())
    await world.client.setup.SetUpProduct(commitment)
    # A succession of a rate and of a resource with its grant.
    await world.client.rates.SupersedeRateCardEntry(
        rates.SupersedeRateCardEntryRequest(
            name="rateCards/base/entries/plan-pings-USD",
            rate_card_entry_id="pings-2",
            start_date=day("2026-03-01"),
            rate_card_entry=priced("pings", "3"),
            update_mask=FieldMask(paths=["rate"]),
        )
    )
    await world.client.catalog.SupersedeProductUsageResource(
        rpc.SupersedeProductUsageResourceRequest(
            name="products/plan/usageResources/pings",
            product_usage_resource_id="pings-2",
            start_date=day("2026-03-01"),
            grant_ids={"pings-grant": "pings-grant-2"},
        )
    )
    await _withdraw(world)
    await _add_drafts(world)


async def _withdraw(world: World) -> None:
    """Withdraw a grant beside its successor, and all of a product but its rates."""
    await move_records(world, INACTIVE, "products/plan/grants/bytes-grant")
    await world.client.catalog.CreateProductUsageGrant(
        rpc.CreateProductUsageGrantRequest(
            parent="products/plan",
            product_usage_grant_id="more-bytes",
            product_usage_grant=catalog.ProductUsageGrant(
                product_usage_resource="products/plan/usageResources/bytes", quantity=number(9)
            ),
        )
    )
    await world.activate("plan")
    await world.product("old", Metered(resource="bytes", rate="7"))
    await move_records(world, INACTIVE, "products/old/usageResources/bytes", "products/old")


async def _add_drafts(world: World) -> None:
    """Add drafts, also of a class of units, and cards and procedures with all their parts."""
    await world.product("next", Metered(resource="pings", rate="8"), activate=False)
    await counted(world, "distance", "km", display_name="123")
    await unit(world, "third", "distance", divisor=number(3), rounding="UP", sequence=2)
    await unit_class(world, "empty", display_name="a: 'b' \"c\" #d")
    await card(world, "regions", "ATTRIBUTE", start="2026-01-01", end="2027-01-01")
    await put(world, "regions/bytes", adjusted("bytes", ({"region": "eu"}, "PERCENTAGE", "5")))
    steps = [("0", "10", "OVERRIDE", "5"), ("11", None, "OVERRIDE", "4.5")]
    tiers = priced("bytes", None, *steps, mode="GRADUATED", bounds="UPPER_INCLUSIVE")
    await add(world, "tiers/bytes", tiers)
    await book(world, "regional", "base", "tiers", "regions")
    setting = {
        "rating_setting": {"inputs": [{"name": "region", "kind": "TEXT", "default_value": ""}]}
    }
    matrix = {
        "columns": ["region"],
        "rows": [
            {"cells": [{"value": "eu"}], "adjustment": by("PERCENTAGE", 5)},
            {"cells": [{}], "adjustment": by("AMOUNT", "0.5")},
        ],
    }
    group = {"condition": "overage_quantity > 100", "elements": [voucher("12.5")]}
    elements = [formula("net_unit_rate + 3"), rounding("HALF_UP", 2), {"stop": {}}]
    await version(
        world,
        "v1",
        [setting, BASE, {"adjustment_matrix": matrix}, {"list_group": group}, *elements],
        start_date={"year": 2026, "month": 2, "day": 1},
    )
    await version(world, "v2", [SETTING, BASE], active=False, rank=2)
    await world.client.catalog.CreateSellingModel(
        rpc.CreateSellingModelRequest(
            selling_model_id="yearly",
            selling_model=catalog.SellingModel(type="TERM", term={"unit": "YEAR", "count": 1}),
        )
    )
