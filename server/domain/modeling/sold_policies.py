"""The policies that a sale freezes for a resource of a product."""

from dataclasses import dataclass, fields

from server.domain.errors import FailedPrecondition
from server.domain.ids import UnitId
from server.domain.modeling.policies import (
    NO_SOURCES,
    AggregationMethod,
    AggregationPolicy,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    PolicySources,
    RatingFrequency,
    check_method,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletPolicies:
    """The policies of a wallet, which all assets bound to it must share."""

    unit_id: UnitId
    aggregation: AggregationPolicy
    rating: RatingFrequency
    late: LatePolicy
    order: DrawdownOrder = DrawdownOrder.EXPIRING_FIRST
    dimensions: tuple[str, ...] = ()

    def differences(self, other: "WalletPolicies") -> tuple[str, ...]:
        """Return the names of the policies that differ."""
        names = (field.name for field in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldPolicies:
    """The policies under which a resource is sold, and their sources."""

    wallet: WalletPolicies
    overage: OveragePolicy
    sources: PolicySources = NO_SOURCES


def check_token(own: SoldPolicies, token: SoldPolicies) -> None:
    """Raise `POLICY_CONFLICT` for a resource that cannot be rated in a token.

    Tokens are rated after the usage that is rated in them, and cap it if they block.
    """
    method, rating, held = token.wallet.aggregation.method, own.wallet.rating, token.wallet.rating
    fault = None
    if method is not AggregationMethod.SUM:
        fault = f"tokens are summed; a token cannot be aggregated by {method}"
    elif rating.period.length > held.period.length:
        fault = f"a resource rated by {rating.period} needs a token rated by the same or longer"
        fault += f" period, not by {held.period}"
    elif (rating.delay.unit, rating.delay.count) != (held.delay.unit, held.delay.count):
        fault = "a token and the resources rated in it need one rating delay; use the same policy"
    if fault is not None:
        raise FailedPrecondition("POLICY_CONFLICT", fault)
    check_method(own.wallet.aggregation.method, token.overage)
