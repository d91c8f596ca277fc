"""Amended usage counts as if it had been recorded so, and all its revisions are kept."""

import asyncio

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption

from tests.stories.consumption.amend_words import (
    AMENDED,
    amend,
    days,
    reasons,
    record_name,
    shop,
    stored,
    used,
    void,
)
from tests.stories.words import Metered, figure, line, money, refusal, usage

Recorded = consumption.RecordOutcome
Amended = consumption.AmendOutcome


@pytest.mark.capability("M109.amend")
async def test_an_amended_record_keeps_its_id_and_all_its_revisions(sandbox):
    world, account, asset = await shop(sandbox)
    contents = [usage(asset, "calls", "2024-01-10T08:00", n, "a", by=f"v{n}") for n in (5, 6, 7)]
    [first] = await world.record(contents[:1])

    outcomes = [(await amend(world, one))[0] for one in contents[1:]]
    again = await amend(world, *contents)
    repeats = await world.record(contents)
    [other] = await world.record([usage(asset, "calls", "2024-01-10T08:00", 8, "a")])

    assert [(one.code, one.revision) for one in outcomes] == [(AMENDED, 2), (AMENDED, 3)]
    assert {one.usage_record for one in (first, *outcomes)} == {record_name(account, "a")}
    assert [(one.code, one.revision) for one in again] == [
        (Amended.DUPLICATE, n) for n in (1, 2, 3)
    ]
    assert [(one.code, one.revision, one.voided) for one in repeats] == [
        (Recorded.DUPLICATE, n, False) for n in (1, 2, 3)
    ]
    assert (other.code, "AmendUsage" in other.status.message) == (Recorded.CONFLICT, True)
    assert await days(world, account) == {"2024-01-10": (7, 1)}
    record = await stored(world, account, "a")
    assert (record.revision, figure(record.quantity), dict(record.labels)) == (3, 7, {"by": "v7"})
    earlier = [(one.revision, figure(one.quantity)) for one in record.earlier_revisions]
    assert earlier == [(1, 5), (2, 6)]
    assert record.earlier_revisions[0].create_time == record.create_time
    assert record.earlier_revisions[1].create_time.ToDatetime() < record.amend_time.ToDatetime()
    by = {one.created_by for one in record.earlier_revisions}
    assert by == {record.created_by} == {record.amended_by}


async def test_usage_moves_to_another_day_month_asset_and_resource(sandbox):
    world, account, asset = await shop(
        sandbox, Metered(resource="calls", rate="1"), Metered(resource="sms", rate="1")
    )
    [other] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-02-02")
    moves = {
        "day": usage(asset, "calls", "2024-01-11", 10, "day"),
        "month": usage(asset, "calls", "2024-02-01", 200, "month"),
        "asset": usage(other, "calls", "2024-01-10", 3000, "asset"),
        "resource": usage(asset, "sms", "2024-01-10", 40000, "resource"),
    }
    await world.record(
        [usage(asset, "calls", "2024-01-10T09:00", 1, one) for one in (*moves, "stays")]
    )

    outcomes = await amend(world, *moves.values())
    await world.advance("2024-03-10")

    assert [one.code for one in outcomes] == [AMENDED] * 4
    cells = {
        (
            one.asset,
            one.usage_resource.rpartition("/")[2],
            str(one.start_time.ToDatetime().date()),
        ): (figure(one.used_quantity))
        for one in await world.liable(account)
    }
    assert cells == {
        (asset.name, "calls", "2024-01-01"): 11,
        (asset.name, "calls", "2024-02-01"): 200,
        (other.name, "calls", "2024-01-01"): 3000,
        (asset.name, "sms", "2024-01-01"): 40000,
    }


async def test_a_user_that_was_mistaken_is_counted_as_who_it_was(sandbox):
    metered = Metered(
        resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user",
        window="RATING_PERIOD",
    )  # fmt: skip
    world, account, asset = await shop(sandbox, metered)

    def seen(record_id: str, day: int, user: str):
        return usage(asset, "users", f"2024-01-{day:02}T08:00", 1, record_id, user=user)

    await world.record([seen("a", 10, "u1"), seen("b", 11, "u1"), seen("c", 12, "u2")])
    start = await days(world, account)
    # u1's first becomes u3's first; u2's only one goes to before u1's.
    await amend(world, seen("a", 10, "u3"), seen("c", 9, "u1"))

    assert start == {"2024-01-10": (1, 1), "2024-01-11": (0, 1), "2024-01-12": (1, 1)}
    assert await days(world, account) == {
        "2024-01-09": (1, 1),
        "2024-01-10": (1, 1),
        "2024-01-11": (0, 1),
    }
    assert await used(world, account, "users") == 2
    await world.record([seen("d", 20, "u2"), seen("e", 21, "u1")])
    assert await used(world, account, "users") == 3


async def test_amendments_of_one_call_do_not_exceed_a_cap_together(sandbox):
    """A refused record keeps its 3 of 12, so only one of three has room for 6."""
    world, account, asset = await shop(
        sandbox, Metered(resource="calls", grant="12", overage="BLOCK")
    )
    times = [f"2024-01-11T0{n}:00" for n in range(3)]
    await world.record([usage(asset, "calls", at, 3, at) for at in times])

    outcomes = await amend(world, *[usage(asset, "calls", at, 6, at) for at in times])

    assert reasons(outcomes) == ["", "CAP_REACHED", "CAP_REACHED"]
    assert await used(world, account, "calls") == 12


async def test_a_cap_refuses_only_what_an_amendment_adds(sandbox):
    world, account, asset = await shop(
        sandbox, Metered(resource="calls", grant="100", overage="BLOCK")
    )
    await world.record(
        [usage(asset, "calls", "2024-01-10", 60, "a"), usage(asset, "calls", "2024-01-11", 40, "b")]
    )

    outcomes = await amend(
        world,
        usage(asset, "calls", "2024-01-10", 61, "a"),
        usage(asset, "calls", "2024-01-12", 40, "b"),
    )
    less = await amend(world, usage(asset, "calls", "2024-01-12", 30, "b"))
    more = await amend(world, usage(asset, "calls", "2024-01-10", 70, "a"))

    assert [one.code for one in outcomes] == [Amended.REJECTED, AMENDED]
    assert reasons(outcomes) == ["CAP_REACHED", ""]
    assert [one.code for one in (*less, *more)] == [AMENDED, AMENDED]
    assert figure((await world.wallet(account, "calls")).balance) == 0


async def test_an_amendment_is_checked_as_new_usage_is(sandbox):
    world, account, asset = await shop(sandbox)
    await world.record([usage(asset, "calls", "2024-01-10", n, f"r{n}") for n in (1, 2, 3, 4)])
    await void(world, account, "r4")

    outcomes = await amend(
        world,
        usage(asset, "calls", "2024-01-10", 5, "none"),
        usage(asset, "calls", "2024-01-10", -5, "r1"),
        usage(asset, "calls", "2024-03-10", 5, "r1"),
        usage(asset, "calls", "2023-12-10", 5, "r1"),
        usage(asset, "sms", "2024-01-10", 5, "r1"),
        usage(asset, "calls", "2024-01-10", 6, "r2"),
        usage(asset, "calls", "2024-01-10", 6, "r2"),
        usage(asset, "calls", "2024-01-10", 7, "r2"),
        usage(asset, "calls", "2024-01-10", 5, "r4"),
        usage(asset, "calls", "2024-01-10", 4, "r4"),
    )
    empty = await refusal(world.client.consumption.AmendUsage(consumption.AmendUsageRequest()))

    assert reasons(outcomes) == [
        "USAGE_RECORD_NOT_FOUND",
        "QUANTITY_NEGATIVE",
        "TIMESTAMP_IN_FUTURE",
        "RESOURCE_NOT_ENTITLED",
        "RESOURCE_NOT_ENTITLED",
        "",
        "",
        "RECORD_TWICE",
        "RECORD_VOIDED",
        "",
    ]
    assert [(one.code, one.revision) for one in outcomes[5:7]] == [
        (AMENDED, 2),
        (Amended.DUPLICATE, 2),
    ]
    assert (outcomes[9].code, outcomes[9].voided) == (Amended.DUPLICATE, True)
    assert "VoidUsage" in outcomes[1].status.message
    assert empty.reason == "FIELD_REQUIRED"
    assert await used(world, account, "calls") == 1 + 6 + 3


async def test_readings_of_a_gauge_are_weighed_as_amended(sandbox):
    gauge = Metered(
        resource="stored", rate="1", scale=2, method="TIME_WEIGHTED", window="RATING_PERIOD",
        late="REJECT",
    )  # fmt: skip
    world = await sandbox("2024-04-30")
    await world.product("disk", gauge)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01"))
    await world.record(
        [
            usage(asset, "stored", "2024-04-02", 1, "one"),
            usage(asset, "stored", "2024-04-20", 3, "three"),
        ]
    )

    await amend(
        world,
        usage(asset, "stored", "2024-04-01", 1, "one"),
        usage(asset, "stored", "2024-04-06", 3, "three"),
    )

    assert str(await used(world, account, "stored")) == "2.666666666667"


async def test_usage_of_a_final_month_is_corrected_when_it_is_amended(sandbox):
    """One record of January counts less, another belongs to February, a third is amended twice."""
    metered = Metered(resource="calls", rate="1")
    world, account, asset = await shop(sandbox, metered)
    await world.record([usage(asset, "calls", "2024-01-10", n, f"r{n}") for n in (100, 20, 3)])
    await world.advance("2024-02-10")

    outcomes = await amend(
        world,
        usage(asset, "calls", "2024-01-10", 50, "r100"),
        usage(asset, "calls", "2024-02-05", 20, "r20"),
        usage(asset, "calls", "2024-01-11", 4, "r3"),
    )
    [twice] = await amend(world, usage(asset, "calls", "2024-01-11", 5, "r3"))
    await world.advance("2024-03-10")

    assert [one.code for one in (*outcomes, twice)] == [AMENDED] * 4
    assert [one.HasField("late") for one in outcomes] == [True, False, True]
    lines = await world.liable(account)
    by_month: dict[str, list[int]] = {}
    for one in lines:
        by_month.setdefault(str(one.start_time.ToDatetime().date()), []).append(money(one.amount))
    total = sum(amount for amounts in by_month.values() for amount in amounts)
    assert total == 50 + 20 + 5
    assert sum(1 for amounts in by_month.values() for amount in amounts if amount == 123) == 1
    assert await days(world, account) == {
        "2024-01-10": (50, 1),
        "2024-01-11": (5, 1),
        "2024-02-05": (20, 1),
    }


async def test_a_wallet_that_takes_no_late_usage_takes_no_late_amendment(sandbox):
    world, account, asset = await shop(sandbox, Metered(resource="calls", rate="1", late="REJECT"))
    await world.record([usage(asset, "calls", "2024-01-10", 5, "a")])
    await world.advance("2024-02-10")

    [refused] = await amend(world, usage(asset, "calls", "2024-01-10", 6, "a"))
    [moved] = await amend(world, usage(asset, "calls", "2024-02-05", 5, "a"))

    assert reasons([refused, moved]) == ["PERIOD_CLOSED", ""]
    assert await days(world, account) == {"2024-02-05": (5, 1)}


async def test_many_who_amend_void_and_record_at_once_leave_what_adds_up(sandbox):
    world, account, asset = await shop(sandbox)

    def batch(kind: str, number: int, quantity: int, day: int):
        return [
            usage(asset, "calls", f"2024-01-{day}T0{n}:00", quantity, f"{kind}-{number}-{n}")
            for n in range(5)
        ]

    def moved(number: int):
        return amend(world, *batch("moves", number, 10, 11))

    for kind in ("moves", "goes"):
        await world.record([one for number in range(4) for one in batch(kind, number, 1, 10)])
    results = await asyncio.gather(
        *(moved(number) for number in range(4)),
        *(void(world, account, *(f"goes-{number}-{n}" for n in range(5))) for number in range(4)),
        *(world.record(batch("new", number, 100, day)) for number, day in enumerate((10, 11))),
        return_exceptions=True,
    )

    assert [one for one in results if isinstance(one, BaseException)] == []
    assert await days(world, account) == {"2024-01-10": (500, 5), "2024-01-11": (700, 25)}
