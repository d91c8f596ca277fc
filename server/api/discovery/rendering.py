"""Renders answers and rejected candidates as messages."""

from usage_management.v1 import rate_service_pb2 as pb

from server.api import names
from server.api.mapping.rating.terms import entry_name, rate_to_pb, step_to_pb, terms_to_pb, unit_pb
from server.api.values import decimal_pb, enum_pb, optional_date_pb
from server.domain.ids import AccountId
from server.domain.rating.compiled_discovery import CompiledDiscovery
from server.domain.rating.discovery import Answer, Source
from server.domain.rating.rejected_candidates import RejectedCandidate
from server.runtime.rate_snapshots import CompiledRates


def rejected_candidate_to_pb(
    rejected: RejectedCandidate, account_id: AccountId | None
) -> pb.RateCandidate:
    """Return a rejected rate; `account_id` is that of the question's asset, if any."""
    made = pb.RateCandidate(
        reason=enum_pb(pb.RateCandidate.Reason, rejected.why),
        explanation=rejected.words,
        source=enum_pb(pb.RateSource, rejected.source),
        entry=entry_name(rejected.entry),
        rate=None if rejected.rate is None else rate_to_pb(rejected.rate),
        start_date=optional_date_pb(rejected.start),
        end_date=optional_date_pb(rejected.end),
        **unit_pb(rejected.unit),
    )
    if rejected.asset_id is not None:
        made.asset = names.ASSET.of(account_id, rejected.asset_id)
    if rejected.selling_model_id is not None:
        made.selling_model = names.SELLING_MODEL.of(rejected.selling_model_id)
    return made


def answer_to_pb(
    answer: Answer,
    compiled: CompiledRates,
    discovery_version: CompiledDiscovery,
    account_id: str | None,
) -> pb.RateAnswer:
    """Return an answer as a message; `account_id` is that of its asset, if any."""
    terms = _terms_to_pb(answer, compiled, discovery_version, account_id)
    if answer.rated is None:
        return terms
    steps = map(step_to_pb, answer.rated.steps)
    assert answer.version is not None, answer
    version = names.PROCEDURE_VERSION.of(*answer.version)
    message = pb.RateAnswer(
        amount=decimal_pb(answer.rated.amount), waterfall=steps, procedure_version=version
    )
    # Merged into a new message, because the rendered terms of the catalog are shared.
    message.MergeFrom(terms)
    return message


def _terms_to_pb(
    answer: Answer,
    compiled: CompiledRates,
    discovery_version: CompiledDiscovery,
    account_id: str | None,
) -> pb.RateAnswer:
    """Return the terms, their source and the discovery version that found them.

    Terms of the catalog are rendered once, so callers must not change the message.
    """
    terms = answer.terms
    is_common = answer.source is Source.CATALOG and not terms.attributes
    key = (discovery_version.name, terms.base_entry, terms.tier_entry, terms.attribute_entry)
    known: pb.RateAnswer | None = compiled.rendered.get(key) if is_common else None
    if known is not None:
        return known
    made = pb.RateAnswer(
        terms=terms_to_pb(terms, is_fixed=answer.is_fixed),
        source=enum_pb(pb.RateSource, answer.source),
        discovery_procedure_version=discovery_version.name,
    )
    if answer.asset_id is not None:
        assert account_id is not None, answer
        made.asset = names.ASSET.of(account_id, str(answer.asset_id))
    if is_common:
        compiled.rendered.put(key, made, made.ByteSize())
    return made
