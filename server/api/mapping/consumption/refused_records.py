"""Messages of refused records."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from google.rpc import status_pb2
from usage_management.v1 import consumption_service_pb2 as pb

from server.api import names
from server.api.errors import status_of
from server.api.names import BadName
from server.api.reader import RequestReader
from server.api.values import time_pb
from server.domain.consumption.recording import Outcome
from server.domain.consumption.refusals import LONGEST, MOST_OF_A_CALL, Refusal
from server.domain.ids import AccountId
from server.store.consumption.refused_records import RefusalFilter

ALL_ACCOUNTS = "accounts/-"


def refusals_from_pb(
    records: Sequence[pb.UsageRecordInput], outcomes: Sequence[Outcome]
) -> list[Refusal]:
    """Return the first refused records of a call, as they were sent."""
    refused = [
        (record, outcome.error)
        for record, outcome in zip(records, outcomes, strict=True)
        if outcome.error is not None
    ]
    return [
        Refusal(
            account_id=_account_of(record.asset),
            record_id=_cut(record.record_id),
            asset=_cut(record.asset),
            usage_resource=_cut(record.usage_resource),
            reason=error.reason,
            status=status_of(error).SerializeToString(),
            content_hash=sha256(record.SerializeToString(deterministic=True)).digest(),
        )
        for record, error in refused[:MOST_OF_A_CALL]
    ]


def refusal_filter_from_pb(request: pb.ListRefusedRecordsRequest) -> RefusalFilter:
    """Return the filters of a list of refused records. Raises InvalidArgument."""
    reader = RequestReader(request)
    is_all = request.parent == ALL_ACCOUNTS
    account = None if is_all else AccountId(reader.name("parent", names.ACCOUNT)[0])
    if "\0" in request.reason:
        reader.fault("reason", "CODE_FORMAT", "must be a reason, as in ErrorInfo")
    reader.done()
    return RefusalFilter(account_id=account, reason=request.reason or None)


def refusal_to_pb(row: tuple[UUID, Refusal]) -> pb.RefusedRecord:
    """Return a refused record."""
    _, refusal = row
    assert refusal.time is not None, refusal
    credential = refusal.credential_id
    return pb.RefusedRecord(
        record_id=refusal.record_id,
        asset=refusal.asset,
        usage_resource=refusal.usage_resource,
        reason=refusal.reason,
        status=status_pb2.Status.FromString(refusal.status),
        content_hash=refusal.content_hash,
        refuse_time=time_pb(refusal.time),
        credential="" if credential is None else names.CREDENTIAL.of(credential),
    )


def _account_of(asset: str) -> AccountId:
    try:
        return AccountId(names.USED_ASSET.parse(asset)[0])
    except BadName:
        return AccountId("")


def _cut(text: str) -> str:
    # A text column cannot hold the character zero.
    return text[:LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}")
