"""The validator: the rules that the setup of a product breaks, with the remedy for each.

A rule is a pure check of a `Setup`, which `within` has reduced to the records in force in a span of
days. `setups` defines a setup. `structure` has the rules of resources, units and policies, `grants`
those of grants, `pricing` those of dates and places of rates, `tiering` those of single rates and
tiers, `kinds` those of tokens, packs and commitments.

Days are civil days: a record that starts on the day on which the one before it ends leaves no gap,
and a gap is at least one whole day.

Of the checks of the checklist (V1-V8, A1-A7, S1-S15) some are refused when a record is written, so
no rule can find them: A5, A7, S2 to S6 and S14. V8 is the verdict: a product is valid when no rule
of severity ERROR is broken.
"""

from dataclasses import dataclass

from server.domain.ids import ProductId
from server.domain.validation.grants import GRANTS
from server.domain.validation.kinds import KINDS
from server.domain.validation.pricing import RATES
from server.domain.validation.rules import Finding, Rule, Severity
from server.domain.validation.setups import (
    EffectiveDays,
    Metered,
    Parent,
    Promise,
    Revision,
    Scope,
    Setup,
    within,
)
from server.domain.validation.structure import STRUCTURE
from server.domain.validation.tiering import TIERS

__all__ = [
    "RULES",
    "EffectiveDays",
    "Finding",
    "Metered",
    "Parent",
    "ProductVerdict",
    "Promise",
    "Revision",
    "Rule",
    "RuleResult",
    "Scope",
    "Setup",
    "Severity",
    "validate",
]

# A large product can break a rule thousands of times; the count stays exact.
MOST_FINDINGS = 100

# Errors first, then by id.
RULES: tuple[Rule, ...] = tuple(
    sorted(
        (*STRUCTURE, *GRANTS, *RATES, *TIERS, *KINDS),
        key=lambda rule: (rule.severity is Severity.WARNING, rule.id),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """A broken rule: the first hundred breaches, and their total number."""

    rule: Rule
    findings: tuple[Finding, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductVerdict:
    """The broken rules of one product, in the order of the rules."""

    product_id: ProductId
    results: tuple[RuleResult, ...]

    @property
    def is_valid(self) -> bool:
        """True if no rule of severity ERROR is broken."""
        return all(result.rule.severity is not Severity.ERROR for result in self.results)


def validate(setup: Setup) -> ProductVerdict:
    """Return the verdict of all rules on a product, within the scope of its setup."""
    cut = within(setup)
    found = ((rule, tuple(rule.check(cut))) for rule in RULES)
    return ProductVerdict(
        product_id=setup.product.content.id,
        results=tuple(
            RuleResult(rule=rule, findings=breaches[:MOST_FINDINGS], count=len(breaches))
            for rule, breaches in found
            if breaches
        ),
    )
