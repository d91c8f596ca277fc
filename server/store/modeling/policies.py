"""Policies: the queries and row mapping of each kind."""

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.ids import PolicyId
from server.domain.modeling.catalog import (
    Aggregation,
    Commitment,
    Overage,
    PolicyIds,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    Combination,
    CommitmentRate,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
)
from server.store.modeling.records import Kind


def optional_policy(value: str | None) -> PolicyId | None:
    """Return the id of a policy, if there is one."""
    return None if value is None else PolicyId(value)


def policy_ids(row: Record) -> PolicyIds:
    """Return the policies that a row names; a usage resource has fewer than a product."""
    return PolicyIds(
        aggregation=optional_policy(row.get("aggregation_policy_id")),
        rating_frequency=optional_policy(row["rating_frequency_policy_id"]),
        overage=optional_policy(row["overage_policy_id"]),
        commitment=optional_policy(row.get("commitment_policy_id")),
        order=None if row["drawdown_order"] is None else DrawdownOrder(row["drawdown_order"]),
    )


def _aggregation(row: Record) -> Aggregation:
    return Aggregation(
        id=PolicyId(row["policy_id"]),
        display_name=row["display_name"],
        method=AggregationMethod(row["method"]),
        period=PolicyPeriod(row["period"]),
        combine=Combination(row["combine"]),
        unique_label=row["unique_label"],
    )


def _rating_frequency(row: Record) -> RatingFrequencyPolicy:
    days, hours = row["waiting_days"], row["waiting_hours"]
    return RatingFrequencyPolicy(
        id=PolicyId(row["policy_id"]),
        display_name=row["display_name"],
        period=PolicyPeriod(row["period"]),
        delay=Delay(hours, DelayUnit.HOURS) if days is None else Delay(days),
        late=LatePolicy(row["late_policy"]),
    )


def _overage(row: Record) -> Overage:
    return Overage(
        id=PolicyId(row["policy_id"]),
        display_name=row["display_name"],
        overage=OveragePolicy(row["overage"]),
    )


def _commitment(row: Record) -> Commitment:
    return Commitment(
        id=PolicyId(row["policy_id"]),
        display_name=row["display_name"],
        rate=CommitmentRate(row["rate"]),
    )


def _refresh(row: Record) -> Refresh:
    return Refresh(
        id=PolicyId(row["policy_id"]),
        display_name=row["display_name"],
        interval=Cadence(CadenceUnit(row["interval_unit"]), row["interval_count"]),
    )


def _rollover(row: Record) -> Rollover:
    return Rollover(
        id=PolicyId(row["policy_id"]),
        display_name=row["display_name"],
        max_rollovers=row["max_rollovers"],
        max_quantity=row["max_quantity"],
        max_percent=row["max_percent"],
        remainder_percent=row["remainder_percent"],
    )


def _waiting(delay: Delay, unit: DelayUnit) -> int | None:
    return delay.count if delay.unit is unit else None


AGGREGATION: Kind[Aggregation] = Kind(
    name="AggregationPolicy",
    pattern="aggregationPolicies/{}",
    table="aggregation_policies",
    columns=(
        "policy_id",
        "display_name",
        "method",
        "period",
        "combine",
        "unique_label",
    ),
    is_versioned=True,
    replacement="RevisePolicy makes its next version",
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.method,
        record.period,
        record.combine,
        record.unique_label,
    ),
    from_row=_aggregation,
    fields={},
)
RATING_FREQUENCY: Kind[RatingFrequencyPolicy] = Kind(
    name="RatingFrequencyPolicy",
    pattern="ratingFrequencyPolicies/{}",
    table="rating_frequency_policies",
    columns=(
        "policy_id",
        "display_name",
        "period",
        "waiting_days",
        "waiting_hours",
        "late_policy",
    ),
    is_versioned=True,
    replacement="RevisePolicy makes its next version",
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.period,
        _waiting(record.delay, DelayUnit.DAYS),
        _waiting(record.delay, DelayUnit.HOURS),
        record.late,
    ),
    from_row=_rating_frequency,
    fields={"delay": "waiting_time", "late": "late_policy"},
)
OVERAGE: Kind[Overage] = Kind(
    name="OveragePolicy",
    pattern="overagePolicies/{}",
    table="overage_policies",
    columns=(
        "policy_id",
        "display_name",
        "overage",
    ),
    is_versioned=True,
    replacement="RevisePolicy makes its next version",
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.overage),
    from_row=_overage,
    fields={},
)
REFRESH: Kind[Refresh] = Kind(
    name="RefreshPolicy",
    pattern="refreshPolicies/{}",
    table="refresh_policies",
    columns=(
        "policy_id",
        "display_name",
        "interval_unit",
        "interval_count",
    ),
    is_versioned=True,
    replacement="RevisePolicy makes its next version",
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.interval.unit,
        record.interval.count,
    ),
    from_row=_refresh,
    fields={},
)
ROLLOVER: Kind[Rollover] = Kind(
    name="RolloverPolicy",
    pattern="rolloverPolicies/{}",
    table="rollover_policies",
    columns=(
        "policy_id",
        "display_name",
        "max_rollovers",
        "max_quantity",
        "max_percent",
        "remainder_percent",
    ),
    is_versioned=True,
    replacement="RevisePolicy makes its next version",
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.max_rollovers,
        record.max_quantity,
        record.max_percent,
        record.remainder_percent,
    ),
    from_row=_rollover,
    fields={},
)
COMMITMENT: Kind[Commitment] = Kind(
    name="CommitmentPolicy",
    pattern="commitmentPolicies/{}",
    table="commitment_policies",
    columns=(
        "policy_id",
        "display_name",
        "rate",
    ),
    is_versioned=True,
    replacement="RevisePolicy makes its next version",
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.rate),
    from_row=_commitment,
    fields={},
)
