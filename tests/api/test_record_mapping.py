"""Usage records as they come in: what can be read, and why the rest cannot."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from google.type.decimal_pb2 import Decimal as DecimalPb
from usage_management.v1 import consumption_service_pb2 as pb

from clients.values import enum_name
from server.api.mapping.consumption.recording import (
    record_usage_from_pb,
    record_usage_response_to_pb,
)
from server.domain.calendar import RatingPeriod
from server.domain.consumption.recording import (
    ACCEPTED,
    LateUsage,
    Outcome,
    OutcomeCode,
    Usage,
    rejected,
)
from server.domain.errors import AlreadyExists, InvalidArgument
from server.domain.modeling.policies import LatePolicy

ASSET = "018f0000-0000-7000-8000-000000000001"
NOON = Timestamp(seconds=1_709_380_800, nanos=123_456_789)


def record(**changed: Any) -> pb.UsageRecordInput:
    fields = {
        "record_id": "r-1",
        "asset": f"accounts/acme/assets/{ASSET}",
        "usage_resource": "usageResources/calls",
        "quantity": DecimalPb(value="1.50"),
        "usage_time": NOON,
        **changed,
    }
    return pb.UsageRecordInput(**{name: v for name, v in fields.items() if v is not None})


def read(*records: pb.UsageRecordInput) -> tuple[Any, ...]:
    return record_usage_from_pb(pb.RecordUsageRequest(records=records)).records


def test_a_record_is_read_to_the_microsecond():
    [usage] = read(record(unit_of_measure="unitsOfMeasure/each", labels={"a": "b"}))

    assert usage == Usage(
        "acme",
        "r-1",
        UUID(ASSET),
        "calls",
        Decimal("1.5"),
        "each",
        datetime(2024, 3, 2, 12, 0, 0, 123456, tzinfo=UTC),
        {"a": "b"},
    )


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("record_id", None, "EVENT_ID_FORMAT"),
        ("record_id", "x" * 129, "EVENT_ID_FORMAT"),
        ("record_id", "a b", "EVENT_ID_FORMAT"),
        ("record_id", "a\n", "EVENT_ID_FORMAT"),
        ("record_id", "a\x00", "EVENT_ID_FORMAT"),
        ("asset", None, "FIELD_REQUIRED"),
        ("asset", f"assets/{ASSET}", "NAME_FORMAT"),
        ("asset", f"accounts/acme/assets/{ASSET.upper()}", "ID_FORMAT"),
        ("asset", f"accounts/-/assets/{ASSET}", "CODE_FORMAT"),
        ("usage_resource", None, "FIELD_REQUIRED"),
        ("usage_resource", "resources/calls", "NAME_FORMAT"),
        ("usage_resource", "usageResources/ä", "CODE_FORMAT"),
        ("unit_of_measure", "each", "NAME_FORMAT"),
        ("quantity", None, "FIELD_REQUIRED"),
        ("quantity", "", "DECIMAL_FORMAT"),
        ("quantity", "NaN", "DECIMAL_FORMAT"),
        ("quantity", "1e5", "DECIMAL_FORMAT"),
        ("quantity", "-0", "DECIMAL_FORMAT"),
        ("quantity", "9" * 300_000, "DECIMAL_FORMAT"),
        ("quantity", "0." + "1" * 13, "DECIMAL_SCALE"),
        ("quantity", "1" + "0" * 26, "DECIMAL_RANGE"),
        ("quantity", "-1", "QUANTITY_NEGATIVE"),
        ("usage_time", None, "FIELD_REQUIRED"),
        ("usage_time", Timestamp(nanos=-1), "TIMESTAMP_FORMAT"),
        ("usage_time", Timestamp(nanos=10**9), "TIMESTAMP_FORMAT"),
        ("usage_time", Timestamp(seconds=2**60), "TIMESTAMP_FORMAT"),
        ("usage_time", Timestamp(seconds=0), "TIMESTAMP_RANGE"),
        ("usage_time", Timestamp(seconds=253_402_300_799), "TIMESTAMP_RANGE"),
        ("labels", {str(n): "" for n in range(65)}, "LABELS_INVALID"),
        ("labels", {"k" * 129: ""}, "LABELS_INVALID"),
        ("labels", {"k": "v" * 1025}, "LABELS_INVALID"),
        ("labels", {"k": "\x07"}, "LABELS_INVALID"),
    ],
)
def test_what_cannot_be_read_is_refused_alone(field, value, reason):
    if field == "quantity" and value is not None:
        value = DecimalPb(value=value)

    good, bad, after = read(record(), record(**{field: value}), record())

    assert isinstance(bad, InvalidArgument)
    assert (bad.reason, bad.violations[0].field) == (reason, field)
    assert good == after


def test_a_negative_quantity_is_refused():
    [refused] = read(record(quantity=DecimalPb(value="-1")))

    assert (refused.reason, "VoidUsage" in refused.message) == ("QUANTITY_NEGATIVE", True)


def test_outcomes_come_in_order_with_what_there_is_to_say():
    start, end = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    period = RatingPeriod(start, end, end + timedelta(hours=2))
    late = Outcome(OutcomeCode.LATE, late=LateUsage(LatePolicy.NEXT_PERIOD, period))
    clash = Outcome(
        OutcomeCode.CONFLICT, AlreadyExists("EVENT_CONFLICT", "no", {"fields": "quantity"})
    )
    bad = rejected(InvalidArgument.at("quantity", "QUANTITY_NEGATIVE", "no"))

    taken = {
        "a": ACCEPTED,
        "a/b": Outcome(OutcomeCode.DUPLICATE, revision=2, is_voided=True),
        "c": clash,
        "d": late,
    }

    command = record_usage_from_pb(
        pb.RecordUsageRequest(records=[*(record(record_id=name) for name in taken), record()])
    )
    found = record_usage_response_to_pb(command, (*taken.values(), bad)).outcomes

    kind = pb.RecordOutcome
    assert [outcome.code for outcome in found] == [
        kind.ACCEPTED,
        kind.DUPLICATE,
        kind.CONFLICT,
        kind.LATE,
        kind.REJECTED,
    ]
    names = [f"accounts/acme/usageRecords/{name}" for name in taken]
    assert [outcome.usage_record for outcome in found] == [*names, ""]
    assert [(one.revision, one.voided) for one in found[:3]] == [(0, False), (2, True), (0, False)]
    info = ErrorInfo()
    found[2].status.details[0].Unpack(info)
    assert (info.reason, info.metadata["fields"]) == ("EVENT_CONFLICT", "quantity")
    assert enum_name(found[3].late, "policy") == "NEXT_PERIOD"
    handling = found[3].late.period
    assert handling.start_time.ToJsonString() == "2024-03-01T00:00:00Z"
    assert handling.end_time.ToJsonString() == "2024-04-01T00:00:00Z"
    assert handling.freeze_time.ToJsonString() == "2024-04-01T02:00:00Z"
    assert found[4].status.code == 3
    assert not found[0].HasField("status")
