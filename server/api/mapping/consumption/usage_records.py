"""Messages of stored usage records."""

from typing import Any

from usage_management.v1 import consumption_service_pb2 as pb
from usage_management.v1 import summary_service_pb2 as summaries

from server.api import names
from server.api.mapping.filters import (
    created_from_reader,
    id_of_account,
    product_from_reader,
    resource_from_reader,
    window_from_reader,
)
from server.api.reader import RequestReader
from server.api.values import (
    credential_name,
    decimal_pb,
    enum_pb,
    optional_decimal_pb,
    optional_time_pb,
    rating_period_pb,
    time_pb,
)
from server.domain.consumption.usage_records import (
    RecordLine,
    RecordRevision,
    RecordState,
    RecordStory,
    RecordTrace,
    UsageRecord,
)
from server.domain.ids import AccountId, AssetId, CellId, RecordId
from server.usecases.consumption.usage_records import ListUsageRecords


def get_usage_record_from_pb(request: pb.GetUsageRecordRequest) -> tuple[AccountId, RecordId]:
    """Return the account and the id of a record. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, record_id = reader.name("name", names.RECORD)
    reader.done()
    return AccountId(account_id), RecordId(record_id)


def list_usage_records_from_pb(request: pb.ListUsageRecordsRequest) -> ListUsageRecords:
    """Return the filters of a list of records. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    asset_id = id_of_account(reader, "asset", names.ASSET, account_id)
    cell_id = id_of_account(reader, "usage_summary", names.USAGE_SUMMARY, account_id)
    window = window_from_reader(reader)
    command = ListUsageRecords(
        account_id=AccountId(account_id),
        asset_id=None if asset_id is None else AssetId(asset_id),
        resource_id=resource_from_reader(reader),
        start_time=window.start,
        end_time=window.end,
        cell_id=None if cell_id is None else CellId(cell_id),
        state=reader.optional_choice("state", RecordState),
        product_id=product_from_reader(reader),
        created=created_from_reader(reader),
    )
    reader.done()
    return command


def usage_record_to_pb(record: UsageRecord) -> pb.UsageRecord:
    """Return a record with its state and its trace."""
    return pb.UsageRecord(
        name=names.RECORD.of(record.account_id, record.id),
        asset=names.ASSET.of(record.account_id, record.asset_id),
        usage_resource=names.RESOURCE.of(record.resource_id),
        quantity=decimal_pb(record.quantity),
        unit_of_measure=names.UNIT.of(record.unit_id),
        usage_time=time_pb(record.time),
        labels=record.labels,
        state=pb.UsageRecord.State.Value(record.trace.state),
        outcome=_outcome_to_pb(record.account_id, record.trace),
        create_time=time_pb(record.create_time),
        created_by=credential_name(record.created_by),
        correction_pending=record.trace.is_pending,
        **_changes_to_pb(record),
        story=None if record.story is None else _story_to_pb(record.account_id, record.story),
    )


def _changes_to_pb(record: UsageRecord) -> dict[str, Any]:
    """Return the fields about amendments and voiding."""
    changes = record.changes
    return {
        "revision": changes.revision,
        "amend_time": optional_time_pb(changes.amend_time),
        "amended_by": credential_name(changes.amended_by),
        "void_time": optional_time_pb(changes.void_time),
        "voided_by": credential_name(changes.voided_by),
        "void_reason": changes.void_reason,
        "earlier_revisions": [_revision_to_pb(record.account_id, one) for one in changes.earlier],
    }


def _revision_to_pb(account_id: AccountId, earlier: RecordRevision) -> pb.UsageRecordRevision:
    return pb.UsageRecordRevision(
        revision=earlier.revision,
        asset=names.ASSET.of(account_id, earlier.asset_id),
        usage_resource=names.RESOURCE.of(earlier.resource_id),
        quantity=decimal_pb(earlier.quantity),
        unit_of_measure=names.UNIT.of(earlier.unit_id),
        usage_time=time_pb(earlier.time),
        labels=earlier.labels,
        create_time=time_pb(earlier.create_time),
        created_by=credential_name(earlier.created_by),
    )


def _story_to_pb(account_id: AccountId, story: RecordStory) -> pb.UsageRecordStory:
    return pb.UsageRecordStory(
        drawn_from=[
            summaries.DrawnFrom(
                grant=names.GRANT.of(account_id, draw.wallet_id, draw.grant_id),
                quantity=decimal_pb(draw.quantity),
                amount=decimal_pb(draw.amount),
            )
            for draw in story.drawn
        ],
        lines=[_line_to_pb(account_id, line) for line in story.lines],
        corrections=[
            pb.UsageRecordCorrection(
                correction=names.CORRECTION.of(account_id, one.correction_id),
                causes=[enum_pb(summaries.Correction.Cause, cause) for cause in one.causes],
                create_time=time_pb(one.create_time),
            )
            for one in story.corrections
        ],
    )


def _line_to_pb(account_id: AccountId, line: RecordLine) -> pb.UsageRecordLine:
    made_by, liable_id = line.correction_id, line.liable_summary_id
    return pb.UsageRecordLine(
        ratable_summary=names.RATABLE_SUMMARY.of(account_id, line.ratable_summary_id),
        state=enum_pb(summaries.RatableSummary.State, line.state),
        correction="" if made_by is None else names.CORRECTION.of(account_id, made_by),
        liable_summary="" if liable_id is None else names.LIABLE_SUMMARY.of(account_id, liable_id),
        liable_state=summaries.LiableSummary.STATE_UNSPECIFIED
        if line.liable_state is None
        else enum_pb(summaries.LiableSummary.State, line.liable_state),
        invoice=line.invoice,
    )


def _outcome_to_pb(account_id: AccountId, trace: RecordTrace) -> pb.UsageOutcome:
    line = trace.liable_summary_id
    return pb.UsageOutcome(
        counted_quantity=decimal_pb(trace.counted_quantity),
        usage_summary=names.USAGE_SUMMARY.of(account_id, trace.cell_id),
        period=rating_period_pb(trace.period),
        late=trace.is_late,
        summary_drawn_quantity=optional_decimal_pb(trace.drawn_quantity),
        summary_overage_quantity=optional_decimal_pb(trace.overage_quantity),
        liable_summary="" if line is None else names.LIABLE_SUMMARY.of(account_id, line),
    )
