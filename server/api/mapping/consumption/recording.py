"""Messages of recording: usage records in, outcomes out.

Hot: a thousand records a call. Parsed names are cached, because records share them. A faulty record
is read again to collect all its faults. Paths in refusals are those within the record.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from usage_management.v1 import consumption_service_pb2 as pb
from usage_management.v1.policy_resources_pb2 import RatingFrequencyPolicy

from server.api import names
from server.api.errors import status_of
from server.api.names import BadName, Name
from server.api.reader import FAULTS, BadTime, all_faults, instant, labels_fault
from server.api.values import enum_pb, rating_period_pb
from server.domain.caches import memoize
from server.domain.consumption.recording import (
    NO_ASSET,
    OWN_UNIT,
    LateUsage,
    Outcome,
    OutcomeCode,
    Usage,
)
from server.domain.errors import InvalidArgument, UsageError
from server.domain.exact import ZERO, DecimalError, parse_decimal
from server.domain.ids import (
    RECORD_ID,
    AccountId,
    AssetId,
    ExternalId,
    RecordId,
    ResourceId,
    UnitId,
)
from server.usecases.intake.recording import RecordUsage

# Stands for an invalid record id while the other fields are read.
NO_ID = RecordId("")
_CODES = {code: pb.RecordOutcome.Code.Value(code) for code in OutcomeCode}


def record_usage_from_pb(request: pb.RecordUsageRequest) -> RecordUsage:
    """Return the records of a batch; a faulty record is its refusal."""
    return RecordUsage(records=tuple(read_record(record) for record in request.records))


def record_usage_response_to_pb(
    command: RecordUsage, outcomes: tuple[Outcome, ...]
) -> pb.RecordUsageResponse:
    """Return one outcome for each record, in order."""
    response = pb.RecordUsageResponse()
    add = response.outcomes.add
    for record, outcome in zip(command.records, outcomes, strict=True):
        _fill(add(), record, outcome)
    return response


def read_record(record: pb.UsageRecordInput) -> Usage | InvalidArgument:
    """Return the usage that a record describes, or its refusal with all faults."""
    try:
        return _usage(record)
    except InvalidArgument as error:
        return error


def _usage(record: pb.UsageRecordInput) -> Usage:
    if RECORD_ID.fullmatch(record.record_id) is None:
        raise all_faults(lambda: _record_id(record), lambda: usage_of(record, NO_ID, usage_time))
    return usage_of(record, RecordId(record.record_id), usage_time)


def _record_id(record: pb.UsageRecordInput) -> None:
    fault = "must be 1 to 128 printable ASCII characters without spaces"
    raise InvalidArgument.at("record_id", "EVENT_ID_FORMAT", fault)


def usage_of(record: Any, record_id: RecordId, time_of: Callable[[Any], datetime]) -> Usage:
    """Return the usage that a message describes. Raises InvalidArgument with all faults."""
    try:
        account_id, asset_id, external_id = _asset(record.asset)
        return Usage(
            account_id,
            record_id,
            asset_id,
            _resource(record.usage_resource),
            _quantity(record),
            _unit_of(record),
            time_of(record),
            (_labels(record) or None) if record.labels else None,
            external_id,
        )
    except InvalidArgument:
        raise all_faults(
            lambda: _asset(record.asset),
            lambda: _resource(record.usage_resource),
            lambda: _quantity(record),
            lambda: _unit_of(record),
            lambda: time_of(record),
            lambda: _labels(record),
        ) from None


def _unit_of(record: Any) -> UnitId:
    unit = record.unit_of_measure
    return _unit(unit) if unit else OWN_UNIT


# A malformed name raises and is not cached, so faulty requests cannot fill these caches.
@memoize(entries=65_536, entry_bytes=1_024)
def _asset(text: str) -> tuple[AccountId, AssetId, ExternalId | None]:
    account_id, found = _ids("asset", text, names.USED_ASSET)
    if isinstance(found, UUID):
        return AccountId(account_id), AssetId(found), None
    return AccountId(account_id), NO_ASSET, ExternalId(found)


def used_asset_name(usage: Usage) -> str:
    """Return the name of the asset of a usage, as it was sent."""
    if usage.external_id is None:
        return names.ASSET.of(usage.account_id, usage.asset_id)
    return names.ASSET.of(usage.account_id, names.EXTERNAL + usage.external_id)


@memoize(entries=4_096, entry_bytes=1_024)
def _resource(text: str) -> ResourceId:
    return ResourceId(_ids("usage_resource", text, names.RESOURCE)[0])


@memoize(entries=4_096, entry_bytes=1_024)
def _unit(text: str) -> UnitId:
    return UnitId(_ids("unit_of_measure", text, names.UNIT)[0])


def _ids(path: str, text: str, pattern: Name) -> tuple[Any, ...]:
    if not text:
        raise InvalidArgument.at(path, "FIELD_REQUIRED", "is required")
    try:
        return pattern.parse(text)
    except BadName as error:
        raise InvalidArgument.at(path, error.reason, str(error)) from error


def _quantity(record: Any) -> Decimal:
    text = record.quantity.value
    if not text and not record.HasField("quantity"):
        raise InvalidArgument.at("quantity", "FIELD_REQUIRED", "is required")
    try:
        quantity = parse_decimal(text)
    except DecimalError as error:
        raise InvalidArgument.at("quantity", error.reason, FAULTS[error.reason]) from error
    # Zero is a reading: a meter that showed nothing counts as one that was read.
    if quantity >= ZERO:
        return quantity
    fault = "must not be negative; void the record that recorded too much, by VoidUsage"
    raise InvalidArgument.at("quantity", "QUANTITY_NEGATIVE", fault)


def usage_time(record: Any) -> datetime:
    """Return the usage time of a record. Raises InvalidArgument."""
    if not record.HasField("usage_time"):
        raise InvalidArgument.at("usage_time", "FIELD_REQUIRED", "is required")
    try:
        return instant(record.usage_time)
    except BadTime as error:
        raise InvalidArgument.at("usage_time", error.reason, str(error)) from error


def _labels(record: Any) -> dict[str, str]:
    labels = dict(record.labels)
    fault = labels_fault(labels)
    if fault is not None:
        raise InvalidArgument.at("labels", "LABELS_INVALID", fault)
    # An empty label and a missing label are the same.
    return {name: value for name, value in labels.items() if value}


# Fills an outcome in its place: building it first and copying it takes twice as long.
def _fill(made: pb.RecordOutcome, record: Usage | UsageError, outcome: Outcome) -> None:
    made.code = _CODES[outcome.code]
    if outcome.error is not None:
        made.status.CopyFrom(status_of(outcome.error))
    if outcome.revision:
        made.revision = outcome.revision
        made.voided = outcome.is_voided
    if outcome.late is not None:
        made.late.CopyFrom(late_usage_to_pb(outcome.late))
    if outcome.code is not OutcomeCode.REJECTED:
        assert isinstance(record, Usage), record
        made.usage_record = _prefix(record.account_id) + record.record_id


@memoize(entries=4_096, entry_bytes=1_024)
def _prefix(account_id: AccountId) -> str:
    return names.RECORD.of(account_id, "")


def late_usage_to_pb(late: LateUsage) -> pb.LateUsage:
    """Return the policy applied to late usage, and the rating period whose lines bill it."""
    return pb.LateUsage(
        policy=enum_pb(RatingFrequencyPolicy.LatePolicy, late.policy),
        period=rating_period_pb(late.period),
    )
