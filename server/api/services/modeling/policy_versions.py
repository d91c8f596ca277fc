"""Versions of policies on the wire."""

from datetime import datetime
from typing import Any

from usage_management.v1 import policy_service_pb2 as pb

from server.api.names import BadName
from server.api.reader import RequestReader
from server.api.services.modeling import kinds
from server.api.services.modeling.kinds import OnWire
from server.api.services.modeling.records import merging
from server.api.transactions import list_loaded_rows, run_mutation, run_query
from server.api.values import optional_time_pb
from server.domain.errors import InvalidArgument
from server.domain.modeling.catalog import StoredRecord
from server.env import Env
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


async def revise_policy(env: Env, request: pb.RevisePolicyRequest) -> pb.Policy:
    """The policy in its next version."""
    reader = RequestReader(request)
    field = str(request.policy.WhichOneof("kind"))
    one = next(kind for kind in KINDS if kind.field == field)
    own = reader.sub("policy").sub(field)
    key, revision = own.name("name", one.name), own.etag("etag")
    reader.done()
    merge = merging(one, key, getattr(request.policy, field), request.update_mask)
    record = Record(kind=one.kind, key=key, revision=revision)
    return await run_mutation(
        env,
        request,
        pb.Policy,
        lambda tx: policy_versions.revise(tx, record, merge),
        lambda kept: _policy(one, kept),
    )


async def list_policy_versions(
    env: Env, request: pb.ListPolicyVersionsRequest
) -> pb.ListPolicyVersionsResponse:
    """What a policy says and said."""
    one, key = _named(request.name)
    found = await run_query(env, lambda tx: policy_versions.list_versions(tx, one.kind, *key))
    page, token = list_loaded_rows(env, request, found, lambda row: _version(one, *row))
    return pb.ListPolicyVersionsResponse(versions=page, next_page_token=token)


def _version(
    one: OnWire[Any, Any], kept: StoredRecord[Any], until: datetime | None
) -> pb.PolicyVersion:
    return pb.PolicyVersion(policy=_policy(one, kept), supersede_time=optional_time_pb(until))


def _policy(one: OnWire[Any, Any], kept: StoredRecord[Any]) -> pb.Policy:
    return pb.Policy(**{one.field: one.write(kept)})


def _named(text: str) -> tuple[OnWire[Any, Any], tuple[str, ...]]:
    """A policy of whatever kind by its name."""
    for one in KINDS:
        if tuple(text.split("/")[::2]) == one.name.words:
            try:
                return one, one.name.parse(text)
            except BadName as error:
                raise InvalidArgument.at("name", error.reason, str(error)) from None
    fault = "must be the name of a policy, as in aggregationPolicies/sum-daily"
    raise InvalidArgument.at("name", "NAME_FORMAT", fault)
