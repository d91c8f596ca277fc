"""Activation and revision: the validator's rules that prevent them, and the refusals.

A finding with a `refusal` always prevents the activation; other errors prevent it unless the caller
allows an invalid product. A revision of a policy is prevented by every error that it causes.
"""

from collections.abc import Mapping, Sequence

from server.domain.errors import FailedPrecondition, Violation
from server.domain.validation import ProductVerdict
from server.domain.validation.grants import GRANTS
from server.domain.validation.kinds import KINDS
from server.domain.validation.pricing import RATES
from server.domain.validation.rules import Finding, Severity
from server.domain.validation.setups import Setup, within
from server.domain.validation.structure import STRUCTURE
from server.domain.validation.tiering import TIERS

# A policy may be used by thousands of products; the message counts all faults.
MOST_VIOLATIONS = 100
# Faults of the product come before those of its rates, because they are to be corrected first.
IN_TURN = (*STRUCTURE, *GRANTS, *KINDS, *RATES, *TIERS)


def check_activation(setup: Setup) -> None:
    """Raise EFFECTIVITY_OVERLAP, or VALIDATION_FAILED with a violation for each finding.

    The scope of the setup includes the drafts to activate, and all days.
    """
    cut = within(setup)
    found = [finding for rule in IN_TURN for finding in rule.check(cut)]
    refused = [(finding, finding.refusal) for finding in found if finding.refusal is not None]
    overlaps = [pair for pair in refused if pair[1].reason == "EFFECTIVITY_OVERLAP"]
    if overlaps:
        raise _overlap(overlaps)
    if refused:
        raise _refusal(setup, [violation for _, violation in refused])


def check_valid(setup: Setup, verdict: ProductVerdict) -> None:
    """Raise VALIDATION_FAILED with a violation for each finding of severity ERROR."""
    errors = [
        Violation(finding.records[0], result.rule.id, finding.message)
        for result in verdict.results
        if result.rule.severity is Severity.ERROR
        for finding in result.findings
    ]
    if errors:
        raise _refusal(setup, errors)


def faults(setup: Setup) -> list[Violation]:
    """Return a violation for each finding that prevents a revision, within the setup's scope."""
    cut = within(setup)
    return [
        finding.refusal or Violation(finding.records[0], rule.id, finding.message)
        for rule in IN_TURN
        for finding in rule.check(cut)
        if finding.refusal is not None or rule.severity is Severity.ERROR
    ]


def check_revision(
    name: str, before: Mapping[str, Sequence[Violation]], after: Mapping[str, Sequence[Violation]]
) -> None:
    """Raise VALIDATION_FAILED for faults that the new version of a policy would cause.

    `before` and `after` are the faults by the name of the product. A fault that exists without the
    revision does not prevent it, so that faulty products can be corrected one policy at a time.
    """
    caused = [
        (product, fault)
        for product, own in after.items()
        for fault in own
        if fault not in before.get(product, ())
    ]
    if not caused:
        return
    product, first = caused[0]
    more = f" (and {len(caused) - 1} more)" if len(caused) > 1 else ""
    message = (
        f"{name} cannot be revised like this, because {product} uses it: {first.field}"
        f" {first.description}{more}"
    )
    facts = {"name": name, "product": product, "first": first.reason}
    violations = tuple(fault for _, fault in caused[:MOST_VIOLATIONS])
    raise FailedPrecondition("VALIDATION_FAILED", message, facts, violations)


def _overlap(found: Sequence[tuple[Finding, Violation]]) -> FailedPrecondition:
    """Return the refusal of records of one resource that share days."""
    in_turn = sorted(found, key=lambda pair: sorted(pair[0].records))
    name, other_name = sorted(in_turn[0][0].records)
    other = other_name.rpartition("/")[2]
    text = f"{name} applies on days on which {other} does; {in_turn[0][0].message}"
    violations = tuple(violation for _, violation in in_turn)
    return FailedPrecondition(
        "EFFECTIVITY_OVERLAP", text, {"name": name, "other": other}, violations
    )


def _refusal(setup: Setup, faults: Sequence[Violation]) -> FailedPrecondition:
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = f"{setup.name} cannot be activated: {first.field} {first.description}{more}"
    facts = {"product": setup.name, "first": first.reason}
    return FailedPrecondition("VALIDATION_FAILED", message, facts, tuple(faults))
