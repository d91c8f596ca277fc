"""Every resource says who created it, who changed it last, and when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.json_format import ParseDict
from usage_management.v1 import (
    access_service_pb2,
    account_service_pb2,
    asset_service_pb2,
    catalog_service_pb2,
    consumption_service_pb2,
    order_service_pb2,
    policy_service_pb2,
    preview_service_pb2,
    procedure_service_pb2,
    quote_service_pb2,
    rate_service_pb2,
)

from clients import UsageClient
from tests.service import Service
from tests.stories.stuck_words import stuck_job
from tests.stories.words import moment, stamp
from tests.stories.world import World

SERVICES = {
    "access": access_service_pb2,
    "accounts": account_service_pb2,
    "assets": asset_service_pb2,
    "catalog": catalog_service_pb2,
    "consumption": consumption_service_pb2,
    "orders": order_service_pb2,
    "policies": policy_service_pb2,
    "previews": preview_service_pb2,
    "procedures": procedure_service_pb2,
    "quotes": quote_service_pb2,
    "rates": rate_service_pb2,
}


def num(value: object) -> dict[str, str]:
    return {"value": str(value)}


PLAN, HELD, CARD = "products/plan", "products/plan/usageResources/calls", "rateCards/base"
RATE = {"value": num(1), "currency_code": "USD"}
# What is created of each kind, in an order in which all that is referred to is there.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "UnitClass": ("catalog", "count", {"kind": "USAGE"}),
    "UnitOfMeasure": ("catalog", "piece", {"unit_class": "unitClasses/count"}),
    "AggregationPolicy": ("policies", "sum", {"method": "SUM", "period": "DAY"}),
    "RatingFrequencyPolicy": ("policies", "monthly", {"period": "MONTH"}),
    "OveragePolicy": ("policies", "charge", {"overage": "CHARGE"}),
    "RefreshPolicy": ("policies", "monthly", {"interval": {"unit": "MONTH", "count": 1}}),
    "RolloverPolicy": ("policies", "once", {"max_rollovers": 1}),
    "CommitmentPolicy": ("policies", "lowest", {"rate": "LOWEST"}),
    "SellingModel": ("catalog", "for-ever", {"type": "EVERGREEN"}),
    "UsageResource": (
        "catalog",
        "calls",
        {
            "category": "USAGE",
            "unit_class": "unitClasses/count",
            "unit_of_measure": "unitsOfMeasure/piece",
        },
    ),
    "Product": ("catalog", "plan", {"usage_model_type": "ANCHOR"}),
    "ProductUsageResource": (
        "catalog",
        f"{PLAN}/calls",
        {
            "usage_resource": "usageResources/calls",
            "policies": {
                "aggregation_policy": "aggregationPolicies/sum",
                "rating_frequency_policy": "ratingFrequencyPolicies/monthly",
                "overage_policy": "overagePolicies/charge",
            },
        },
    ),
    "ProductUsageGrant": (
        "catalog",
        f"{PLAN}/ten",
        {
            "product_usage_resource": HELD,
            "quantity": num(10),
            "refresh_policy": "refreshPolicies/monthly",
            "rollover_policy": "rolloverPolicies/once",
            "selling_model": "sellingModels/for-ever",
        },
    ),
    "RateCard": ("rates", "base", {"type": "BASE"}),
    "RateCardEntry": (
        "rates",
        f"{CARD}/calls",
        {
            "product": PLAN,
            "usage_resource": "usageResources/calls",
            "currency_code": "USD",
            "rate": RATE,
        },
    ),
    "PriceBook": ("rates", "book", {"rate_cards": [CARD]}),
    "CustomField": ("rates", "segment", {"type": "TEXT"}),
    "Procedure": ("procedures", "own", {"usage": "PROCEDURE_USAGE_RATING"}),
    "ProcedureVersion": (
        "procedures",
        "procedures/own/v1",
        {"rank": 1, "elements": [{"rating_setting": {}}, {"base_rate": {}}]},
    ),
    "Account": ("accounts", "ann", {"time_zone": "UTC", "currency_code": "USD"}),
    "BindingTarget": ("accounts", "accounts/ann/contract", {"kind": "CONTRACT"}),
}
# What changes of a kind that has no display name.
CHANGES = {
    "ProductUsageResource": {"end_date": {"year": 2030, "month": 1, "day": 1}},
    "RateCardEntry": {"end_date": {"year": 2030, "month": 1, "day": 1}},
}
# What does not come into force with the product; the rest up to its grant and its rate does.
STAYING = ("CommitmentPolicy", "RateCard", "PriceBook", "Procedure", "Account")
ACTIVATED = ({*list(KINDS)[: list(KINDS).index("RateCard")]} - {*STAYING}) | {"RateCardEntry"}


@dataclass(frozen=True)
class Person:
    """Somebody with a credential of the tenant."""

    name: str
    client: UsageClient

    async def call(self, service: str, method: str, **request: Any) -> Any:
        made = getattr(SERVICES[service], f"{method}Request")()
        ParseDict(request, made)
        return await getattr(getattr(self.client, service), method)(made)

    async def create(self, kind: str) -> Any:
        service, path, content = KINDS[kind]
        parent, _, own_id = path.rpartition("/")
        field = snake(kind)
        request = {field: content, f"{field}_id": own_id} | ({"parent": parent} if parent else {})
        return await self.call(service, f"Create{kind}", **request)

    async def get(self, kind: str, name: str) -> Any:
        return await self.call(KINDS[kind][0], f"Get{kind}", name=name)

    async def change(self, kind: str, name: str) -> Any:
        change = CHANGES.get(kind, {"display_name": "another name"})
        request = {
            snake(kind): {"name": name} | change,
            "update_mask": ",".join(map(camel, change)),
        }
        return await self.call(KINDS[kind][0], f"Update{kind}", **request)


@dataclass(frozen=True)
class Company:
    """A sandbox with two people in it, Ann and Bob."""

    world: World
    ann: Person
    bob: Person


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.fixture
async def company(sandbox: Any, service: Service) -> AsyncIterator[Company]:
    world = await sandbox("2024-01-01")
    async with AsyncExitStack() as stack:

        async def person() -> Person:
            request = access_service_pb2.CreateCredentialRequest(
                credential=access_service_pb2.Credential(roles=["ADMIN"])
            )
            made = await world.client.access.CreateCredential(request)
            client = await stack.enter_async_context(UsageClient(service.address, made.key))
            return Person(made.credential.name, client)

        yield Company(world, await person(), await person())


def audit(resource: Any) -> tuple[str, str]:
    return resource.created_by, resource.updated_by


def is_later(one: Any, other: Any) -> bool:
    """Return whether a resource was changed after `before`, and created when it says."""
    changed, before = one.update_time.ToNanoseconds(), other.update_time.ToNanoseconds()
    return bool(changed > before and one.create_time == other.create_time)


async def until_kind(person: Person, last: str) -> Any:
    """Create all that a kind may refer to, and one of it."""
    for kind in KINDS:
        made = await person.create(kind)
        if kind == last:
            return made
    raise AssertionError(last)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_resource_says_who_created_it_and_when(company: Company, kind: str):
    ann, bob = company.ann, company.bob

    made = await until_kind(ann, kind)
    again = await bob.create(kind)
    got = await bob.get(kind, made.name)

    assert audit(made) == (ann.name, ann.name)
    assert made.update_time == made.create_time
    assert made.create_time.seconds > 0
    assert again == made == got


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_a_resource_says_who_changed_it_last_and_when(company: Company, kind: str):
    ann, bob = company.ann, company.bob

    made = await until_kind(ann, kind)
    changed = await bob.change(kind, made.name)
    got = await ann.get(kind, made.name)

    assert audit(changed) == (ann.name, bob.name)
    assert is_later(changed, made)
    assert got == changed


async def test_output_only_fields_that_are_sent_are_ignored(company: Company):
    ann, bob = company.ann, company.bob
    claim = {"created_by": bob.name, "updated_by": bob.name, "update_time": "2001-01-01T00:00:00Z"}
    request = {"account_id": "eve", "account": KINDS["Account"][2] | claim}

    made = await ann.call("accounts", "CreateAccount", **request)

    assert audit(made) == (ann.name, ann.name)
    assert made.update_time == made.create_time


async def test_who_activates_a_product_changes_all_that_comes_into_force(company: Company):
    ann, bob = company.ann, company.bob
    made = {kind: await ann.create(kind) for kind in KINDS}

    await bob.call("catalog", "ActivateProduct", name=PLAN)

    for kind in sorted(ACTIVATED):
        active = await ann.get(kind, made[kind].name)
        assert audit(active) == (ann.name, bob.name), kind
        assert is_later(active, made[kind]), kind
    for kind in STAYING:
        assert await ann.get(kind, made[kind].name) == made[kind]


async def sold(company: Company) -> Any:
    """An asset of an order that Ann activates, of a quote of hers that Bob orders."""
    ann, bob = company.ann, company.bob
    for kind in KINDS:
        await ann.create(kind)
    await ann.call("catalog", "ActivateProduct", name=PLAN)
    start = {"year": 2024, "month": 1, "day": 1}
    content = {
        "price_book": "priceBooks/book",
        "lines": [{"product": PLAN, "quantity": num(1), "start_date": start, "binding": "SELF"}],
    }
    quote = await ann.call("quotes", "CreateQuote", parent="accounts/ann", quote=content)
    order = await bob.call("orders", "CreateOrder", quote=quote.name)
    ordered = await ann.call("quotes", "GetQuote", name=quote.name)
    active = await ann.call("orders", "ActivateOrder", name=order.name)

    assert audit(quote) == (ann.name, ann.name)
    assert audit(ordered) == (ann.name, bob.name)
    assert is_later(ordered, quote)
    assert audit(order) == (bob.name, bob.name)
    assert audit(active) == (bob.name, ann.name)
    assert is_later(active, order)
    return await bob.call("assets", "GetAsset", name=active.assets[0])


async def test_what_is_sold_and_used_says_who_did_it(company: Company):
    ann, bob = company.ann, company.bob
    asset = await sold(company)
    account = await ann.get("Account", "accounts/ann")
    record = {
        "record_id": "r1",
        "asset": asset.name,
        "usage_resource": "usageResources/calls",
        "quantity": num(3),
        "usage_time": "2024-01-01T00:00:00Z",
    }
    await bob.call("consumption", "RecordUsage", records=[record])
    await ann.call("consumption", "RecordUsage", records=[record])
    used = await ann.call("consumption", "GetUsageRecord", name="accounts/ann/usageRecords/r1")
    wallet = await company.world.wallet("accounts/ann", "calls")

    assert audit(asset) == (ann.name, ann.name)
    assert asset.update_time == asset.create_time
    assert used.created_by == bob.name
    # Made in the transaction that made the asset.
    assert asset.create_time.seconds <= wallet.create_time.seconds <= used.create_time.seconds
    # What the service counts by itself changes no account.
    assert account.update_time == account.create_time


async def test_what_the_service_does_by_itself_is_nobodys(company: Company):
    ann = company.ann
    asset = await sold(company)
    line = {
        "asset": asset.name,
        "usage_resource": "usageResources/calls",
        "quantity": num(3),
        "usage_time": "2024-01-01T00:00:00Z",
    }
    asked = await ann.call(
        "previews", "CreateRatingBatch", parent="accounts/ann", rating_batch={"lines": [line]}
    )
    rated = asked
    async with asyncio.timeout(20):
        while rated.state == asked.state:
            await asyncio.sleep(0.02)
            rated = await ann.call("previews", "GetRatingBatch", name=asked.name)

    before = await ann.call("access", "GetTenant", name="tenants/-")
    run = await ann.call("access", "AdvanceClock", to_time="2024-01-02T00:00:00Z")
    done = run
    async with asyncio.timeout(20):
        while done.state == done.RUNNING:
            await asyncio.sleep(0.02)
            done = await ann.call("access", "GetRun", name=run.name)
    after = await ann.call("access", "GetTenant", name="tenants/-")

    assert audit(asked) == (ann.name, ann.name)
    assert audit(rated) == (ann.name, "")
    assert is_later(rated, asked)
    assert audit(run) == (ann.name, ann.name)
    assert audit(done) == (ann.name, "")
    assert is_later(done, run)
    # What the service counts of a tenant's catalog changes no tenant.
    assert before.update_time == before.create_time
    assert after.created_by == before.created_by != ""
    assert after.updated_by == ""
    assert is_later(after, before)


@pytest.mark.parametrize("method", ["WaiveJob", "RetryJob"])
async def test_a_job_says_who_waived_or_retried_it(
    company: Company, story_database: str, method: str
):
    name = await stuck_job(company.world, story_database)
    [before] = (await company.ann.call("access", "ListJobs")).jobs

    job = await company.bob.call("access", method, name=name)

    assert audit(before) == ("", "")
    assert audit(job) == ("", company.bob.name)
    assert is_later(job, before)


async def test_a_credential_says_who_created_and_who_revoked_it(company: Company):
    ann, bob = company.ann, company.bob
    content = {"roles": ["COLLECTOR"]}

    made = (await ann.call("access", "CreateCredential", credential=content)).credential
    revoked = await bob.call("access", "RevokeCredential", name=made.name)
    again = await ann.call("access", "RevokeCredential", name=made.name)

    assert audit(made) == (ann.name, ann.name)
    assert audit(revoked) == (ann.name, bob.name)
    assert is_later(revoked, made)
    assert again == revoked


async def test_a_tenant_is_created_by_its_operator_once(service: Service):
    async with UsageClient(service.address, service.operator_key) as operator:
        tenant = access_service_pb2.Tenant(clock_start_time=stamp(moment("2024-01-01")))
        request = access_service_pb2.CreateTenantRequest(
            tenant_id=f"t-{uuid4().hex[:12]}", tenant=tenant, empty_catalog=True
        )
        made = await operator.access.CreateTenant(request)
        again = await operator.access.CreateTenant(request)

    assert made.created_by == made.updated_by != ""
    assert made.update_time == made.create_time
    assert again == made
