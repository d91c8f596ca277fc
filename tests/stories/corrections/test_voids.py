"""Voided usage counts nowhere, keeps its row, and is never counted again."""

import asyncio

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption

from tests.stories.consumption.amend_words import (
    ALREADY_VOIDED,
    VOIDED,
    days,
    listed,
    reasons,
    record_name,
    shop,
    stored,
    used,
    void,
)
from tests.stories.words import ACCEPTED, Metered, codes, figure, line, money, refusal, usage

Code = consumption.RecordOutcome


@pytest.mark.capability("M109.void")
async def test_voided_usage_is_not_billed_and_stays_readable(sandbox):
    world, account, asset = await shop(sandbox)
    await world.record(
        [
            usage(asset, "calls", "2024-01-10T08:00", 5, "a"),
            usage(asset, "calls", "2024-01-10T09:00", 7, "b"),
            usage(asset, "calls", "2024-01-12", 11, "c"),
        ]
    )

    first = await void(world, account, "b", "c", "nothing", "b", reason="a test machine")
    again = await void(world, account, "c", reason="another reason")
    after = await days(world, account)
    await world.advance("2024-02-10")
    later = await void(world, account, "b")

    missing = consumption.VoidOutcome.NOT_FOUND
    assert [one.code for one in first] == [VOIDED, VOIDED, missing, ALREADY_VOIDED]
    assert reasons(first) == ["", "", "USAGE_RECORD_NOT_FOUND", ""]
    assert first[0].usage_record == record_name(account, "b")
    assert [one.code for one in (*again, *later)] == [ALREADY_VOIDED, ALREADY_VOIDED]
    assert after == {"2024-01-10": (5, 1)}
    [liable] = await world.liable(account)
    assert figure(liable.used_quantity) == 5
    kept = await stored(world, account, "c")
    assert (kept.state, figure(kept.quantity)) == (consumption.UsageRecord.VOIDED, 11)
    assert (kept.void_reason, kept.revision) == ("a test machine", 1)
    assert kept.voided_by == kept.created_by != ""
    assert kept.void_time.ToDatetime() >= kept.create_time.ToDatetime()
    assert await listed(world, account, "VOIDED") == ["b", "c"]
    assert await listed(world, account, "LIABLE") == ["a"]


async def test_a_voided_record_is_not_recorded_again(sandbox):
    world, account, asset = await shop(sandbox)
    first, other = (usage(asset, "calls", "2024-01-10", n, "a") for n in (5, 6))
    await world.record([first])
    await void(world, account, "a")

    same, different = await world.record([first, other])

    assert (same.code, same.revision, same.voided) == (Code.DUPLICATE, 1, True)
    assert different.code == Code.CONFLICT
    assert "voided" in different.status.message
    assert await used(world, account, "calls") == 0


async def test_new_usage_counts_on_a_day_whose_usage_was_voided(sandbox):
    world, account, asset = await shop(sandbox)
    await world.record([usage(asset, "calls", "2024-01-10T20:00", 5, "evening")])
    await void(world, account, "evening")

    outcomes = await world.record([usage(asset, "calls", "2024-01-10T08:00", 3, "b")])

    assert codes(outcomes) == [ACCEPTED]
    assert await days(world, account) == {"2024-01-10": (3, 1)}


@pytest.mark.parametrize(
    ("method", "before", "after"),
    [("PEAK", 9, 4), ("MINIMUM", 2, 4), ("LATEST", 2, 4), ("COUNT", 3, 1), ("AVERAGE", 5, 4)],
)
async def test_every_figure_of_a_day_is_that_of_the_records_left(sandbox, method, before, after):
    metered = Metered(resource="calls", rate="1", method=method, late="REJECT")
    world, account, asset = await shop(sandbox, metered)
    await world.record(
        [
            usage(asset, "calls", "2024-01-10T08:00", 9, "most"),
            usage(asset, "calls", "2024-01-10T09:00", 4, "middle"),
            usage(asset, "calls", "2024-01-10T10:00", 2, "last"),
        ]
    )
    whole = await used(world, account, "calls")

    await void(world, account, "most", "last")

    assert (whole, await used(world, account, "calls")) == (before, after)


async def test_a_void_promotes_the_next_record_of_a_unique_value(sandbox):
    """R31: the earliest record of a user counts; without it the next one, on its own day."""
    metered = Metered(
        resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user",
        window="RATING_PERIOD", dimensions=("region",),
    )  # fmt: skip
    world, account, asset = await shop(sandbox, metered)

    def seen(record_id: str, day: int, user: str, region: str = "eu"):
        at = f"2024-01-{day:02}T08:00"
        return usage(asset, "users", at, 1, record_id, user=user, region=region)

    await world.record(
        [
            seen("c", 12, "u1"), seen("a", 10, "u1"), seen("b", 11, "u1"),
            seen("d", 10, "u2"), seen("e", 11, "u1", "us"),
        ]
    )  # fmt: skip
    first = await days(world, account)
    await void(world, account, "a")
    promoted = await days(world, account)
    await void(world, account, "b", "d", "c")
    gone = await used(world, account, "users")
    await world.record([seen("f", 20, "u1"), seen("g", 5, "u2")])

    assert first["2024-01-10"] == (2, 2)
    assert promoted["2024-01-10"] == (1, 1)
    assert figure((await stored(world, account, "b")).outcome.counted_quantity) == 1
    assert gone == 1
    assert await used(world, account, "users") == 3


async def test_a_voided_reading_of_a_gauge_holds_nothing(sandbox):
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
            usage(asset, "stored", "2024-04-01T00:00", 1, "one"),
            usage(asset, "stored", "2024-04-06T12:00", 50, "wrong"),
            usage(asset, "stored", "2024-04-06T00:00", 3, "three"),
            usage(asset, "stored", "2024-04-09T00:00", 70, "alone"),
        ]
    )

    await void(world, account, "wrong", "alone")
    live = await used(world, account, "stored")
    await world.advance("2024-05-10")

    assert str(live) == "2.666666666667"
    [liable] = await world.liable(account)
    assert str(figure(liable.used_quantity)) == "2.666666666667"


async def test_many_who_void_and_record_at_once_leave_what_adds_up(sandbox):
    metered = Metered(resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user")
    world, account, asset = await shop(sandbox, metered)

    def batch(number: int):
        return [
            usage(
                asset, "users", f"2024-01-1{n}T0{number}:00", 1, f"{number}-{n}", user=f"u{n % 3}"
            )
            for n in range(6)
        ]

    await world.record([one for number in range(4) for one in batch(number)])
    records = (world.record(batch(number)) for number in range(4, 8))
    voids = (void(world, account, *(f"{number}-{n}" for n in range(6))) for number in range(4))
    await asyncio.gather(*records, *voids, *(void(world, account, "0-0") for _ in range(3)))

    assert await days(world, account) == {f"2024-01-1{n}": (1, 4) for n in range(6)}
    assert await used(world, account, "users") == 6


async def test_what_is_malformed_is_refused(sandbox):
    world, account, asset = await shop(sandbox)
    await world.record([usage(asset, "calls", "2024-01-10", 5, "a")])
    rpc, request = world.client.consumption, consumption.VoidUsageRequest

    mixed = await rpc.VoidUsage(
        request(usage_records=["a", record_name(account, "a"), f"{account}/usageRecords/"])
    )
    none = await refusal(rpc.VoidUsage(request()))
    many = await refusal(rpc.VoidUsage(request(usage_records=["a"] * 1001)))
    long = await refusal(rpc.VoidUsage(request(usage_records=["a"], reason="x" * 201)))
    control = await refusal(rpc.VoidUsage(request(usage_records=["a"], reason="a\x01b")))

    rejected = consumption.VoidOutcome.REJECTED
    assert [one.code for one in mixed.outcomes] == [rejected, VOIDED, rejected]
    assert reasons(mixed.outcomes) == ["NAME_FORMAT", "", "EVENT_ID_FORMAT"]
    assert [one.reason for one in (none, many, long, control)] == [
        "FIELD_REQUIRED",
        "TOO_MANY_ITEMS",
        "TEXT_TOO_LONG",
        "TEXT_CONTROL_CHARACTER",
    ]


async def test_usage_of_a_final_month_is_credited_when_it_is_voided(sandbox):
    """R26: 20 of 30 calls are overage; without the 15 of one record, 5 are."""
    metered = Metered(resource="calls", rate="1", grant="10", refresh="MONTH", waiting_days=3)
    world, account, asset = await shop(sandbox, metered)
    await world.record(
        [usage(asset, "calls", "2024-01-10", 15, "a"), usage(asset, "calls", "2024-01-10", 15, "b")]
    )
    await world.advance("2024-02-10")

    [outcome] = await void(world, account, "b")
    await world.advance("2024-03-10")
    [again] = await void(world, account, "b")
    await world.advance("2024-04-10")

    assert (outcome.code, again.code) == (VOIDED, ALREADY_VOIDED)
    billed = [
        (str(one.start_time.ToDatetime().date()), figure(one.used_quantity), money(one.amount))
        for one in await world.liable(account)
        if one.amount.units or one.amount.nanos
    ]
    assert sorted(amount for _, _, amount in billed) == [-15, 20]
    assert await listed(world, account, "VOIDED") == ["b"]
