"""The validator: which rules the setup of a product breaks, and what to do about each.

A rule is a pure check of a `Setup`, which `within` has cut to what is in force in a span of days.
`setups` says what a setup is, `structure` holds the rules of resources, units, policies and grants,
`pricing` those of when and where there is a rate, `tiering` those of single rates and tiers.

Days are civil days: whatever starts on the day on which the one before it ends leaves no gap, and a
gap is at least a whole day, 24 hours.

Of the checks of the checklist (V1-V8, A1-A7, S1-S15) these wait for what does not exist yet:

- tokens: A6, A7, S7, S8; packs and commitments: S2, S3, S12; bindings of grants: S4, S5, S6;
- a resource that a product has twice, one after the other: V3, and A1 but for rates, whose overlaps
  are told; dates of grants: the rest of A1;
- selling models, in A2; usage definition products, in S15, which is about rates of zero here;
- a unit for each currency sold, in S11: rates name their currency, and need no unit for it;
- A5: an activation takes a whole product, however many records that are.

V8 is the verdict: a product is valid when no rule of severity ERROR is broken.
"""

from dataclasses import dataclass

from server.domain.ids import ProductId
from server.domain.validator.pricing import RATES
from server.domain.validator.rules import Finding, Rule, Severity
from server.domain.validator.setups import (
    Days,
    Metered,
    Parent,
    Promise,
    Scope,
    Setup,
    within,
)
from server.domain.validator.structure import STRUCTURE
from server.domain.validator.tiering import TIERS

__all__ = [
    "RULES",
    "Days",
    "Finding",
    "Metered",
    "Parent",
    "Promise",
    "Result",
    "Rule",
    "Scope",
    "Setup",
    "Severity",
    "Verdict",
    "validate",
]

MOST_FINDINGS = 100

# Errors first, then by id.
RULES: tuple[Rule, ...] = tuple(
    sorted(
        (*STRUCTURE, *RATES, *TIERS), key=lambda rule: (rule.severity is Severity.WARNING, rule.id)
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A rule that is broken: the first hundred breaches, and how many there are."""

    rule: Rule
    findings: tuple[Finding, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one product, in the order of the rules."""

    product_id: ProductId
    results: tuple[Result, ...]

    @property
    def is_valid(self) -> bool:
        """Whether no rule of severity ERROR is broken."""
        return all(result.rule.severity is not Severity.ERROR for result in self.results)


def validate(setup: Setup) -> Verdict:
    """Hold a product to every rule, as far as its setup is within the scope."""
    cut = within(setup)
    found = ((rule, tuple(rule.check(cut))) for rule in RULES)
    return Verdict(
        product_id=setup.product.content.id,
        results=tuple(
            Result(rule=rule, findings=breaches[:MOST_FINDINGS], count=len(breaches))
            for rule, breaches in found
            if breaches
        ),
    )
