"""Recording on a real Postgres: again, at once, shuffled, cut up, late: counted once or refused."""

import asyncio
import random
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from server.domain.consumption.recording import Outcome, OutcomeCode
from server.domain.errors import UsageError
from server.domain.ids import AssetId
from server.store.transaction import transact
from server.usecases.intake.recording import RecordUsage, record
from tests.usecases.recorders import (
    FEBRUARY,
    HOUR,
    JANUARY,
    MARCH,
    NOW,
    TENANT,
    asset_of,
    cells,
    close,
    codes,
    many,
    reason,
    recounted,
    sell,
    send,
    usage,
)


async def pending(owner) -> list[tuple[str, datetime, str]]:
    """The final periods that are to be corrected."""
    rows = await owner.fetch(
        "SELECT account_id, start_time, cause FROM pending_corrections ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in rows]


async def test_a_batch_sent_again_shuffled_and_at_once_counts_once(pool, owner):
    batch = many(200)
    shuffled = random.Random(2).sample(batch, len(batch))

    first, second = await asyncio.gather(codes(pool, *batch), codes(pool, *shuffled))
    third = await codes(pool, *batch)

    assert sorted(first + second) == ["ACCEPTED"] * 200 + ["DUPLICATE"] * 200
    assert third == ["DUPLICATE"] * 200
    found = await cells(owner)
    assert found == await recounted(owner)
    assert sum(row[3] for row in found) == 200


async def test_one_by_one_and_all_at_once_make_the_same_cells(pool, owner):
    batch = many(1000)
    for item in batch[:60]:
        assert await codes(pool, item) == ["ACCEPTED"]
    assert await codes(pool, *batch) == ["DUPLICATE"] * 60 + ["ACCEPTED"] * 940

    apart = await cells(owner)
    assert apart == await recounted(owner)
    await sell(owner, "other")
    elsewhere = [item._replace(account_id="other", asset_id=asset_of("other")) for item in batch]
    await codes(pool, *elsewhere)

    assert [row[1:] for row in await cells(owner) if row[0] == "other"] == [
        row[1:] for row in apart
    ]


async def test_shuffled_batches_of_many_accounts_at_once_never_deadlock(pool, owner):
    accounts = [f"a{number}" for number in range(8)]
    for account in accounts:
        await sell(owner, account)
    batch = many(300, accounts)
    # As many as there are connections: more would wait for one, and be refused on a slow day.
    shuffled = [random.Random(seed).sample(batch, len(batch)) for seed in range(6)]

    answers = await asyncio.gather(*(codes(pool, *some) for some in shuffled))

    found = sorted(code for answer in answers for code in answer)
    assert found == ["ACCEPTED"] * 300 + ["DUPLICATE"] * 300 * 5
    assert await cells(owner) == await recounted(owner)
    assert (
        await owner.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        == 0
    )


async def test_an_id_twice_in_a_batch_is_a_duplicate_or_a_conflict(pool, owner):
    first, again, other = usage("x", 1), usage("x", "1.0"), usage("x", 2, labels={"a": "b"})

    outcomes = await send(pool, first, again, other)

    assert [o.code for o in outcomes] == ["ACCEPTED", "DUPLICATE", "CONFLICT"]
    assert outcomes[2].error.reason == "EVENT_CONFLICT"
    assert outcomes[2].error.facts["fields"] == "quantity, labels"
    assert await codes(pool, other, first) == ["CONFLICT", "DUPLICATE"]
    assert [row[4] for row in await cells(owner)] == [1]


async def test_every_differing_field_is_named(pool):
    await send(pool, usage("x", 1))

    [outcome] = await send(pool, usage("x", 2, NOW - 2 * HOUR, unit="dozen", labels={"a": "b"}))

    named = outcome.error.facts["fields"]
    assert named == "quantity, unit_of_measure, usage_time, labels"


async def test_usage_in_another_unit_is_converted_or_refused(pool, owner):
    assert await codes(pool, usage("a", 2, unit="dozen"), usage("b", "0.125")) == ["ACCEPTED"] * 2
    assert {row[5] for row in await cells(owner)} == {Decimal(2), Decimal("0.125")}

    assert await codes(pool, usage("b", "0.125", unit="each")) == ["DUPLICATE"]
    assert await reason(pool, usage("c", unit="gram")) == "UNIT_CLASS_MISMATCH"
    assert await reason(pool, usage("c", unit="gross")) == "UNIT_INACTIVE"
    assert await reason(pool, usage("c", unit="score")) == "UNIT_OF_MEASURE_NOT_FOUND"


async def test_a_bad_record_never_spoils_its_batch(pool, owner):
    read_error = UsageError("DECIMAL_FORMAT", "no")
    batch = [
        read_error,
        usage("asset", asset=AssetId(uuid4())),
        usage("resource", resource="texts"),
        usage("early", time=JANUARY - HOUR),
        usage("future", time=NOW + timedelta(minutes=5, seconds=1)),
        usage("old", time=NOW - timedelta(days=401)),
        usage("good", time=NOW + timedelta(minutes=5)),
    ]

    outcomes = await send(pool, *batch)

    assert [o.error.reason if o.error else o.code for o in outcomes] == [
        "DECIMAL_FORMAT",
        "ASSET_NOT_FOUND",
        "RESOURCE_NOT_ENTITLED",
        "RESOURCE_NOT_ENTITLED",
        "TIMESTAMP_IN_FUTURE",
        "TIMESTAMP_TOO_OLD",
        "ACCEPTED",
    ]
    assert [row[4] for row in await cells(owner)] == [1]


async def test_late_usage_is_billed_with_the_next_open_period_and_its_repeat_is_a_duplicate(
    pool, owner
):
    await send(pool, usage("march"))
    await close(owner, JANUARY, FEBRUARY)
    late = usage("late", 5, JANUARY + HOUR)

    [outcome] = await send(pool, late)

    assert outcome.code is OutcomeCode.LATE
    assert outcome.late is not None
    assert outcome.late.policy == "NEXT_PERIOD"
    [period] = await owner.fetch(
        "SELECT start_time, end_time, freeze_time FROM rating_periods WHERE start_time = $1", MARCH
    )
    assert outcome.late.period == tuple(period)
    assert outcome.late.period.start == MARCH
    assert await codes(pool, late, usage("late", 6, JANUARY + HOUR)) == ["DUPLICATE", "CONFLICT"]
    found = await cells(owner)
    # It is counted in its own period, which is corrected.
    assert [row[1:5] for row in found] == [
        (JANUARY, JANUARY, 1, 5),
        (NOW.replace(hour=0), MARCH, 1, 1),
    ]
    assert found == await recounted(owner)
    assert await pending(owner) == [("acme", JANUARY, "LATE")]


async def test_late_usage_is_counted_in_the_cell_of_usage_in_time(pool, owner):
    await send(pool, usage("first", 5, JANUARY + HOUR))
    await close(owner, JANUARY)

    assert await codes(pool, usage("late", 7, JANUARY + 2 * HOUR)) == ["LATE"]

    found = await cells(owner)
    assert [row[1:5] for row in found] == [(JANUARY, JANUARY, 2, 12)]
    assert found == await recounted(owner)


async def test_without_an_open_period_late_usage_is_billed_with_the_one_around_now(pool, owner):
    await close(owner, JANUARY)

    outcomes = await send(pool, usage("a", 1, JANUARY + HOUR), usage("b", 2, JANUARY + 30 * HOUR))

    # It is 2 March. February is not open, because nothing was used in it.
    assert [o.late.period.start for o in outcomes if o.late] == [MARCH, MARCH]
    jobs = await owner.fetch("SELECT kind, fire_time FROM jobs")
    assert [tuple(row) for row in jobs] == [("correct_usage", NOW)]
    assert await pending(owner) == [("acme", JANUARY, "LATE")]


async def test_late_usage_is_refused_where_it_is_not_wanted_but_its_repeat_is_known(pool, owner):
    await sell(owner, "strict", "REJECT")
    kept = usage("kept", account="strict", time=JANUARY + HOUR)
    assert await codes(pool, kept) == ["ACCEPTED"]
    await close(owner, JANUARY, account="strict")

    outcomes = await send(pool, kept, usage("new", account="strict", time=JANUARY + HOUR))

    assert [o.code for o in outcomes] == ["DUPLICATE", "REJECTED"]
    assert outcomes[1].error.reason == "PERIOD_CLOSED"
    assert len(await cells(owner)) == 1


async def test_a_repeat_is_a_duplicate_though_it_would_be_too_old_by_now(pool, owner):
    kept = usage("kept", time=JANUARY + HOUR)
    await send(pool, kept)
    await owner.execute("UPDATE tenants SET clock_time = $1", NOW + timedelta(days=400))

    assert await codes(pool, kept) == ["DUPLICATE"]
    assert await reason(pool, usage("new", time=JANUARY + HOUR)) == "TIMESTAMP_TOO_OLD"


async def test_an_old_period_opens_with_its_close_due_at_once_unless_its_turn_has_passed(
    pool, owner
):
    assert await codes(pool, usage("jan", time=JANUARY + HOUR)) == ["ACCEPTED"]
    jobs = await owner.fetch("SELECT kind, fire_time FROM jobs")
    assert [tuple(row) for row in jobs] == [("close_period", NOW)]

    await sell(owner, "other")
    await close(owner, FEBRUARY, account="other")
    [outcome] = await send(pool, usage("jan", time=JANUARY + HOUR, account="other"))

    assert (outcome.code, outcome.late and outcome.late.period.start) == (OutcomeCode.LATE, MARCH)
    # A period before a final one is final as well, and is corrected.
    periods = await owner.fetch(
        "SELECT start_time, state FROM rating_periods WHERE account_id = 'other'"
        " ORDER BY start_time"
    )
    assert [tuple(row) for row in periods] == [(JANUARY, "FINAL"), (FEBRUARY, "FINAL")]
    assert await pending(owner) == [("other", JANUARY, "LATE")]


async def test_an_old_period_is_closed_before_a_later_one_that_was_opened_first(pool, owner):
    await owner.execute("DELETE FROM rating_periods")
    await codes(pool, usage("newer", 1, FEBRUARY + HOUR))
    later = NOW - timedelta(days=1)
    await owner.execute("UPDATE rating_periods SET freeze_time = $1", later)

    await codes(pool, usage("older", 1, JANUARY + HOUR))

    first = "SELECT fire_time FROM jobs ORDER BY payload ->> 'start_time' LIMIT 1"
    assert await owner.fetchval(first) == later


async def test_freezing_waits_for_a_recorder_and_the_next_one_is_late(pool, owner):
    await send(pool, usage("first"), usage("old", time=FEBRUARY + HOUR))
    recorded, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(tx) -> list[Outcome]:
        found = await record(tx, RecordUsage(records=(usage("b", time=FEBRUARY + HOUR),)))
        recorded.set()
        await go_on.wait()
        return list(found)

    slow = asyncio.create_task(transact(pool, TENANT, slowly))
    await recorded.wait()
    freeze = asyncio.create_task(close(owner, FEBRUARY))
    await asyncio.sleep(0.2)
    assert not freeze.done()
    go_on.set()
    await freeze

    assert [o.code for o in await slow] == ["ACCEPTED"]
    assert await codes(pool, usage("c", time=FEBRUARY + HOUR)) == ["LATE"]
