"""Messages of rate plans."""

from collections.abc import Iterable

from usage_management.v1 import rate_service_pb2 as pb
from usage_management.v1.policy_resources_pb2 import OveragePolicy

from server.api import names
from server.api.errors import status_of
from server.api.mapping.rating.terms import terms_to_pb, unit_pb
from server.api.values import date_pb, enum_pb, optional_time_pb, time_pb
from server.domain.rating.rates import RateTerms
from server.domain.selling.rate_plans import PlanLine
from server.usecases.selling.rate_plans import RatePlan


def plan_to_pb(account_id: str, asset_id: object, plan: RatePlan) -> pb.RatePlan:
    """Return the rates of an asset's resources on a day."""
    return pb.RatePlan(
        name=names.ASSET.of(account_id, asset_id),
        date=date_pb(plan.day),
        lines=[_line_to_pb(account_id, asset_id, line) for line in plan.lines],
    )


def _line_to_pb(account_id: str, asset_id: object, line: PlanLine) -> pb.RatePlanLine:
    made = pb.RatePlanLine(
        usage_resource=names.RESOURCE.of(line.resource_id),
        wallet=names.WALLET.of(account_id, line.wallet_id),
        status=None if line.error is None else status_of(line.error),
        rating_period_date=date_pb(line.period),
    )
    if line.rater is not None:
        made.procedure_version = names.PROCEDURE_VERSION.of(*line.rater.name)
    segment = line.segment
    if segment is None or segment.terms is None:
        return made
    terms = segment.terms
    source, sold_with = line.source
    made.MergeFrom(
        pb.RatePlanLine(
            terms=terms_to_pb(terms, is_fixed=line.is_fixed),
            start_time=time_pb(segment.start),
            end_time=optional_time_pb(segment.end),
            overage=enum_pb(OveragePolicy.Overage, segment.overage),
            commitments=_commitments(account_id, terms.committed),
            source=enum_pb(pb.RateSource, source),
            asset=names.ASSET.of(account_id, sold_with or asset_id),
            **unit_pb(terms.unit),
        )
    )
    return made


def _commitments(account_id: str, terms: Iterable[RateTerms]) -> list[pb.CommittedTerms]:
    return [
        pb.CommittedTerms(
            asset=names.ASSET.of(account_id, committed.commitment), terms=terms_to_pb(committed)
        )
        for committed in terms
    ]
