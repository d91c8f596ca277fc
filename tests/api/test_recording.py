"""Bad usage: each record has an outcome of its own, and a bad one never spoils its batch (U)."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from google.rpc import error_details_pb2 as details
from grpc import StatusCode
from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import consumption_service_pb2 as consumption

from tests.api.refusals import INVALID, is_
from tests.api.wire import Wire
from tests.service import add_tenant
from tests.stories.words import stamp, usage

Outcome = consumption.RecordOutcome
RECORD = "ConsumptionService/RecordUsage"
NOW = datetime(2024, 1, 15, tzinfo=UTC)


def one(wire: Wire, **changes: object) -> consumption.UsageRecordInput:
    """A record that is right but for the changes."""
    made = usage(wire.asset, "calls", NOW - timedelta(hours=1), "1.5", f"r-{uuid4()}")
    for name, value in changes.items():
        if name in ("quantity", "usage_time"):
            getattr(made, name).CopyFrom(value)
        else:
            setattr(made, name, value)
    return made


async def outcomes(wire: Wire, *records: consumption.UsageRecordInput) -> list[Outcome]:
    request = consumption.RecordUsageRequest(records=records)
    answer = await wire.call(RECORD, request)
    assert isinstance(answer, bytes), answer
    return list(consumption.RecordUsageResponse.FromString(answer).outcomes)


def why(outcome: Outcome) -> tuple[int, str, dict[str, str]]:
    """The code, reason and facts of a refused record."""
    info = details.ErrorInfo()
    assert outcome.status.details[0].Unpack(info), outcome
    return outcome.status.code, info.reason, dict(info.metadata)


async def test_u01_a_batch_has_one_to_a_thousand_records(wire: Wire):
    empty = consumption.RecordUsageRequest()
    is_(await wire.refused(RECORD, empty), INVALID, "FIELD_REQUIRED")
    large = consumption.RecordUsageRequest(records=[one(wire)] * 1001)
    is_(await wire.refused(RECORD, large), INVALID, "TOO_MANY_ITEMS")


def number(text: str) -> object:
    return type(consumption.UsageRecordInput().quantity)(value=text)


ASSET = "accounts/ann/assets/0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a"
WHOLE = consumption.UsageRecordInput(
    record_id="x",
    asset=ASSET,
    usage_resource="usageResources/calls",
    quantity=number("1"),
    usage_time=stamp(NOW),
)
BAD = {
    "U02 no id": ({"record_id": ""}, 3, "EVENT_ID_FORMAT"),
    "U02 long id": ({"record_id": "x" * 129}, 3, "EVENT_ID_FORMAT"),
    "U02 NUL": ({"record_id": "a\x00b"}, 3, "EVENT_ID_FORMAT"),
    "U02 newline": ({"record_id": "a\nb"}, 3, "EVENT_ID_FORMAT"),
    "U06 unknown asset": ({"asset": ASSET}, 5, "ASSET_NOT_FOUND"),
    "U06 no asset": ({"asset": ""}, 3, "FIELD_REQUIRED"),
    "U06 a wallet": ({"asset": ASSET.replace("assets", "wallets")}, 3, "NAME_FORMAT"),
    "U07 not sold": ({"usage_resource": "usageResources/texts"}, 9, "RESOURCE_NOT_ENTITLED"),
    "U07 before it was sold": (
        {"usage_time": stamp(NOW - timedelta(days=20))}, 9, "RESOURCE_NOT_ENTITLED"),
    "U08 unknown unit": ({"unit_of_measure": "unitsOfMeasure/x"}, 5, "UNIT_OF_MEASURE_NOT_FOUND"),
    "N01 NaN": ({"quantity": number("NaN")}, 3, "DECIMAL_FORMAT"),
    "N02 exponent": ({"quantity": number("1E131072")}, 3, "DECIMAL_FORMAT"),
    "N04 long": ({"quantity": number("9" * 300_000)}, 3, "DECIMAL_FORMAT"),
    "N05 fine": ({"quantity": number("0.0000000000001")}, 3, "DECIMAL_SCALE"),
    "N07 large": ({"quantity": number("1" + "0" * 26)}, 3, "DECIMAL_RANGE"),
    "N10 negative": ({"quantity": number("-1")}, 3, "QUANTITY_NEGATIVE"),
    "U09 future": ({"usage_time": stamp(NOW + timedelta(seconds=301))}, 3, "TIMESTAMP_IN_FUTURE"),
    "U09 old": ({"usage_time": stamp(NOW - timedelta(days=401))}, 3, "TIMESTAMP_TOO_OLD"),
    "T02 far": ({"usage_time": stamp(datetime(2300, 1, 1, tzinfo=UTC))}, 3, "TIMESTAMP_RANGE"),
}  # fmt: skip


@pytest.mark.capability(
    "M87.asset", "M87.resource", "M87.unit", "M87.quantity", "M87.time", "M87.id"
)
@pytest.mark.parametrize(("changes", "code", "reason"), BAD.values(), ids=BAD)
async def test_a_bad_record_is_refused_by_itself(wire: Wire, changes, code: int, reason: str):
    first, bad, last = await outcomes(wire, one(wire), one(wire, **changes), one(wire))

    assert (first.code, last.code) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert bad.code == Outcome.REJECTED
    assert why(bad)[:2] == (code, reason)


@pytest.mark.capability("M86.factor", "M86.class")
async def test_quantities_in_another_unit_of_the_class_are_converted(wire: Wire):
    """A thousand calls are one kilocall; a unit of another class is refused."""
    catalog = wire.world.client.catalog
    for unit, unit_class in (("kilocall", "calls-class"), ("metre", "length")):
        if unit_class == "length":
            await catalog.CreateUnitClass(
                catalog_rpc.CreateUnitClassRequest(
                    unit_class_id=unit_class, unit_class=catalog_pb.UnitClass(kind="USAGE")
                )
            )
        await catalog.CreateUnitOfMeasure(
            catalog_rpc.CreateUnitOfMeasureRequest(
                unit_of_measure_id=unit,
                unit_of_measure=catalog_pb.UnitOfMeasure(
                    unit_class=f"unitClasses/{unit_class}", factor=number("1000"), scale=3
                ),
            )
        )
    draft = one(wire, unit_of_measure="unitsOfMeasure/kilocall", quantity=number("0.025"))
    other = one(wire, unit_of_measure="unitsOfMeasure/metre")
    refused, mismatched = await outcomes(wire, draft, other)
    assert why(refused)[1] == "UNIT_INACTIVE"
    assert why(mismatched)[1] == "UNIT_CLASS_MISMATCH"

    await wire.world.product("in-thousands", activate=False)
    await wire.world.promise_in("in-thousands", "calls", "kilocall")
    [kept] = await outcomes(wire, draft)
    record = await wire.world.client.consumption.GetUsageRecord(
        consumption.GetUsageRecordRequest(name=f"{wire.account}/usageRecords/{draft.record_id}")
    )

    assert kept.code == Outcome.ACCEPTED
    assert record.quantity.value == "0.025"
    assert record.outcome.counted_quantity.value == "25"


async def test_t01_t04_instants_that_cannot_be_read(wire: Wire):
    nanos, none = one(wire), one(wire)
    nanos.usage_time.nanos = -1
    none.ClearField("usage_time")

    found = await outcomes(wire, nanos, none)

    assert [why(outcome)[1] for outcome in found] == ["TIMESTAMP_FORMAT", "FIELD_REQUIRED"]


async def test_t03_five_minutes_ahead_is_in_time_and_nanoseconds_are_cut(wire: Wire):
    ahead = one(wire, usage_time=stamp(NOW + timedelta(minutes=5)))
    fine = one(wire)
    fine.usage_time.nanos = 123_456_789
    same = consumption.UsageRecordInput()
    same.CopyFrom(fine)
    same.usage_time.nanos = 123_456_111

    found = await outcomes(wire, ahead, fine, same)

    kept = [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.DUPLICATE]
    assert [outcome.code for outcome in found] == kept


async def test_u03_u04_u05_an_id_is_taken_once(wire: Wire):
    first = one(wire)
    other = one(wire, record_id=first.record_id, quantity=number("2"))

    in_one_batch = await outcomes(wire, first, first, other)
    again = await outcomes(wire, other, first)

    assert [outcome.code for outcome in in_one_batch] == [
        Outcome.ACCEPTED,
        Outcome.DUPLICATE,
        Outcome.CONFLICT,
    ]
    assert [outcome.code for outcome in again] == [Outcome.CONFLICT, Outcome.DUPLICATE]
    code, reason, facts = why(again[0])
    assert (code, reason) == (StatusCode.ALREADY_EXISTS.value[0], "EVENT_CONFLICT")
    assert facts["fields"] == "quantity"


async def test_u06_the_asset_of_another_tenant_is_not_there(wire: Wire, service):
    _, stranger = await add_tenant(service, NOW)
    request = consumption.RecordUsageRequest(records=[one(wire)])

    answer = await wire.call(RECORD, request, key=stranger)

    assert isinstance(answer, bytes)
    [outcome] = consumption.RecordUsageResponse.FromString(answer).outcomes
    assert why(outcome)[1] == "ASSET_NOT_FOUND"


async def test_u18_a_thousand_bad_records_are_answered_one_by_one(wire: Wire):
    found = await outcomes(wire, *[one(wire, quantity=number("x")) for _ in range(1000)])

    assert {outcome.code for outcome in found} == {Outcome.REJECTED}
    assert {why(outcome)[1] for outcome in found} == {"DECIMAL_FORMAT"}


@pytest.mark.parametrize(
    ("labels", "is_kept"),
    [
        ({f"k{n}": "v" for n in range(64)}, True),
        ({f"k{n}": "v" for n in range(65)}, False),
        ({"k" * 129: "v"}, False),
        ({"k": "v" * 1025}, False),
        ({"k": "\x00"}, False),
    ],
    ids=["64", "65", "long key", "long value", "NUL"],
)
async def test_x28_labels_of_records_are_bounded(wire: Wire, labels, is_kept: bool):
    record = one(wire)
    record.labels.update(labels)

    [outcome] = await outcomes(wire, record)

    assert (outcome.code == Outcome.ACCEPTED) == is_kept
    assert is_kept or why(outcome)[1] == "LABELS_INVALID"
