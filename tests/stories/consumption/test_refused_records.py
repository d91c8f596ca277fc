"""Refused records are kept: the last of a tenant, with reasons and the hashes of their content."""

from hashlib import sha256

import pytest
from usage_management.v1 import consumption_service_pb2 as pb

from clients.pages import pages
from server.domain.consumption.refusals import MOST_KEPT, MOST_OF_A_CALL
from tests.stories.words import ACCEPTED, REJECTED, Metered, codes, line, number, refusal, usage
from tests.stories.world import World


async def shop(sandbox) -> tuple[World, str]:
    world: World = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, asset


async def refused(world: World, parent: str = "accounts/-", **more) -> list[pb.RefusedRecord]:
    request = pb.ListRefusedRecordsRequest(parent=parent, page_size=100, **more)
    listed = pages(world.client.consumption.ListRefusedRecords, request)
    return [record async for record in listed]


@pytest.mark.capability("M87.unit", "M87.quantity", "M87.resource")
async def test_a_refused_record_can_be_found(sandbox):
    world, asset = await shop(sandbox)
    good = usage(asset, "calls", "2024-01-10", 1)
    bad = usage(asset, "calls", "2024-01-10", 1, "bad")
    bad.unit_of_measure = "unitsOfMeasure/none"
    nobodys = usage(asset, "calls", "2024-01-10", 1, "nobodys")
    nobodys.asset = "somewhere"
    negative = usage(asset, "calls", "2024-01-10", -1, "negative")
    other = usage(asset, "none", "2024-01-10", 1, "other")

    outcomes = await world.record([good, bad, nobodys, negative, other])
    await world.record([bad])
    everything = await refused(world)
    of_account = await refused(world, "accounts/ann")
    of_reason = await refused(world, reason="UNIT_OF_MEASURE_NOT_FOUND")
    of_nobody = await refusal(refused(world, "accounts/bob"))

    assert codes(outcomes) == [ACCEPTED] + [REJECTED] * 4
    reasons = {record.record_id: record.reason for record in everything}
    assert reasons == {
        "bad": "UNIT_OF_MEASURE_NOT_FOUND",
        "nobodys": "NAME_FORMAT",
        "negative": "QUANTITY_NEGATIVE",
        "other": "RESOURCE_NOT_ENTITLED",
    }
    assert everything[0].record_id == "bad"
    assert [record.record_id for record in of_reason] == ["bad", "bad"]
    assert of_reason[0].content_hash == of_reason[1].content_hash
    assert of_reason[0].content_hash == sha256(bad.SerializeToString(deterministic=True)).digest()
    assert of_reason[0].status == outcomes[1].status
    assert {record.record_id for record in of_account} == {"bad", "negative", "other"}
    [lost] = [record for record in everything if record.record_id == "nobodys"]
    assert (lost.asset, lost.usage_resource) == ("somewhere", "usageResources/calls")
    assert lost.credential.startswith("credentials/")
    assert of_nobody.reason == "ACCOUNT_NOT_FOUND"


async def test_the_last_refusals_are_kept_up_to_a_number(sandbox):
    world, asset = await shop(sandbox)
    bad = usage(asset, "calls", "2024-01-10", -1, "bad")

    for call in range(MOST_KEPT // MOST_OF_A_CALL + 2):
        bad.quantity.CopyFrom(number(-1 - call))
        await world.record([bad] * (MOST_OF_A_CALL + 1))

    found = await refused(world)
    assert len(found) == MOST_KEPT
    # The calls before the last ten have given way.
    assert len({record.content_hash for record in found}) == MOST_KEPT // MOST_OF_A_CALL


async def test_the_refusals_of_a_call_are_in_the_order_of_its_request(sandbox):
    world, asset = await shop(sandbox)
    sent = [f"{name}-{place:02}" for name in ("one", "two") for place in range(50)]

    for ids in (sent[:50], sent[50:]):
        # Refused by reading, by the sale and by the clock in turn, with what is accepted between.
        await world.record(
            [
                usage(asset, "calls", "2024-01-10", -1, record_id)
                if place % 3 == 0
                else usage(asset, "none", "2024-01-10", 1, record_id)
                if place % 3 == 1
                else usage(asset, "calls", "2024-02-10", 1, record_id)
                for place, record_id in enumerate(ids)
            ]
            + [usage(asset, "calls", "2024-01-10", 1)]
        )
    found = await refused(world)

    assert [record.record_id for record in reversed(found)] == sent
    reasons = [record.reason for record in reversed(found)][:3]
    assert reasons == ["QUANTITY_NEGATIVE", "RESOURCE_NOT_ENTITLED", "TIMESTAMP_IN_FUTURE"]
