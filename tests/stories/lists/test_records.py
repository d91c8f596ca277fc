"""Lists of usage records and usage summaries: each filter alone, two together, by pages."""

from dataclasses import dataclass

from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.list_words import Listing
from tests.stories.words import Metered, line, moment, stamp
from tests.stories.world import World

MINUTES, TWIN = {"usage_resource": "usageResources/minutes"}, {"product": "products/twin"}
MARCH, APRIL = stamp(moment("2024-03-01")), stamp(moment("2024-04-01"))


@dataclass(frozen=True)
class Used:
    """Usage of two assets with the same resource; `names` are those of the records."""

    world: World
    account: str
    plan: str
    names: dict[str, str]

    async def record(self, key: str) -> consumption.UsageRecord:
        request = consumption.GetUsageRecordRequest(name=self.names[key])
        return await self.world.client.consumption.GetUsageRecord(request)

    async def cells(self, *keys: str) -> list[str]:
        """The usage summaries of some records, in turn."""
        return [(await self.record(key)).outcome.usage_summary for key in keys]


async def used(sandbox) -> Used:
    """Billed in twos: January is invoice-ready, March rated; what came late waits with April."""
    world = await sandbox("2024-01-15")
    for product in ("plan", "twin"):
        await world.product(product, Metered(resource="minutes", rate="1"))
    account = await world.account("ann", billing_months=2)
    plan, twin = await world.sell(account, line("plan", "2024-01-01"), line("twin", "2024-01-01"))
    names = {}

    async def use(key: str, asset, at: str) -> None:
        names[key] = (await world.use(asset, "minutes", at, 5)).usage_record

    await use("january", plan, "2024-01-10")
    await use("of twin", twin, "2024-01-10")
    await world.advance("2024-03-10")
    await use("march", plan, "2024-03-05")
    await world.advance("2024-04-10")
    await use("late", plan, "2024-03-05")
    await use("april", plan, "2024-04-05")
    return Used(world, account, plan.name, names)


async def test_usage_records_by_state_product_and_create_time(sandbox):
    found = await used(sandbox)
    rpc = found.world.client.consumption
    listing = Listing(rpc.ListUsageRecords, consumption.ListUsageRecordsRequest, found.account)

    async def keys(**only: object) -> list[str]:
        by_name = {name: key for key, name in found.names.items()}
        return [by_name[name] for name in await listing.names(**only)]

    whole = await keys()
    assert whole[0] == "april"
    assert sorted(whole[1:3]) == ["late", "march"]
    assert sorted(whole[3:]) == ["january", "of twin"]
    assert await keys(state="PENDING") == ["april"]
    assert await keys(state="FROZEN") == []
    assert sorted(await keys(state="RATED")) == ["late", "march"]
    assert sorted(await keys(state="LIABLE")) == ["january", "of twin"]
    assert sorted(await keys(state="RATED", end_time=APRIL)) == ["late", "march"]
    assert await keys(state="PENDING", end_time=MARCH) == []
    assert await keys(state="LIABLE", **TWIN) == ["of twin"]
    of_day = {"usage_summary": (await found.cells("late"))[0]}
    assert sorted(await keys(state="RATED", **of_day)) == ["late", "march"]
    assert await keys(state="PENDING", **of_day) == []
    assert await keys(**TWIN) == ["of twin"]
    assert await keys(product="products/plan") == [key for key in whole if key != "of twin"]
    assert await keys(product="products/nothing") == []
    late = (await found.record("late")).create_time
    since, before = {"start_create_time": late}, {"end_create_time": late}
    assert await keys(**since) == ["april", "late"]
    assert await keys(**since, end_time=APRIL) == ["late"]
    assert sorted(await keys(**before)) == ["january", "march", "of twin"]
    assert await keys(**before, **TWIN) == ["of twin"]
    await listing.refuses_other_filters_for_its_token(
        {}, {"state": "RATED"}, {"state": "LIABLE"}, {"product": "products/plan"}, since, before
    )
    assert await listing.faults(product="twin") == [("product", "NAME_FORMAT")]
    empty = {"start_create_time": late, "end_create_time": late}
    assert await listing.faults(**empty) == [("end_create_time", "INTERVAL_INVALID")]
    assert [found.field for found in (await listing.refusal(state=77)).violations] == ["state"]
    assert (await listing.refusal(state=77)).reason == "ENUM_UNKNOWN"


async def test_usage_summaries_by_state_asset_product_resource_and_day(sandbox):
    found = await used(sandbox)
    rpc = found.world.client.summaries
    listing = Listing(rpc.ListUsageSummaries, summaries.ListUsageSummariesRequest, found.account)
    january, of_twin, march, late, april = await found.cells(*found.names)
    # Usage belongs to its day, whenever it arrives.
    assert late == march
    day = {"start_time": stamp(moment("2024-03-05")), "end_time": stamp(moment("2024-03-06"))}
    of_plan = {"asset": found.plan}

    whole = await listing.names()
    assert (sorted(whole[:2]), whole[2:]) == (sorted([january, of_twin]), [march, april])
    assert await listing.names(state="OPEN") == [april]
    assert await listing.names(state="FROZEN") == []
    assert sorted(await listing.names(state="DRAWN")) == sorted([january, of_twin, march])
    assert await listing.names(**of_plan) == [name for name in whole if name != of_twin]
    assert await listing.names(**TWIN) == [of_twin]
    assert await listing.names(**of_plan, **TWIN) == []
    assert await listing.names(**MINUTES) == whole
    assert await listing.names(usage_resource="usageResources/nothing") == []
    assert await listing.names(**day) == [march]
    assert await listing.names(**day, state="DRAWN") == [march]
    assert await listing.names(start_time=day["end_time"]) == [april]
    await listing.refuses_other_filters_for_its_token(
        {}, {"state": "DRAWN"}, of_plan, {"product": "products/plan"}, MINUTES
    )
    assert await listing.faults(product="twin") == [("product", "NAME_FORMAT")]
    absurd = {"start_time": MARCH, "end_time": MARCH}
    assert await listing.faults(**absurd) == [("end_time", "INTERVAL_INVALID")]
    for field, kind in (("asset", "assets"), ("wallet", "wallets")):
        foreign = {field: f"accounts/bob/{kind}/00000000-0000-4000-8000-000000000001"}
        assert await listing.faults(**foreign) == [(field, "NAME_FORMAT")]
    assert (await listing.refusal(state=77)).reason == "ENUM_UNKNOWN"
