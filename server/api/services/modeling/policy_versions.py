"""The methods for versions of policies."""

from typing import Any

from usage_management.v1 import policy_service_pb2 as pb

from server.api.names import BadName
from server.api.reader import RequestReader
from server.api.services.modeling import kinds
from server.api.services.modeling.kinds import OnWire
from server.api.services.modeling.records import merging
from server.api.transactions import list_loaded_rows, run_mutation, run_query
from server.api.values import optional_date_pb, optional_time_pb
from server.domain.errors import InvalidArgument
from server.domain.modeling.catalog import StoredRecord
from server.env import Env
from server.store.modeling.policy_versions import VersionStart
from server.usecases.catalog_changes import policy_versions
from server.usecases.modeling.edits import Record

KINDS: tuple[OnWire[Any, Any], ...] = (
    kinds.AGGREGATION,
    kinds.RATING_FREQUENCY,
    kinds.OVERAGE,
    kinds.REFRESH,
    kinds.ROLLOVER,
    kinds.COMMITMENT,
)


async def revise_policy(env: Env, request: pb.RevisePolicyRequest) -> pb.RevisePolicyResponse:
    """Make a new version of a policy, and return it with the names of what uses it."""
    reader = RequestReader(request)
    field = str(request.policy.WhichOneof("kind"))
    kind = next(kind for kind in KINDS if kind.field == field)
    own = reader.sub("policy").sub(field)
    key, revision = own.name("name", kind.name), own.etag("etag")
    start = reader.optional_date("start_date")
    reader.done()
    merge = merging(kind, key, getattr(request.policy, field), request.update_mask)
    record = Record(kind=kind.kind, key=key, revision=revision)
    return await run_mutation(
        env,
        request,
        pb.RevisePolicyResponse,
        lambda tx: policy_versions.revise(tx, record, merge, start),
        lambda revised: pb.RevisePolicyResponse(
            policy=_policy(kind, revised.policy),
            affected=revised.affected,
            affected_count=revised.affected_count,
        ),
    )


async def list_policy_versions(
    env: Env, request: pb.ListPolicyVersionsRequest
) -> pb.ListPolicyVersionsResponse:
    """Return the current and the earlier versions of a policy."""
    kind, key = _named(request.name)
    versions = await run_query(env, lambda tx: policy_versions.list_versions(tx, kind.kind, *key))
    page, token = list_loaded_rows(env, request, versions, lambda row: _version(kind, *row))
    return pb.ListPolicyVersionsResponse(versions=page, next_page_token=token)


def _version(
    kind: OnWire[Any, Any], kept: StoredRecord[Any], until: VersionStart | None
) -> pb.PolicyVersion:
    return pb.PolicyVersion(
        policy=_policy(kind, kept),
        supersede_time=optional_time_pb(until.time if until else None),
        supersede_date=optional_date_pb(until.date if until else None),
    )


def _policy(kind: OnWire[Any, Any], kept: StoredRecord[Any]) -> pb.Policy:
    return pb.Policy(**{kind.field: kind.write(kept)})


def _named(text: str) -> tuple[OnWire[Any, Any], tuple[str, ...]]:
    """Return the kind and the key of a policy's name."""
    for kind in KINDS:
        if tuple(text.split("/")[::2]) == kind.name.words:
            try:
                return kind, kind.name.parse(text)
            except BadName as error:
                raise InvalidArgument.at("name", error.reason, str(error)) from None
    fault = "must be the name of a policy, as in aggregationPolicies/sum-daily"
    raise InvalidArgument.at("name", "NAME_FORMAT", fault)
