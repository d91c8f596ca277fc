"""Rates that did not win, to messages."""

from usage_management.v1 import rate_service_pb2 as pb

from server.api import names
from server.api.mapping.rating.terms import entry_name, rate_to_pb, unit_pb
from server.api.values import enum_pb, optional_date_pb
from server.domain.ids import AccountId
from server.domain.rating.rejected_candidates import RejectedCandidate


def rejected_candidate_to_pb(
    found: RejectedCandidate, account_id: AccountId | None
) -> pb.RateCandidate:
    """Why a rate lost; `account_id` is the one of the asset that was asked about, if any."""
    made = pb.RateCandidate(
        reason=enum_pb(pb.RateCandidate.Reason, found.why),
        explanation=found.words,
        source=enum_pb(pb.RateSource, found.source),
        entry=entry_name(found.entry),
        rate=None if found.rate is None else rate_to_pb(found.rate),
        start_date=optional_date_pb(found.start),
        end_date=optional_date_pb(found.end),
        **unit_pb(found.unit),
    )
    if found.asset_id is not None:
        made.asset = names.ASSET.of(account_id, found.asset_id)
    if found.selling_model_id is not None:
        made.selling_model = names.SELLING_MODEL.of(found.selling_model_id)
    return made
