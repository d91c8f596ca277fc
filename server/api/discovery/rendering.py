"""Render answers, and the candidates that were rejected."""

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
    found: RejectedCandidate, account_id: AccountId | None
) -> pb.RateCandidate:
    """Return a rejected rate; `account_id` is that of the asset that was asked about, if any."""
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


def answer_to_pb(
    found: Answer, compiled: CompiledRates, finder: CompiledDiscovery, account_id: str | None
) -> pb.RateAnswer:
    """Return an answer as a message; `account_id` is that of the asset it is about, if any."""
    terms = _terms_to_pb(found, compiled, finder, account_id)
    if found.rated is None:
        return terms
    steps = map(step_to_pb, found.rated.steps)
    assert found.version is not None, found
    version = names.PROCEDURE_VERSION.of(*found.version)
    message = pb.RateAnswer(
        amount=decimal_pb(found.rated.amount), waterfall=steps, procedure_version=version
    )
    message.MergeFrom(terms)
    return message


def _terms_to_pb(
    found: Answer, compiled: CompiledRates, finder: CompiledDiscovery, account_id: str | None
) -> pb.RateAnswer:
    """Return the terms, their source and the discovery version that found them.

    Terms of the catalog are rendered once, so callers must not change the message.
    """
    terms = found.terms
    is_common = found.source is Source.CATALOG and not terms.attributes
    key = (finder.name, terms.base_entry, terms.tier_entry, terms.attribute_entry)
    known: pb.RateAnswer | None = compiled.rendered.get(key) if is_common else None
    if known is not None:
        return known
    made = pb.RateAnswer(
        terms=terms_to_pb(terms, is_fixed=found.is_fixed),
        source=enum_pb(pb.RateSource, found.source),
        discovery_procedure_version=finder.name,
    )
    if found.asset_id is not None:
        assert account_id is not None, found
        made.asset = names.ASSET.of(account_id, str(found.asset_id))
    if is_common:
        compiled.rendered.put(key, made, made.ByteSize())
    return made
