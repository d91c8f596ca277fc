"""Messages of simulations: the version and the lines to rate, and their outcomes."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from usage_management.v1 import procedure_service_pb2 as pb

from server.api import names
from server.api.errors import status_of
from server.api.mapping.rating.procedures import version_from_reader
from server.api.mapping.rating.terms import (
    attribute_row_from_reader,
    per_from_reader,
    rate_from_reader,
    rate_parts_from_reader,
    step_to_pb,
    tiers_from_reader,
    unit_from_reader,
)
from server.api.reader import RequestReader
from server.api.values import decimal_pb
from server.domain.exact import ZERO
from server.domain.ids import ProcedureId, ProcedureVersionId, UnitId
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.procedures.programs import check
from server.domain.rating.procedures.state import Line
from server.domain.rating.procedures.versions import ProcedureUsage, Version
from server.domain.rating.procedures.waterfall import Outcome, Rated
from server.domain.rating.rates import (
    ONE,
    Rate,
    RateParts,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
    check_tiers,
    close_gaps,
)

Tiers = tuple[TierBounds, TierMode, tuple[Tier, ...]]

NO_TIERS: Tiers = (TierBounds.LOWER_INCLUSIVE, TierMode.VOLUME, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulate:
    """A stored or an inline version, and the lines to rate by it.

    A discovery version answers the questions of the request instead.
    """

    stored: tuple[ProcedureId, ProcedureVersionId] | None
    inline: Version | None
    usage: ProcedureUsage
    lines: tuple[Line, ...]


def simulate_from_pb(request: pb.SimulateProcedureRequest) -> Simulate:
    """Return the command to simulate.

    Raises InvalidArgument: PROCEDURE_INVALID, FORMULA_INVALID, TIERS_INVALID and more.
    """
    reader = RequestReader(request)
    usage = ProcedureUsage.DISCOVERY if request.questions else ProcedureUsage.RATING
    if request.lines and request.questions:
        reader.fault("questions", "PROCEDURE_USAGE", "are for discovery, and lines for rating")
    elif not request.lines and not request.questions:
        reader.fault(
            "lines", "FIELD_REQUIRED", "are needed, or questions for a discovery procedure"
        )
    stored: Any = reader.optional_name("version", names.PROCEDURE_VERSION)
    inline = None
    if reader.has("inline_version"):
        no_ids = ProcedureId(""), ProcedureVersionId("")
        inline = version_from_reader(reader.sub("inline_version"), *no_ids)
    lines = tuple(_line(line) for line in reader.subs("lines"))
    reader.done()
    if inline is not None:
        check(inline.elements, usage, path="inline_version.elements")
    return Simulate(stored=stored, inline=inline, usage=usage, lines=lines)


def outcomes_to_pb(outcomes: tuple[Outcome, ...]) -> pb.SimulateProcedureResponse:
    """Return the outcome of each line, with its steps."""
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


def _line(reader: RequestReader) -> Line:
    unit = unit_from_reader(reader)
    quantity = _quantity(reader, "quantity", None)
    listed = _listed(reader, unit)
    return Line(
        quantity=quantity,
        terms=_own_terms(reader, listed),
        tier_quantity=_quantity(reader, "tier_quantity", quantity),
        before=_quantity(reader, "quantity_before", ZERO),
        used=_quantity(reader, "used_quantity", ZERO) if reader.has("used_quantity") else None,
        overage=reader.choice("overage", OveragePolicy, default=OveragePolicy.CHARGE),
        target=_target(reader, listed),
        attributes=reader.labels("attributes"),
        adjustments=tuple(map(attribute_row_from_reader, reader.subs("attribute_adjustments"))),
    )


def _listed(reader: RequestReader, unit: UnitId) -> RateTerms:
    """Return the terms of the catalog for a line."""
    rate, tiers = _rate(reader, "rate", unit), _tiers(reader, "tiers", _scale(reader))
    return _terms(unit, rate, tiers, per_from_reader(reader, "tier_per"))


def _own_terms(reader: RequestReader, listed: RateTerms) -> RateTerms:
    """Return the terms of the asset; unnamed modes and bounds are those of the listed tiers."""
    scale = _scale(reader)
    own = _tiers(reader, "asset_tiers", scale, listed)
    if listed.tiers and own and own[:2] != (listed.bounds, listed.mode):
        text = "must have the mode and the bounds of tiers"
        reader.fault("asset_tiers", "TIERS_INVALID", text)
    unit = listed.unit
    commitments = tuple(
        _terms(unit, _rate(commitment, "rate", unit), _tiers(commitment, "tiers", scale))
        for commitment in reader.subs("commitments")
    )
    rate = _rate_parts(reader, "asset_rate", unit)
    return replace(_negotiated(listed, rate, own), committed=commitments)


def _target(reader: RequestReader, listed: RateTerms) -> RateTerms | None:
    """Return the terms negotiated for the target, if any."""
    rate = _rate_parts(reader, "target_rate", listed.unit)
    tiers = _tiers(reader, "target_tiers", _scale(reader), listed)
    return None if rate is None and tiers is None else _negotiated(listed, rate, tiers)


def _terms(unit: UnitId, rate: Rate | None, tiers: Tiers | None, per: Decimal = ONE) -> RateTerms:
    bounds, mode, steps = tiers or NO_TIERS
    return RateTerms(unit=unit, rate=rate, per=per, bounds=bounds, mode=mode, tiers=steps)


def _negotiated(listed: RateTerms, rate: RateParts | None, tiers: Tiers | None) -> RateTerms:
    terms = replace(listed, negotiated_rate=None if rate is None else rate.over(listed))
    if tiers is None:
        return terms
    return replace(terms, bounds=tiers[0], mode=tiers[1], negotiated_tiers=tiers[2])


def _scale(reader: RequestReader) -> int:
    """Return the decimals of the unit of a line's quantities."""
    scale: int = reader.message.unit_scale
    return scale


def _quantity(reader: RequestReader, name: str, default: Decimal | None) -> Decimal:
    value = reader.decimal(name, default=default)
    if value < ZERO:
        reader.fault(name, "QUANTITY_NEGATIVE", "must not be negative")
        return ZERO
    return value


def _rate(reader: RequestReader, name: str, unit: UnitId) -> Rate | None:
    if not reader.has(name):
        return None
    rate = rate_from_reader(reader.sub(name))
    return rate if _is_in(rate.unit, unit, reader, name) else None


def _rate_parts(reader: RequestReader, name: str, unit: UnitId) -> RateParts | None:
    if not reader.has(name):
        return None
    rate = rate_parts_from_reader(reader.sub(name))
    return rate if _is_in(rate.unit or unit, unit, reader, name) else None


def _is_in(rated: UnitId, unit: UnitId, reader: RequestReader, name: str) -> bool:
    """Return True if a rate is in the unit of its line. Adds CURRENCY_MISMATCH."""
    if rated == unit:
        return True
    reader.fault(name, "CURRENCY_MISMATCH", f"must be in {unit[:64]}, as the line is")
    return False


def _tiers(
    reader: RequestReader, name: str, scale: int, listed: RateTerms | None = None
) -> Tiers | None:
    """Return checked tiers, with the gaps of inclusive tiers closed as in an entry, or None.

    Tiers are checked against each other only if each is valid by itself. Unnamed bounds and modes
    are those of the `listed` tiers.
    """
    if not reader.has(name):
        return None
    own, faults = reader.sub(name), len(reader.faults)
    asked_bounds, mode, tiers = tiers_from_reader(own)
    kept = NO_TIERS if listed is None else (listed.bounds, listed.mode)
    bounds = asked_bounds or kept[0]
    if len(reader.faults) == faults:
        if bounds is TierBounds.UPPER_INCLUSIVE:
            tiers = close_gaps(tiers, scale=scale)
        check_tiers(tiers, path=f"{own.path}.tiers")
    return bounds, mode or kept[1], tiers
