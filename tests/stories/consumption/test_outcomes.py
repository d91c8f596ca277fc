"""Outcomes of recording: each names the record that is stored, and that name gets it."""

from usage_management.v1 import consumption_service_pb2 as consumption

from tests.stories.words import Metered, figure, line, usage

Code = consumption.RecordOutcome


async def test_an_outcome_names_the_record_that_is_stored(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    ann, bob = await world.account("ann"), await world.account("bob")
    [of_ann] = await world.sell(ann, line("plan", "2024-01-01"))
    [of_bob] = await world.sell(bob, line("plan", "2024-01-01"))
    first = usage(of_ann, "calls", "2024-01-10", 5, "call/1?x=1")
    same_id = usage(of_bob, "calls", "2024-01-10", 7, "call/1?x=1")
    other = usage(of_ann, "calls", "2024-01-10", 6, "call/1?x=1")
    negative = usage(of_ann, "calls", "2024-01-10", -1, "call-2")
    too_soon = usage(of_ann, "calls", "2023-12-10", 1, "call-3")
    name, name_of_bob = f"{ann}/usageRecords/call/1?x=1", f"{bob}/usageRecords/call/1?x=1"

    batch = await world.record([first, negative, first, other, same_id, too_soon])
    await world.advance("2024-02-10")
    again = await world.record([other, first, usage(of_ann, "calls", "2024-01-11", 1, "call-4")])

    assert [(one.code, one.usage_record) for one in batch] == [
        (Code.ACCEPTED, name),
        (Code.REJECTED, ""),
        (Code.DUPLICATE, name),
        (Code.CONFLICT, name),
        (Code.ACCEPTED, name_of_bob),
        (Code.REJECTED, ""),
    ]
    assert [(one.code, one.usage_record) for one in again] == [
        (Code.CONFLICT, name),
        (Code.DUPLICATE, name),
        (Code.LATE, f"{ann}/usageRecords/call-4"),
    ]
    stored = {one.usage_record for one in (*batch, *again)} - {""}
    found = [
        await world.client.consumption.GetUsageRecord(consumption.GetUsageRecordRequest(name=one))
        for one in sorted(stored)
    ]
    assert [one.name for one in found] == sorted(stored)
    assert {one.name: figure(one.quantity) for one in found} == {
        name: 5,
        name_of_bob: 7,
        f"{ann}/usageRecords/call-4": 1,
    }
