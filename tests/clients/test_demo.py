"""The demo's story: the same in every telling, within its month, and resumed by its ids."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from hypothesis import given
from hypothesis import strategies as st
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import summary_service_pb2 as summaries

from clients import UsageClient, demo, values
from clients.demo import BUYERS, FILES, KIOSK, LABS, DemoError, Story, find_story
from clients.demo_usage import ZONE, platform_usage, spread
from tests.clients.small_server import Script, answering, refusal
from tests.service import Service, add_tenant
from tests.stories.words import moment

JANUARY = Story(date(2026, 1, 1))
ASSETS = {
    buyer.prefix: {product: f"accounts/a/assets/{product}" for product in buyer.products}
    for buyer in BUYERS
}


def test_a_story_knows_its_month() -> None:
    december = Story(date(2026, 12, 1))

    assert JANUARY.account(LABS) == "accounts/harbor-2026-01"
    assert JANUARY.account(KIOSK) == "accounts/kiosk-2026-01"
    assert december.next_month == date(2027, 1, 1)
    assert JANUARY.last_evening.isoformat() == "2026-01-31T22:00:00-05:00"
    assert JANUARY.after_freeze.isoformat() == "2026-02-04T12:00:00-05:00"


@pytest.mark.parametrize("month", [1, 2, 3, 11])
def test_usage_is_the_same_in_every_telling_and_in_its_month(month: int) -> None:
    story = Story(date(2026, month, 1))
    records = list(demo.records_of(story, ASSETS))

    assert records == list(demo.records_of(story, ASSETS))
    assert max(Counter(record.record_id for record in records).values()) == 1
    zone = ZoneInfo(ZONE)
    times = [values.time(record.usage_time).astimezone(zone) for record in records]
    assert {(at.year, at.month) for at in times} == {(2026, month)}
    assert max(times) < story.last_evening
    assert 5_000 < len(records) < 9_000


@pytest.mark.parametrize(
    ("buyer", "figures"),
    [(LABS, ("4500", "102", "1312.4")), (KIOSK, ("4100", "1.4", "62.75"))],
    ids=["labs", "kiosk"],
)
@pytest.mark.parametrize("month", [1, 2, 3])
def test_the_plan_is_used_to_the_figure(
    month: int, buyer: demo.Buyer, figures: tuple[str, ...]
) -> None:
    used: defaultdict[str, Decimal] = defaultdict(Decimal)
    for use in Story(date(2026, month, 1)).uses(buyer):
        assert use.quantity > 0
        used[use.resource] += use.quantity

    assert [used[name] for name in ("texts", "data", "calls")] == [Decimal(one) for one in figures]


def test_weekdays_are_busy_nights_are_quiet_and_the_store_has_a_peak() -> None:
    uses = list(platform_usage("harbor-2026-01", date(2026, 1, 1)))
    asked = [use.at for use in uses if use.resource == "prompt-tokens"]
    stored = [use.quantity for use in uses if use.resource == "storage"]

    weekdays = sum(at.weekday() < 5 for at in asked) / 22
    weekends = sum(at.weekday() >= 5 for at in asked) / 9
    assert weekdays > 3 * weekends > 0
    assert sum(at.hour < 6 for at in asked) < len(asked) / 50
    assert max(stored) > stored[-1] > stored[0]


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 1000), min_size=1, max_size=50).filter(any),
)
def test_what_is_spread_adds_up(total: int, weights: list[int]) -> None:
    parts = spread(total, weights)

    assert sum(parts) == total
    assert len(parts) == len(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) <= 1


async def found(names: list[str], clock: datetime | None, *, again: bool = False) -> date:
    tenant = access.Tenant(name="tenants/t")
    if clock is not None:
        tenant.clock_start_time.CopyFrom(values.time_pb(clock))
        tenant.clock_time.CopyFrom(values.time_pb(clock))
    kept = [accounts.Account(name=f"accounts/{name}") for name in names]
    script = Script(
        {
            "GetTenant": [tenant],
            "ListAccounts": [accounts.ListAccountsResponse(accounts=kept)],
        }
    )
    async with answering(script) as address, UsageClient(address, "k") as client:
        return (await find_story(client, again=again)).month


@pytest.mark.parametrize(
    ("names", "clock", "again", "expected"),
    [
        ([], datetime(2026, 1, 1, 5, tzinfo=UTC), False, date(2026, 1, 1)),
        ([], datetime(2026, 1, 1, tzinfo=UTC), False, date(2026, 1, 1)),
        (["harbor-2026-01"], datetime(2026, 2, 4, tzinfo=UTC), False, date(2026, 1, 1)),
        (["harbor-2026-01"], datetime(2026, 2, 4, tzinfo=UTC), True, date(2026, 3, 1)),
        (["harbor-2026-01"], datetime(2026, 1, 1, tzinfo=UTC), True, date(2026, 2, 1)),
        (["acme", "harbor-x"], datetime(2026, 12, 9, tzinfo=UTC), False, date(2027, 1, 1)),
    ],
    ids=["first", "midnight is New York's", "resumed", "again", "again before it ended", "others"],
)
async def test_which_story_is_told(
    names: list[str], clock: datetime, again: bool, expected: date
) -> None:
    assert await found(names, clock, again=again) == expected


async def test_a_tenant_in_real_time_is_left_alone() -> None:
    with pytest.raises(DemoError, match="no sandbox"):
        await found([], None)


async def test_a_catalog_of_other_content_is_named_with_the_way_out() -> None:
    conflict = details.PreconditionFailure()
    conflict.violations.add(
        subject="unitClasses/talk", type="SETUP_CONFLICT", description="differs in kind"
    )
    refused = refusal(grpc.StatusCode.FAILED_PRECONDITION, "SETUP_CONFLICT", conflict)
    script = Script({"SetUpProduct": [refused]})
    async with answering(script) as address, UsageClient(address, "k") as client:
        with pytest.raises(DemoError, match=r"unitClasses/talk\. `usage reset --yes`"):
            await demo.set_up(client, FILES["telecom-plan"])


def test_the_examples_lie_in_the_package() -> None:
    package = Path(demo.__file__).parent

    assert all(file.is_file() and package in file.parents for file in FILES.values())


async def test_a_story_cut_half_way_is_told_to_the_same_figures(service: Service) -> None:
    _, key = await add_tenant(service, moment("2026-01-01"))

    async def tell(client: UsageClient, batches: int) -> None:
        for file in FILES.values():
            await demo.set_up(client, file)
        story = await find_story(client, again=False)
        bought = {}
        for one in BUYERS:
            offered = await demo.offer(client, story, one)
            bought[one.prefix] = await demo.sell(client, story, one, offered)
        await demo.advance_clock(client, story, story.last_evening, "evening")
        left = iter(range(batches))

        def advance(_count: int) -> None:
            if next(left, None) is None:
                raise InterruptedError

        await demo.record(client, story, bought, advance)
        await demo.advance_clock(client, story, story.after_freeze, "freeze")

    async with UsageClient(service.address, key, timeout=30) as client:
        with pytest.raises(InterruptedError):
            await tell(client, 2)
        assert not await demo.is_told(client, JANUARY)
        await tell(client, 100)

        assert await demo.is_told(client, JANUARY)
        assert (await find_story(client, again=False)) == JANUARY
        amounts = {}
        for buyer in BUYERS:
            request = summaries.ListLiableSummariesRequest(parent=JANUARY.account(buyer))
            answer = await client.summaries.ListLiableSummaries(request)
            amounts[buyer.prefix] = {
                line.usage_resource.removeprefix("usageResources/"): values.money(line.amount)
                for line in answer.liable_summaries
            }

    assert amounts["harbor-"]["data"] == ("USD", Decimal(125))
    assert amounts["harbor-"]["texts"] == ("USD", Decimal(375))
    assert amounts["harbor-"].keys() >= {"calls", "prompt-tokens", "compute", "storage"}
    assert amounts["kiosk-"]["texts"] == ("USD", Decimal(75))
    assert JANUARY.after_freeze - JANUARY.last_evening < timedelta(days=4)
