"""Messages of voids and amendments."""

from collections.abc import Sequence

from usage_management.v1 import consumption_service_pb2 as pb

from server.api import names
from server.api.errors import status_of
from server.api.mapping.consumption.recording import late_usage_to_pb, read_record
from server.api.names import BadName
from server.api.reader import RequestReader
from server.api.values import (
    enum_pb,
)
from server.domain.consumption.amendments import AmendCode, AmendOutcome, VoidOutcome
from server.domain.consumption.recording import RecordKey, Usage
from server.domain.errors import InvalidArgument
from server.domain.ids import AccountId, RecordId
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


def _record_key(name: str) -> RecordKey | InvalidArgument:
    try:
        account_id, record_id = names.RECORD.parse(name)
    except BadName as error:
        return InvalidArgument.at("usage_records", error.reason, str(error))
    return AccountId(account_id), RecordId(record_id)
