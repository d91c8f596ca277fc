"""Messages of voids, void runs and amendments."""

from collections.abc import Sequence

from usage_management.v1 import consumption_service_pb2 as pb
from usage_management.v1.access_service_pb2 import Run

from server.api import names
from server.api.errors import job_status, status_of
from server.api.mapping.consumption.recording import late_usage_to_pb, read_record
from server.api.mapping.filters import id_of_account, resource_from_reader
from server.api.names import BadName
from server.api.reader import RequestReader
from server.api.values import (
    audit_pb,
    decimal_pb,
    enum_pb,
    optional_time_pb,
    rating_period_pb,
    time_pb,
)
from server.domain.consumption.amendments import AmendCode, AmendOutcome, VoidOutcome
from server.domain.consumption.recording import RecordKey, Usage
from server.domain.consumption.void_runs import VoidedPeriod, VoidedUsage, VoidFilter, VoidRun
from server.domain.errors import InvalidArgument
from server.domain.ids import AccountId, AssetId, RecordId, VoidRunId
from server.env import new_id
from server.store.consumption.void_runs import NewVoidRun
from server.usecases.intake.amending import AmendUsage
from server.usecases.intake.voiding import VoidUsage


def void_usage_from_pb(request: pb.VoidUsageRequest) -> VoidUsage:
    """Return the records to void; a faulty name is its refusal. Raises InvalidArgument."""
    reader = RequestReader(request)
    reason = reader.text("reason")
    reader.done()
    return VoidUsage(records=tuple(map(_record_key, request.usage_records)), reason=reason)


def void_usage_response_to_pb(
    sent: Sequence[str], outcomes: Sequence[VoidOutcome]
) -> pb.VoidUsageResponse:
    """Return one outcome for each record, in order."""
    return pb.VoidUsageResponse(
        outcomes=[
            pb.VoidOutcome(
                code=enum_pb(pb.VoidOutcome.Code, outcome.code),
                status=None if outcome.error is None else status_of(outcome.error),
                usage_record=name,
            )
            for name, outcome in zip(sent, outcomes, strict=True)
        ]
    )


def amend_usage_from_pb(request: pb.AmendUsageRequest) -> AmendUsage:
    """Return the records with their new content; a faulty record is its refusal."""
    return AmendUsage(records=tuple(read_record(record) for record in request.records))


def amend_usage_response_to_pb(
    command: AmendUsage, outcomes: Sequence[AmendOutcome]
) -> pb.AmendUsageResponse:
    """Return one outcome for each record, in order."""
    response = pb.AmendUsageResponse()
    for record, outcome in zip(command.records, outcomes, strict=True):
        made = response.outcomes.add(
            code=enum_pb(pb.AmendOutcome.Code, outcome.code),
            status=None if outcome.error is None else status_of(outcome.error),
            revision=outcome.revision,
            voided=outcome.is_voided,
            late=None if outcome.late is None else late_usage_to_pb(outcome.late),
        )
        if outcome.code in (AmendCode.AMENDED, AmendCode.DUPLICATE):
            assert isinstance(record, Usage), record
            made.usage_record = names.RECORD.of(*record.key)
    return response


def create_void_run_from_pb(request: pb.CreateVoidRunRequest) -> NewVoidRun:
    """Return the run to store. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    run = reader.sub("void_run")
    asset_id = id_of_account(run, "asset", names.ASSET, account_id)
    start, end = run.time("start_time"), run.time("end_time")
    if end <= start:
        run.fault("end_time", "INTERVAL_INVALID", "must be after start_time")
    labels = run.labels("labels")
    if not all(labels.values()):
        run.fault("labels", "LABELS_INVALID", "must have values; an empty label is a missing one")
    new = NewVoidRun(
        id=VoidRunId(new_id()),
        account_id=AccountId(account_id),
        only=VoidFilter(
            start=start,
            end=end,
            asset_id=None if asset_id is None else AssetId(asset_id),
            resource_id=resource_from_reader(run),
            labels=labels,
        ),
        reason=run.text("reason"),
        is_dry=request.void_run.dry_run,
    )
    reader.done()
    return new


def void_run_to_pb(run: VoidRun) -> pb.VoidRun:
    """Return a run with its progress."""
    only, account_id = run.only, run.account_id
    return pb.VoidRun(
        name=names.VOID_RUN.of(account_id, run.id),
        start_time=time_pb(only.start),
        end_time=time_pb(only.end),
        asset="" if only.asset_id is None else names.ASSET.of(account_id, only.asset_id),
        usage_resource="" if only.resource_id is None else names.RESOURCE.of(only.resource_id),
        labels=only.labels,
        reason=run.reason,
        dry_run=run.is_dry,
        state=enum_pb(Run.State, run.state),
        record_count=run.record_count,
        usage=[_usage_to_pb(account_id, one) for one in run.usage],
        periods=[_period_to_pb(account_id, one) for one in run.periods],
        error=job_status(run.error),
        finish_time=optional_time_pb(run.finish_time),
        **audit_pb(run.audit),
    )


def _usage_to_pb(account_id: AccountId, one: VoidedUsage) -> pb.VoidedUsage:
    return pb.VoidedUsage(
        asset=names.ASSET.of(account_id, one.asset_id),
        usage_resource=names.RESOURCE.of(one.resource_id),
        record_count=one.count,
        quantity=decimal_pb(one.quantity),
    )


def _period_to_pb(account_id: AccountId, one: VoidedPeriod) -> pb.VoidedPeriod:
    return pb.VoidedPeriod(
        wallet=names.WALLET.of(account_id, one.wallet_id),
        period=rating_period_pb(one.period),
        was_final=one.is_final,
        record_count=one.count,
    )


def _record_key(name: str) -> RecordKey | InvalidArgument:
    try:
        account_id, record_id = names.RECORD.parse(name)
    except BadName as error:
        return InvalidArgument.at("usage_records", error.reason, str(error))
    return AccountId(account_id), RecordId(record_id)
