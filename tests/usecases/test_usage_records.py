"""Usage records: got by name, and listed by time, by page and by cell."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from server.domain.consumption.usage_records import RecordState
from server.domain.errors import NotFound
from server.domain.ids import AssetId, RecordId
from server.store.transaction import read
from server.usecases.consumption.usage_records import ListUsageRecords, get, list_records
from tests.usecases.recorders import ACME, CALLS, MARCH, TENANT, asset_of, close, many, send, usage


async def test_a_kept_record_tells_what_became_of_it(pool, owner):
    await send(pool, usage("a", 2, unit="dozen", labels={"k": "v"}))

    async def look(name: str) -> Any:
        return await read(pool, TENANT, lambda tx: get(tx, ACME, RecordId(name)))

    pending = await look("a")
    await close(owner, MARCH)
    rated = await look("a")

    assert (pending.quantity, pending.unit_id, pending.labels) == (2, "dozen", {"k": "v"})
    assert (pending.trace.counted_quantity, pending.trace.state) == (24, RecordState.PENDING)
    assert (pending.trace.period.start, pending.trace.is_late) == (MARCH, False)
    assert rated.trace.state is RecordState.RATED
    with pytest.raises(NotFound, match="usageRecords/b"):
        await look("b")


async def test_records_of_a_frozen_period_are_listed_apart(pool, owner):
    await send(pool, usage("february", 2, MARCH - timedelta(hours=1)), usage("march", 3, MARCH))
    await owner.execute("UPDATE rating_periods SET state = 'FROZEN' WHERE end_time = $1", MARCH)
    empty = dict.fromkeys(("asset_id", "resource_id", "start_time", "end_time", "cell_id"))

    async def ask(state: RecordState) -> list[str]:
        command = ListUsageRecords(**empty, account_id=ACME, state=state)
        found = await read(pool, TENANT, lambda tx: list_records(tx, command, after=None, limit=9))
        assert {one.trace.state for one in found} <= {state}
        return [one.id for one in found]

    assert await ask(RecordState.FROZEN) == ["february"]
    assert await ask(RecordState.PENDING) == ["march"]
    assert await ask(RecordState.RATED) == []


async def test_records_are_listed_newest_first_page_by_page_and_by_cell(pool):
    batch = many(50)
    await send(pool, *batch)
    newest = sorted(batch, key=lambda item: (item.time, item.record_id), reverse=True)

    async def ask(**more: Any) -> list[Any]:
        after, limit = more.pop("after", None), more.pop("limit", 100)
        plain = dict.fromkeys(("asset_id", "resource_id", "start_time", "end_time", "cell_id"))
        command = ListUsageRecords(**{**plain, "account_id": ACME, **more})
        return await read(
            pool, TENANT, lambda tx: list_records(tx, command, after=after, limit=limit)
        )

    whole = await ask(asset_id=asset_of("acme"), resource_id=CALLS)
    half = await ask(limit=20)
    after = (half[-1].time, half[-1].id)
    of_cell = await ask(cell_id=whole[0].trace.cell_id)

    assert [item.id for item in whole] == [item.record_id for item in newest]
    assert half + await ask(after=after) == whole
    assert of_cell == [r for r in whole if r.trace.cell_id == whole[0].trace.cell_id]
    assert await ask(end_time=whole[9].time, start_time=whole[30].time) == whole[10:31]
    assert await ask(asset_id=AssetId(uuid4())) == []
