"""Messages of policies."""

from decimal import Decimal

from usage_management.v1 import policy_resources_pb2 as pb
from usage_management.v1 import policy_service_pb2 as rpc

from server.api import names
from server.api.mapping.modeling.catalog import cadence_from_pb, state_pb
from server.api.mapping.modeling.plain import PlainMapping, version_pb
from server.api.reader import RequestReader
from server.api.values import audit_pb, cadence_pb, enum_pb, etag, optional_decimal_pb
from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.ids import PolicyId
from server.domain.modeling.catalog import (
    Aggregation,
    Commitment,
    Overage,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
    StoredRecord,
)
from server.domain.modeling.policies import (
    DEFAULT_DELAY,
    AggregationMethod,
    Combination,
    LatePolicy,
    usual_combination,
    window_fault,
)
from server.store.modeling import policies as kinds

MONTH = Cadence(CadenceUnit.MONTH)
HUNDRED = Decimal(100)


OVERAGE = PlainMapping(
    kind=kinds.OVERAGE, field="overage_policy", content=Overage, message=pb.OveragePolicy
)
COMMITMENT = PlainMapping(
    kind=kinds.COMMITMENT,
    field="commitment_policy",
    content=Commitment,
    message=pb.CommitmentPolicy,
)


def aggregation_from_pb(request: rpc.CreateAggregationPolicyRequest) -> Aggregation:
    """Return an aggregation policy. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("aggregation_policy")
    method = own.choice("method", AggregationMethod)
    label = own.text("unique_label") or None
    if method is AggregationMethod.UNIQUE_COUNT and label is None:
        own.fault("unique_label", "FIELD_REQUIRED", "is required with the method UNIQUE_COUNT")
    if method is not AggregationMethod.UNIQUE_COUNT and label is not None:
        own.fault("unique_label", "POLICY_NOT_ALLOWED", f"is not allowed with the method {method}")
    period = own.choice("period", PolicyPeriod)
    fault = window_fault(method, period)
    if fault is not None:
        own.fault("period", "POLICY_NOT_ALLOWED", fault)
    content = Aggregation(
        id=PolicyId(reader.code("aggregation_policy_id")),
        display_name=own.text("display_name"),
        method=method,
        period=period,
        combine=own.choice("combine", Combination, default=usual_combination(method)),
        unique_label=label,
    )
    reader.done()
    return content


def rating_frequency_from_pb(
    request: rpc.CreateRatingFrequencyPolicyRequest,
) -> RatingFrequencyPolicy:
    """Return a rating frequency policy. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("rating_frequency_policy")
    content = RatingFrequencyPolicy(
        id=PolicyId(reader.code("rating_frequency_policy_id")),
        display_name=own.text("display_name"),
        period=own.choice("period", PolicyPeriod),
        delay=_delay(request.rating_frequency_policy),
        late=own.choice("late_policy", LatePolicy, default=LatePolicy.NEXT_PERIOD),
    )
    reader.done()
    return content


def refresh_from_pb(request: rpc.CreateRefreshPolicyRequest) -> Refresh:
    """Return a refresh policy. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("refresh_policy")
    interval = cadence_from_pb(own, "interval") or MONTH
    content = Refresh(
        id=PolicyId(reader.code("refresh_policy_id")),
        display_name=own.text("display_name"),
        interval=interval,
    )
    reader.done()
    return content


def rollover_from_pb(request: rpc.CreateRolloverPolicyRequest) -> Rollover:
    """Return a rollover policy. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("rollover_policy")
    quantity = own.optional_decimal("max_quantity")
    percents = {name: own.optional_decimal(name) for name in ("max_percent", "remainder_percent")}
    if quantity is not None and quantity <= 0:
        reason = "QUANTITY_ZERO" if quantity == 0 else "QUANTITY_NEGATIVE"
        own.fault("max_quantity", reason, "must be greater than zero")
    for name, percent in percents.items():
        if percent is not None and not 0 < percent <= HUNDRED:
            own.fault(name, "RANGE", "must be above 0 and at most 100")
    content = Rollover(
        id=PolicyId(reader.code("rollover_policy_id")),
        display_name=own.text("display_name"),
        max_rollovers=request.rollover_policy.max_rollovers or None,
        max_quantity=quantity,
        **percents,
    )
    reader.done()
    return content


def aggregation_to_pb(record: StoredRecord[Aggregation]) -> pb.AggregationPolicy:
    """Return an aggregation policy."""
    own = record.content
    return pb.AggregationPolicy(
        name=names.AGGREGATION_POLICY.of(own.id),
        display_name=own.display_name,
        method=enum_pb(pb.AggregationPolicy.Method, own.method),
        period=enum_pb(pb.AggregationPolicy.Period, own.period),
        combine=enum_pb(pb.AggregationPolicy.Combine, own.combine),
        unique_label=own.unique_label or "",
        state=state_pb(record),
        **version_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def rating_frequency_to_pb(record: StoredRecord[RatingFrequencyPolicy]) -> pb.RatingFrequencyPolicy:
    """Return a rating frequency policy."""
    own = record.content
    waiting = pb.RatingFrequencyPolicy.WaitingTime()
    if own.delay.unit is DelayUnit.DAYS:
        waiting.days = own.delay.count
    else:
        waiting.hours = own.delay.count
    return pb.RatingFrequencyPolicy(
        name=names.RATING_FREQUENCY_POLICY.of(own.id),
        display_name=own.display_name,
        period=enum_pb(pb.RatingFrequencyPolicy.Period, own.period),
        waiting_time=waiting,
        late_policy=enum_pb(pb.RatingFrequencyPolicy.LatePolicy, own.late),
        state=state_pb(record),
        **version_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def refresh_to_pb(record: StoredRecord[Refresh]) -> pb.RefreshPolicy:
    """Return a refresh policy."""
    own = record.content
    return pb.RefreshPolicy(
        name=names.REFRESH_POLICY.of(own.id),
        display_name=own.display_name,
        interval=cadence_pb(own.interval),
        state=state_pb(record),
        **version_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def rollover_to_pb(record: StoredRecord[Rollover]) -> pb.RolloverPolicy:
    """Return a rollover policy."""
    own = record.content
    return pb.RolloverPolicy(
        name=names.ROLLOVER_POLICY.of(own.id),
        display_name=own.display_name,
        max_rollovers=own.max_rollovers or 0,
        max_quantity=optional_decimal_pb(own.max_quantity),
        max_percent=optional_decimal_pb(own.max_percent),
        remainder_percent=optional_decimal_pb(own.remainder_percent),
        state=state_pb(record),
        **version_pb(record),
        **audit_pb(record.audit),
        etag=etag(record.revision),
    )


def _delay(policy: pb.RatingFrequencyPolicy) -> Delay:
    if not policy.HasField("waiting_time"):
        return DEFAULT_DELAY
    waiting = policy.waiting_time
    if waiting.WhichOneof("length") == "hours":
        return Delay(waiting.hours, DelayUnit.HOURS)
    return Delay(waiting.days)
