"""The demo's story: the same in every telling, within its month, and resumed by its ids."""

from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from usage.v1 import access_service_pb2 as access
from usage.v1 import account_service_pb2 as accounts

from clients import UsageClient, values
from clients.demo import ZONE, DemoError, Story, find_story, usage
from tests.clients.small_server import Script, answering

JANUARY = Story.of_month(date(2026, 1, 1))


def test_a_story_knows_its_month() -> None:
    december = Story.of_month(date(2026, 12, 1))

    assert JANUARY.account == "accounts/aurora-2026-01"
    assert december.next_month == date(2027, 1, 1)
    assert JANUARY.last_evening.isoformat() == "2026-01-31T22:00:00+01:00"
    assert JANUARY.after_freeze.isoformat() == "2026-02-04T12:00:00+01:00"


def test_usage_is_the_same_in_every_telling_and_in_its_month() -> None:
    records = list(usage(JANUARY, "accounts/a/assets/b"))

    assert records == list(usage(JANUARY, "accounts/a/assets/b"))
    assert max(Counter(record.record_id for record in records).values()) == 1
    zone = ZoneInfo(ZONE)
    times = [values.time(record.usage_time).astimezone(zone) for record in records]
    assert {(at.year, at.month) for at in times} == {(2026, 1)}
    assert max(times) < JANUARY.last_evening
    assert 2_000 < len(records) < 5_000


async def found(names: list[str], clock: datetime | None, *, again: bool = False) -> str:
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
        return (await find_story(client, again=again)).account_id


@pytest.mark.parametrize(
    ("names", "clock", "again", "expected"),
    [
        ([], datetime(2026, 1, 1, tzinfo=UTC), False, "aurora-2026-01"),
        ([], datetime(2025, 12, 31, 23, 30, tzinfo=UTC), False, "aurora-2026-01"),
        (["aurora-2026-01"], datetime(2026, 2, 4, tzinfo=UTC), False, "aurora-2026-01"),
        (["aurora-2026-01"], datetime(2026, 2, 4, tzinfo=UTC), True, "aurora-2026-03"),
        (["aurora-2026-01"], datetime(2026, 1, 1, tzinfo=UTC), True, "aurora-2026-02"),
        (["acme", "aurora-x"], datetime(2026, 12, 9, tzinfo=UTC), False, "aurora-2027-01"),
    ],
    ids=["first", "midnight is Berlin's", "resumed", "again", "again before it ended", "others"],
)
async def test_which_story_is_told(
    names: list[str], clock: datetime, again: bool, expected: str
) -> None:
    assert await found(names, clock, again=again) == expected


async def test_a_tenant_in_real_time_is_left_alone() -> None:
    with pytest.raises(DemoError, match="no sandbox"):
        await found([], None)
