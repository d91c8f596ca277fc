"""A line on its way through a procedure: its current rate and the steps so far.

Units with different rates, as under graduated tiers, are separate parts. A procedure changes only
rates, never the quantity of a line or its terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from server.domain.exact import AMOUNT_PLACES, PLACES, ZERO, Rounding, divide, plain
from server.domain.modeling.policies import OveragePolicy
from server.domain.money import MOST_AMOUNT
from server.domain.rating.procedures.elements import NET_UNIT_RATE
from server.domain.rating.procedures.flat_amounts import FlatAmount, FlatTiers, charged
from server.domain.rating.procedures.packages import Packaged, Packages, counted
from server.domain.rating.procedures.waterfall import (
    Element,
    Outcome,
    Rated,
    RatingFailed,
    WaterfallStep,
)
from server.domain.rating.rates import AttributeRow, Rate, RateTerms, Tier

Value = Decimal | str

_GOES_ON = "units go on in a package that others before them began"
_CHARGED = "a flat amount was charged with other units of the rating period"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line to rate: `quantity` units under `terms`, and under those of a target, if any.

    `tier_quantity`, of which these units may be a part, picks VOLUME tiers. GRADUATED tiers price
    the units after the first `before`. All that is `used`, granted or not, picks the tiers of
    commitments. Lines that share `packages` continue those that the lines before them began, and
    lines that share `flat_tiers` charge the flat amount of a tier once; rating adds the packages
    that this line begins, and the tiers whose flat amounts it charges.
    """

    quantity: Decimal
    terms: RateTerms | None
    tier_quantity: Decimal
    before: Decimal = ZERO
    used: Decimal | None = None
    overage: OveragePolicy = OveragePolicy.CHARGE
    target: RateTerms | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    adjustments: tuple[AttributeRow, ...] = ()
    packages: Packages | None = None
    flat_tiers: FlatTiers | None = None

    @property
    def costs_nothing(self) -> bool:
        """True for usage that is not charged, whatever its rate.

        Usage that was accepted under a cap is never refused later. If it turns out to be overage,
        because earlier usage changed, it costs nothing unless the sale has a rate. Source: R26 i.
        """
        if self.overage is OveragePolicy.BLOCK:
            return self.terms is None or not (
                self.terms.effective_rate or self.terms.effective_tiers
            )
        return self.overage is OveragePolicy.FREE


class RatedPart(NamedTuple):
    """Some of the units, the rate that prices them, and the number of their tier, if any."""

    quantity: Decimal
    rate: Rate
    tier: int | None = None

    @property
    def amount(self) -> Decimal:
        """The cost of these units, divided last; for a package only their share of it."""
        rate = self.rate
        product = self.quantity * rate.value
        return divide(product, rate.per, places=AMOUNT_PLACES, mode=Rounding.HALF_EVEN)


@dataclass(slots=True)
class State:
    """A line in the middle of a procedure."""

    quantity: Decimal
    terms: RateTerms
    tier_quantity: Decimal
    before: Decimal = ZERO
    used: Decimal | None = None
    target: RateTerms | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    adjustments: tuple[AttributeRow, ...] = ()
    packages: Packages | None = None
    flat_tiers: FlatTiers | None = None
    flat_amounts: tuple[FlatAmount, ...] = ()
    parts: tuple[RatedPart, ...] = ()
    base: Rate | None = None
    are_tiers_negotiated: bool = False
    variables: dict[str, Value] | None = None
    steps: list[WaterfallStep] = field(default_factory=list)
    outcome: Outcome | None = None
    is_stopped: bool = False
    spent: int = 0

    @property
    def rate(self) -> Rate | None:
        """The current rate; None without a rate, or if units have several rates."""
        return self.parts[0].rate if len(self.parts) == 1 else None

    def set_rate(self, rate: Rate) -> None:
        """Price all units at `rate`."""
        self.parts = (RatedPart(self.quantity, rate),)

    def add(
        self, element: Element, inputs: dict[str, str], outputs: dict[str, str], note: str = ""
    ) -> None:
        """Add a step."""
        self.steps.append(
            WaterfallStep(
                sequence=len(self.steps) + 1,
                element=element,
                inputs=inputs,
                outputs=outputs,
                note=note,
            )
        )

    def fail(self, failure: RatingFailed) -> None:
        """End with a failure that has the steps so far."""
        failure.steps = tuple(self.steps)
        self.outcome = failure

    def finish(self) -> Rated:
        """Return the amount.

        Raises RATE_NOT_FOUND, AMOUNT_RANGE, or `Inexact` for too many digits.
        """
        parts = self.parts
        if not parts:
            raise no_rate(self.quantity)
        packaged = counted(parts, self.packages or {})
        # `packaged` has the parts by package in the order of `parts`.
        begun = iter(packaged)
        amounts = [next(begun).amount if part.rate.is_package else part.amount for part in parts]
        flat_before = frozenset(self.flat_tiers or ())
        flat = charged(self.flat_amounts, flat_before) if self.flat_amounts else ()
        amount = amounts[0] if len(amounts) == 1 else sum(amounts, ZERO)
        if flat:
            amount = sum((entered.amount for entered in flat), amount)
        # The amount has to fit into the money type of the API.
        if abs(amount) >= MOST_AMOUNT:
            failure = beyond_money(amount)
            failure.steps = tuple(self.steps)
            raise failure
        net = _net_unit_rate(parts, amount, self.quantity, is_flat=bool(flat))
        notes = [_GOES_ON] if any(package.started == 0 for package in packaged) else []
        notes += [_CHARGED] if len(flat) < len(self.flat_amounts) else []
        self.add(
            Element.AMOUNT,
            {
                "quantity": plain(self.quantity),
                "parts": " + ".join(plain(part) for part in amounts),
                **_tiers_text(parts),
                **_packages_text(packaged),
                **_flat_text(flat),
            },
            {"amount": plain(amount), "net_unit_rate": plain(net), "unit": self.terms.unit},
            "; ".join(notes),
        )
        self._share(packaged, flat)
        return Rated(
            amount=amount,
            net_unit_rate=net,
            steps=tuple(self.steps),
            packaged=packaged,
            flat_tiers=tuple(entered.lower for entered in flat),
            flat_before=flat_before,
        )

    def _share(self, packaged: tuple[Packaged, ...], flat: tuple[FlatAmount, ...]) -> None:
        """Tell the lines that follow of the packages begun and the flat amounts charged."""
        # Only after the line is priced: a line that fails begins no package for others, and leaves
        # the flat amount to them.
        if self.packages is not None:
            self.packages.update(
                (package.rate, package.before + package.quantity) for package in packaged
            )
        if self.flat_tiers is not None:
            self.flat_tiers.update(entered.lower for entered in flat)

    def value(self, name: str) -> Value:
        """Return a variable. Raises RATE_NOT_FOUND if it is a rate and there is none yet."""
        match name:
            case "overage_quantity":
                return self.quantity
            case "tier_quantity":
                return self.tier_quantity
            case "quantity_before":
                return self.before
            case "used_quantity":
                return self.tier_quantity if self.used is None else self.used
            case "net_unit_rate" | "rate_per":
                rate = self._average()
                return rate.value if name == NET_UNIT_RATE else rate.per
            case "base_rate":
                return self._known(self.base).value
        assert self.variables is not None, name
        return self.variables[name]

    def keep(self, name: str, value: Value) -> None:
        """Set a variable of the procedure's own."""
        if self.variables is None:
            self.variables = {}
        self.variables[name] = value

    def _average(self) -> Rate:
        """Return the current rate; for several rates, the average over all units."""
        if len(self.parts) < 2:
            return self._known(self.rate)
        first = self.parts[0].rate
        whole = sum((part.amount for part in self.parts), ZERO) * first.per
        value = divide(whole, self.quantity, places=PLACES, mode=Rounding.HALF_EVEN)
        return Rate(value=value, per=first.per, unit=first.unit)

    def _known(self, rate: Rate | None) -> Rate:
        if rate is None:
            raise no_rate(self.quantity)
        return rate


def unpriced(line: Line) -> Rated:
    """Return the outcome of a line without units to charge, with the reason.

    It costs nothing, or the flat amount that is due without usage.
    """
    quantity, overage = line.quantity, line.overage
    due = line.terms.due if line.terms is not None else None
    if due is not None and overage is not OveragePolicy.FREE and not line.tier_quantity:
        return _due_without_usage(due, line.flat_tiers)
    steps: list[WaterfallStep] = []
    note = "nothing to charge" if quantity == 0 else ""
    if line.costs_nothing:
        is_free = overage is OveragePolicy.FREE
        words = "counted and not charged" if is_free else "not sold, and was accepted before"
        words = f"usage beyond the grants is {words}"
        free = Element.OVERAGE_POLICY
        inputs, outputs = {"policy": str(overage)}, {"chargeable": "0"}
        steps.append(
            WaterfallStep(sequence=1, element=free, inputs=inputs, outputs=outputs, note=words)
        )
    steps.append(
        WaterfallStep(
            sequence=len(steps) + 1,
            element=Element.AMOUNT,
            inputs={"quantity": plain(quantity)},
            outputs={"amount": "0"},
            note=note,
        )
    )
    return Rated(amount=ZERO, net_unit_rate=ZERO, steps=tuple(steps))


def _due_without_usage(tier: Tier, flat_tiers: FlatTiers | None) -> Rated:
    before = frozenset(flat_tiers or ())
    flat = charged((FlatAmount(tier.lower, tier.flat or ZERO, True),), before)
    amount = sum((entered.amount for entered in flat), ZERO)
    if amount >= MOST_AMOUNT:
        raise beyond_money(amount)
    step = WaterfallStep(
        sequence=1,
        element=Element.AMOUNT,
        inputs={"quantity": "0", **_flat_text(flat)},
        outputs={"amount": plain(amount)},
        note="the flat amount of the first tier is due without usage" if flat else _CHARGED,
    )
    if flat_tiers is not None:
        flat_tiers.update(entered.lower for entered in flat)
    return Rated(
        amount=amount,
        net_unit_rate=ZERO,
        steps=(step,),
        flat_tiers=tuple(entered.lower for entered in flat),
        flat_before=before,
    )


def beyond_money(amount: Decimal) -> RatingFailed:
    """Return the failure for an amount that does not fit into the money type of the API."""
    text = f"the amount would be {plain(amount)}; it must be below {MOST_AMOUNT}"
    return RatingFailed("AMOUNT_RANGE", text)


def no_rate(quantity: Decimal) -> RatingFailed:
    """Return the failure for units without a rate."""
    return RatingFailed("RATE_NOT_FOUND", f"no rate for {plain(quantity)} units")


def too_many_digits() -> RatingFailed:
    """Return the failure for a value with more digits than can be stored."""
    return RatingFailed("AMOUNT_RANGE", "the amount has more digits than can be stored")


def rate_text(rate: Rate) -> dict[str, str]:
    """Return a rate as steps show it."""
    text = {"rate": plain(rate.value), "per": plain(rate.per), "unit": rate.unit}
    return text | {"package": "1"} if rate.is_package else text


def _packages_text(packaged: tuple[Packaged, ...]) -> dict[str, str]:
    """Return the number of packages that the units begin, and of the units before them."""
    if not packaged:
        return {}
    return {
        "packages": " + ".join(plain(package.started) for package in packaged),
        "units_before": " + ".join(plain(package.before) for package in packaged),
    }


def _tiers_text(parts: tuple[RatedPart, ...]) -> dict[str, str]:
    """Return the numbers of the tiers of the parts, and the units in each of several parts."""
    if len(parts) == 1 and parts[0].tier is None:
        return {}
    tiers = " + ".join("-" if part.tier is None else str(part.tier) for part in parts)
    if len(parts) == 1:
        return {"tiers": tiers}
    return {"tiers": tiers, "quantities": " + ".join(plain(part.quantity) for part in parts)}


def _flat_text(flat: tuple[FlatAmount, ...]) -> dict[str, str]:
    """Return the flat amounts that are charged with these units."""
    if not flat:
        return {}
    return {"flat_amounts": " + ".join(plain(entered.amount) for entered in flat)}


def _net_unit_rate(
    parts: tuple[RatedPart, ...], amount: Decimal, quantity: Decimal, *, is_flat: bool
) -> Decimal:
    # From the rate itself: going through the rounded amount could change its last digits.
    if len(parts) == 1 and not parts[0].rate.is_package and not is_flat:
        only = parts[0].rate
        return divide(only.value, only.per, places=PLACES, mode=Rounding.HALF_EVEN)
    return divide(amount, quantity, places=PLACES, mode=Rounding.HALF_EVEN)
