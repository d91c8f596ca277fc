"""Policies as frozen values, and the rules between them: periods, tokens and late usage.

The module that applies a policy documents its effect.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from server.domain.calendar import Cadence, CadenceUnit, Delay, PolicyPeriod
from server.domain.errors import FailedPrecondition
from server.domain.ids import PolicyId

DEFAULT_DELAY = Delay(3)
USUAL_BILLING = Cadence(CadenceUnit.MONTH)
LONGEST_BILLING = Cadence(CadenceUnit.MONTH, 60)
# Issues of these four years are checked, which include every length of month and year.
ISSUES_FROM = date(2024, 1, 1)
ISSUES_UNTIL = date(2028, 1, 1)


class AggregationMethod(StrEnum):
    """The way in which the records of one window become one figure."""

    SUM = "SUM"
    PEAK = "PEAK"
    COUNT = "COUNT"
    AVERAGE = "AVERAGE"
    MINIMUM = "MINIMUM"
    LATEST = "LATEST"
    UNIQUE_COUNT = "UNIQUE_COUNT"
    TIME_WEIGHTED = "TIME_WEIGHTED"

    @property
    def adds_up(self) -> bool:
        """True if windows of any length add up to the same figure."""
        return self in (AggregationMethod.SUM, AggregationMethod.COUNT)

    @property
    def only_grows(self) -> bool:
        """True if more records can never make the figure smaller."""
        return self in _GROWING


class Combination(StrEnum):
    """The way in which the windows of one rating period become one figure."""

    TOTAL = "TOTAL"
    HIGHEST = "HIGHEST"


class OveragePolicy(StrEnum):
    """The handling of usage that no grant covers."""

    CHARGE = "CHARGE"
    FREE = "FREE"
    BLOCK = "BLOCK"


class DrawdownOrder(StrEnum):
    """The order in which open grants pay."""

    EXPIRING_FIRST = "EXPIRING_FIRST"
    GRANTED_FIRST = "GRANTED_FIRST"
    GRANTED_LAST = "GRANTED_LAST"


class CommitmentRate(StrEnum):
    """The rate of usage beyond a commitment."""

    LOWEST = "LOWEST"
    BOUNDED = "BOUNDED"


class PolicyLevel(StrEnum):
    """The level that supplied a policy, from the weakest to the strongest."""

    DEFAULT = "DEFAULT"
    USAGE_RESOURCE = "USAGE_RESOURCE"
    PRODUCT_USAGE_RESOURCE = "PRODUCT_USAGE_RESOURCE"
    LINE = "LINE"
    TARGET = "TARGET"


class LatePolicy(StrEnum):
    """The handling of usage that arrives after its rating period was frozen."""

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
    """Return HIGHEST for peaks and TOTAL for every other method."""
    return Combination.HIGHEST if method is AggregationMethod.PEAK else Combination.TOTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """The policy in force with its version and level; no id means the service's default."""

    level: PolicyLevel = PolicyLevel.DEFAULT
    id: PolicyId | None = None
    version: int = 0


NO_SOURCE = PolicySource()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySources:
    """The sources of a sale's policies."""

    aggregation: PolicySource = NO_SOURCE
    rating_frequency: PolicySource = NO_SOURCE
    overage: PolicySource = NO_SOURCE
    commitment: PolicySource = NO_SOURCE
    order: PolicyLevel = PolicyLevel.DEFAULT


NO_SOURCES = PolicySources()


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregationPolicy:
    """Windows of one `period`: `method` makes one figure of each, `combine` one of all.

    UNIQUE_COUNT counts the distinct values of the label `label`.
    """

    method: AggregationMethod
    period: PolicyPeriod
    combine: Combination
    label: str | None = None

    @classmethod
    def usual(
        cls, method: AggregationMethod, period: PolicyPeriod = PolicyPeriod.DAY
    ) -> "AggregationPolicy":
        """Return the policy with the usual combination of its method."""
        return cls(method=method, period=period, combine=usual_combination(method))


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingFrequency:
    """The length of a rating period, and the delay before it freezes."""

    period: PolicyPeriod = PolicyPeriod.MONTH
    delay: Delay = DEFAULT_DELAY


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPolicy:
    """The cadence at which a grant is issued again."""

    cadence: Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloverPolicy:
    """A remainder rolls over at most `max_count` times; None means no limit.

    All remainders together, at most `max_quantity` and at most `max_percent` of one issue's
    quantity roll into one window. Of each remainder at most `remainder_percent` rolls over.
    """

    max_count: int | None
    max_quantity: Decimal | None = None
    max_percent: Decimal | None = None
    remainder_percent: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """The lifetime of one issue; None means that of the asset."""

    cadence: Cadence | None


def assumed_billing(rating: PolicyPeriod) -> Cadence:
    """Return the billing cadence to check against before there is a buyer: monthly, or longer."""
    is_longer = rating.length > PolicyPeriod.MONTH.length
    return LONGEST_BILLING if is_longer else USUAL_BILLING


def check_period_order(
    *, billing: Cadence, rating: PolicyPeriod, accumulation: PolicyPeriod
) -> None:
    """Raise `PERIOD_ORDER` unless billing ≥ rating ≥ accumulation, and the three are not all equal.

    A billing cadence of weeks contains no whole month, so it allows rating by days or weeks.
    """
    # Days and weeks have 0 months, so they fit into every billing period.
    months, days = rating.cadence.months, rating.cadence.days
    if months > billing.months:
        length = f"{billing.count} {billing.unit}"
        fault = f"a billing period of {length} cannot hold a {rating.adverb} rating period".lower()
    elif accumulation is PolicyPeriod.RATING_PERIOD:
        return
    elif accumulation.length > rating.length:
        fault = f"a {rating.adverb} rating period cannot hold a {accumulation.adverb} accumulation"
        fault += " period"
    elif accumulation is rating and (months, days) == (billing.months, billing.days):
        fault = f"billing, rating and accumulation cannot all be {rating.adverb}; accumulate daily,"
        fault += " or by RATING_PERIOD what is neither a sum nor a count"
    else:
        return
    facts = {
        "billing": f"{billing.count} {billing.unit}",
        "rating": rating,
        "accumulation": accumulation,
    }
    raise FailedPrecondition("PERIOD_ORDER", fault, dict(facts))


def longest_gap(validity: Cadence, refresh: Cadence) -> int:
    """Return the most days between the end of an issue of a grant and the next issue."""
    days = 0
    for k in range(refresh.index(ISSUES_FROM, ISSUES_UNTIL) + 1):
        start, following = refresh.nth(ISSUES_FROM, k), refresh.nth(ISSUES_FROM, k + 1)
        days = max(days, (following - validity.nth(start, 1)).days)
    return days


def check_rollover(validity: Cadence | None, refresh: Cadence | None) -> None:
    """Raise `POLICY_CONFLICT` for a grant of which no remainder can ever roll over."""
    if refresh is None:
        fault = (
            "it is issued once, so nothing can roll over into a next issue;"
            " give it a refresh policy, or no rollover policy"
        )
    elif validity is not None and longest_gap(validity, refresh) > 0:
        fault = (
            f"an issue is valid for {validity.count} {validity.unit} and issued every"
            f" {refresh.count} {refresh.unit}, so it expires before the next one and cannot roll"
            " over; let the validity be as long as the refresh interval, or leave it out"
        )
    else:
        return
    raise FailedPrecondition("POLICY_CONFLICT", fault)


def window_fault(method: AggregationMethod, period: PolicyPeriod) -> str | None:
    """Return the fault of a window that makes no difference to what adds up."""
    if method.adds_up and period is PolicyPeriod.RATING_PERIOD:
        return f"must not be RATING_PERIOD with the method {method}, which adds up; use DAY"
    return None


def check_method(method: AggregationMethod, overage: OveragePolicy) -> None:
    """Raise `POLICY_CONFLICT` for a method whose usage cannot be refused at a cap.

    A record does not say how long its reading will be held.
    """
    if method is AggregationMethod.TIME_WEIGHTED and overage is OveragePolicy.BLOCK:
        fault = (
            f"a figure of the method {method} is known only at the end of its window, so no record"
            " can be refused for it; use an overage policy that charges, or is free"
        )
        raise FailedPrecondition("POLICY_CONFLICT", fault, {"method": method, "overage": overage})
