"""Simulation: what a procedure is tried on, from forms; what lines come to, to messages."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from usage_management.v1 import procedure_service_pb2 as pb

from server.api import names
from server.api.errors import status_of
from server.api.forms import Form
from server.api.mapping.pricing.procedures import version_from_form
from server.api.mapping.pricing.terms import (
    attribute_row_from_form,
    per_from_form,
    rate_from_form,
    step_to_pb,
    tiers_from_form,
    unit_from_form,
)
from server.api.values import decimal_pb
from server.domain.exact import ZERO
from server.domain.ids import ProcedureId, ProcedureVersionId, UnitId
from server.domain.modelling.policies import OveragePolicy
from server.domain.pricing.procedures.programs import check
from server.domain.pricing.procedures.state import Line
from server.domain.pricing.procedures.versions import Usage, Version
from server.domain.pricing.procedures.waterfall import Outcome, Rated
from server.domain.pricing.rates import Rate, RateTerms, Tier, TierBounds, TierMode, check_tiers

Tiers = tuple[TierBounds, TierMode, tuple[Tier, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulate:
    """A stored version or one that was given, and lines to be rated by it.

    One for discovery is tried on the questions of the request instead.
    """

    stored: tuple[ProcedureId, ProcedureVersionId] | None
    inline: Version | None
    usage: Usage
    lines: tuple[Line, ...]


def simulate_from_pb(request: pb.SimulateProcedureRequest) -> Simulate:
    """Raises InvalidArgument: PROCEDURE_INVALID, FORMULA_INVALID, TIERS_INVALID and more."""
    form = Form(request)
    usage = Usage.DISCOVERY if request.questions else Usage.RATING
    if request.lines and request.questions:
        form.fault("questions", "PROCEDURE_USAGE", "are for discovery, and lines for rating")
    elif not request.lines and not request.questions:
        form.fault("lines", "FIELD_REQUIRED", "are needed, or questions for a discovery procedure")
    stored: Any = form.optional_name("version", names.PROCEDURE_VERSION)
    inline = None
    if form.has("inline_version"):
        nobody = ProcedureId(""), ProcedureVersionId("")
        inline = version_from_form(form.sub("inline_version"), *nobody)
    lines = tuple(_line(one) for one in form.subs("lines"))
    form.done()
    if inline is not None:
        check(inline.elements, usage, path="inline_version.elements")
    return Simulate(stored=stored, inline=inline, usage=usage, lines=lines)


def outcomes_to_pb(outcomes: tuple[Outcome, ...]) -> pb.SimulateProcedureResponse:
    """What each line comes to, with the steps."""
    return pb.SimulateProcedureResponse(outcomes=map(_outcome_to_pb, outcomes))


def _outcome_to_pb(outcome: Outcome) -> pb.SimulatedOutcome:
    steps = map(step_to_pb, outcome.steps)
    if isinstance(outcome, Rated):
        return pb.SimulatedOutcome(
            amount=decimal_pb(outcome.amount),
            net_unit_rate=decimal_pb(outcome.net_unit_rate),
            waterfall=steps,
        )
    return pb.SimulatedOutcome(status=status_of(outcome), waterfall=steps)


def _line(form: Form) -> Line:
    unit = unit_from_form(form)
    quantity = _quantity(form, "quantity", None)
    target_rate, target_tiers = _rate(form, "target_rate", unit), _tiers(form, "target_tiers")
    target = None
    if target_rate is not None or target_tiers is not None:
        target = _terms(unit, negotiated_rate=target_rate, negotiated_tiers=target_tiers)
    return Line(
        quantity=quantity,
        terms=_own_terms(form, unit),
        tier_quantity=_quantity(form, "tier_quantity", quantity),
        before=_quantity(form, "quantity_before", ZERO),
        used=_quantity(form, "used_quantity", ZERO) if form.has("used_quantity") else None,
        overage=form.choice("overage", OveragePolicy, default=OveragePolicy.CHARGE),
        target=target,
        attributes=form.labels("attributes"),
        adjustments=tuple(map(attribute_row_from_form, form.subs("attribute_adjustments"))),
    )


def _own_terms(form: Form, unit: UnitId) -> RateTerms:
    """What the asset was sold under; its tiers are read as the catalogue's are."""
    tiers, own = _tiers(form, "tiers"), _tiers(form, "asset_tiers")
    if tiers and own and tiers[:2] != own[:2]:
        text = "must have the mode and the bounds of tiers"
        form.fault("asset_tiers", "TIERS_INVALID", text)
    commitments = tuple(
        _terms(unit, rate=_rate(one, "rate", unit), tiers=_tiers(one, "tiers"))
        for one in form.subs("commitments")
    )
    return _terms(
        unit,
        rate=_rate(form, "rate", unit),
        tiers=tiers,
        per=per_from_form(form, "tier_per"),
        negotiated_rate=_rate(form, "asset_rate", unit),
        negotiated_tiers=own,
        committed=commitments,
    )


def _terms(
    unit: UnitId,
    *,
    tiers: Tiers | None = None,
    negotiated_tiers: Tiers | None = None,
    **more: Any,
) -> RateTerms:
    read = negotiated_tiers or tiers or (TierBounds.LOWER_INCLUSIVE, TierMode.VOLUME, ())
    return RateTerms(
        unit=unit,
        bounds=read[0],
        mode=read[1],
        tiers=tiers[2] if tiers else (),
        negotiated_tiers=negotiated_tiers[2] if negotiated_tiers else None,
        **({"rate": None} | more),
    )


def _quantity(form: Form, name: str, default: Decimal | None) -> Decimal:
    value = form.decimal(name, default=default)
    if value < ZERO:
        form.fault(name, "QUANTITY_NEGATIVE", "must not be negative")
        return ZERO
    return value


def _rate(form: Form, name: str, unit: UnitId) -> Rate | None:
    if not form.has(name):
        return None
    rate = rate_from_form(form.sub(name))
    if rate.unit != unit:
        form.fault(name, "CURRENCY_MISMATCH", f"must be in {unit[:64]}, as the line is")
        return None
    return rate


def _tiers(form: Form, name: str) -> Tiers | None:
    """Tiers that continue each other, or none; at once wrong are only those of a right form."""
    if not form.has(name):
        return None
    own, faults = form.sub(name), len(form.faults)
    bounds, mode, tiers = tiers_from_form(own)
    if len(form.faults) == faults:
        check_tiers(tiers, path=f"{own.path}.tiers")
    return bounds, mode, tiers
