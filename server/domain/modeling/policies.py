"""Policies as frozen values, and the one rule between them: the order of their periods.

What a policy does is told by the module that applies it.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from server.domain.calendar import Cadence, CadenceUnit, Delay, PolicyPeriod
from server.domain.errors import FailedPrecondition
from server.domain.ids import PolicyId

DEFAULT_DELAY = Delay(3)
USUAL_BILLING = Cadence(CadenceUnit.MONTH)
LONGEST_BILLING = Cadence(CadenceUnit.MONTH, 60)


class AggregationMethod(StrEnum):
    """How the records of one window become one figure."""

    SUM = "SUM"
    PEAK = "PEAK"
    COUNT = "COUNT"
    AVERAGE = "AVERAGE"
    MINIMUM = "MINIMUM"
    LATEST = "LATEST"
    UNIQUE_COUNT = "UNIQUE_COUNT"

    @property
    def only_grows(self) -> bool:
        """Whether more records never make the figure smaller."""
        return self in _GROWING


class Combination(StrEnum):
    """How the windows of one rating period become one figure."""

    TOTAL = "TOTAL"
    HIGHEST = "HIGHEST"


class OveragePolicy(StrEnum):
    """What happens to usage that no grant covers."""

    CHARGE = "CHARGE"
    FREE = "FREE"
    BLOCK = "BLOCK"


class DrawdownOrder(StrEnum):
    """Which of several open grants pays first."""

    EXPIRING_FIRST = "EXPIRING_FIRST"
    GRANTED_FIRST = "GRANTED_FIRST"
    GRANTED_LAST = "GRANTED_LAST"


class CommitmentRate(StrEnum):
    """What usage costs once a commitment is used up."""

    LOWEST = "LOWEST"
    BOUNDED = "BOUNDED"


class PolicyLevel(StrEnum):
    """Which level supplied a policy, from the weakest to the strongest."""

    DEFAULT = "DEFAULT"
    USAGE_RESOURCE = "USAGE_RESOURCE"
    PRODUCT_USAGE_RESOURCE = "PRODUCT_USAGE_RESOURCE"
    LINE = "LINE"
    TARGET = "TARGET"


class LatePolicy(StrEnum):
    """What happens to usage that arrives after its rating period was frozen."""

    NEXT_PERIOD = "NEXT_PERIOD"
    REOPEN = "REOPEN"
    REJECT = "REJECT"


_GROWING = frozenset(
    {
        AggregationMethod.SUM,
        AggregationMethod.PEAK,
        AggregationMethod.COUNT,
        AggregationMethod.UNIQUE_COUNT,
    }
)


def usual_combination(method: AggregationMethod) -> Combination:
    """Peaks keep the highest, everything else is added up."""
    return Combination.HIGHEST if method is AggregationMethod.PEAK else Combination.TOTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """Which policy, in which version, holds, and who says so; none is the service's own."""

    level: PolicyLevel = PolicyLevel.DEFAULT
    id: PolicyId | None = None
    version: int = 0


NO_SOURCE = PolicySource()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySources:
    """Where the policies of a sale come from."""

    aggregation: PolicySource = NO_SOURCE
    rating_frequency: PolicySource = NO_SOURCE
    overage: PolicySource = NO_SOURCE
    commitment: PolicySource = NO_SOURCE
    order: PolicyLevel = PolicyLevel.DEFAULT


NO_SOURCES = PolicySources()


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregationPolicy:
    """Windows of one `period`, each made one figure by `method`, together by `combine`.

    UNIQUE_COUNT counts the different values that records have under the `label`.
    """

    method: AggregationMethod
    period: PolicyPeriod
    combine: Combination
    label: str | None = None

    @classmethod
    def usual(
        cls, method: AggregationMethod, period: PolicyPeriod = PolicyPeriod.DAY
    ) -> "AggregationPolicy":
        """The policy that combines as its method usually does."""
        return cls(method=method, period=period, combine=usual_combination(method))


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFrequency:
    """How long a rating period is, and how long it waits before it is frozen."""

    period: PolicyPeriod = PolicyPeriod.MONTH
    delay: Delay = DEFAULT_DELAY


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPolicy:
    """A grant is issued anew at this cadence."""

    cadence: Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloverPolicy:
    """A remainder rolls over `max_count` times; `None` is without limit.

    At most `max_quantity`, and at most `max_percent` of what one issue holds, roll into the same
    window, all remainders together.
    """

    max_count: int | None
    max_quantity: Decimal | None = None
    max_percent: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """How long one issue lives; `None` is as long as the asset."""

    cadence: Cadence | None


def assumed_billing(rating: PolicyPeriod) -> Cadence:
    """How whoever buys is billed, as long as nobody does: by the month, or longer if need be."""
    is_longer = rating.length > PolicyPeriod.MONTH.length
    return LONGEST_BILLING if is_longer else USUAL_BILLING


def check_period_order(
    *, billing: Cadence, rating: PolicyPeriod, accumulation: PolicyPeriod
) -> None:
    """Raise `PERIOD_ORDER` unless billing ≥ rating ≥ accumulation, and not all three are the same.

    A billing cadence of days or weeks holds no whole month, so it allows rating by days or weeks.
    """
    months = rating.cadence.months
    if months > billing.months:
        length = f"{billing.count} {billing.unit}"
        fault = f"a billing period of {length} cannot hold a {rating.adverb} rating period".lower()
    elif accumulation.length > rating.length:
        fault = f"a {rating.adverb} rating period cannot hold a {accumulation.adverb} accumulation"
        fault += " period"
    elif accumulation is rating and months and months == billing.months:
        fault = f"billing, rating and accumulation cannot all be {rating.adverb}; accumulate daily"
    else:
        return
    facts = {
        "billing": f"{billing.count} {billing.unit}",
        "rating": rating,
        "accumulation": accumulation,
    }
    raise FailedPrecondition("PERIOD_ORDER", fault, dict(facts))


def check_token(
    frequency: RatingFrequency,
    token: RatingFrequency,
    method: AggregationMethod,
    late: LatePolicy = LatePolicy.NEXT_PERIOD,
) -> None:
    """Raise `POLICY_CONFLICT` where tokens would have to be rated before what comes to them."""
    fault = None
    if method is not AggregationMethod.SUM:
        fault = f"tokens are added up; a token cannot be counted by {method}"
    elif frequency.period.length > token.period.length:
        fault = f"what is rated {frequency.period} cannot be rated in a token rated {token.period}"
    elif (frequency.delay.unit, frequency.delay.count) != (token.delay.unit, token.delay.count):
        fault = "a token waits for usage as long as what is rated in it; give both the same policy"
    elif late is LatePolicy.REOPEN:
        fault = "what is rated in a token cannot reopen its periods: the tokens are drawn already"
    if fault is not None:
        raise FailedPrecondition("POLICY_CONFLICT", fault)


def check_late(method: AggregationMethod, late: LatePolicy) -> None:
    """Raise `POLICY_CONFLICT` where late usage could take back what was drawn already."""
    if method.only_grows or late is LatePolicy.REJECT:
        return
    fault = (
        f"late usage could make a figure of the method {method} smaller after it was drawn;"
        " use a rating frequency policy whose late policy is REJECT"
    )
    raise FailedPrecondition("POLICY_CONFLICT", fault, {"method": method, "late_policy": late})
