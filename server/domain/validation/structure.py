"""The rules of a product's resources, units and policies."""

from collections.abc import Iterator
from itertools import combinations, groupby, pairwise

from server.domain.errors import UsageError, Violation
from server.domain.modeling.catalog import CatalogState
from server.domain.modeling.policies import assumed_billing, check_method, check_period_order
from server.domain.modeling.units import UnitClassKind
from server.domain.validation.rules import Finding, Rule, Severity, by_version
from server.domain.validation.setups import EffectiveDays, Metered, Setup, entry_name


def _product_not_active(setup: Setup) -> Iterator[Finding]:
    if not setup.is_in_force:
        text = f"the product is {setup.product.state}, so its records were not checked"
        is_withdrawn = setup.product.state is CatalogState.INACTIVE
        refused = Violation(
            setup.name, "RESOURCE_INACTIVE", "was withdrawn; ChangeStates activates it again"
        )
        yield Finding(text, (setup.name,), refused if is_withdrawn else None)


def _product_empty(setup: Setup) -> Iterator[Finding]:
    if setup.is_in_force and not setup.resources:
        text = f"no usage resource of the product is in force {setup.scope.days}"
        remedy = "has no usage resource; add one by CreateProductUsageResource"
        refused = Violation(setup.name, "PRODUCT_EMPTY", remedy)
        # An active product may be without resources: all of them may have been withdrawn since.
        is_draft = setup.product.state is CatalogState.DRAFT
        yield Finding(text, (setup.name,), refused if is_draft else None)


def _resource_not_active(setup: Setup) -> Iterator[Finding]:
    known = {metered.id for metered in setup.resources}
    held = {metered.held.content.id for metered in setup.resources}
    promised = [(grant.grant.content.held_id, grant.name) for grant in setup.grants]
    uses = [(str(id_), name, "promised") for id_, name in promised if id_ not in held]
    uses += [
        (str(entry.resource_id), entry_name(entry), "priced")
        for entry in setup.entries
        if not entry.is_blanket and entry.resource_id not in known
    ]
    for id_, name, what in uses:
        own = f"{setup.name}/usageResources/{id_}"
        yield Finding(f"{id_} is {what} and not in force", (own, name))


def _stretches(setup: Setup) -> Iterator[list[Metered]]:
    """Return the records of each resource, in the order of their days."""
    ordered = sorted(
        setup.resources, key=lambda resource: (resource.id, resource.days, resource.name)
    )
    return (list(same) for _, same in groupby(ordered, key=lambda one: one.id))


def _resource_overlap(setup: Setup) -> Iterator[Finding]:
    for same in _stretches(setup):
        for earlier, later in combinations(same, 2):
            if earlier.days.meets(later.days):
                text = f"{earlier.id} is sold by two records of the product on the same days"
                first, second = sorted((earlier, later), key=lambda one: one.name)
                other = f"overlaps {second.held.content.id}"
                refused = Violation(first.name, "EFFECTIVITY_OVERLAP", other)
                yield Finding(text, (later.name, earlier.name), refused)


def _resource_gap(setup: Setup) -> Iterator[Finding]:
    for same in _stretches(setup):
        for earlier, later in pairwise(same):
            gap = EffectiveDays(earlier.days.end, later.days.start).meeting(setup.scope.days)
            if not gap.is_empty:
                yield Finding(f"{earlier.id} is not sold {gap}", (later.name, earlier.name))


def _parent_not_active(setup: Setup) -> Iterator[Finding]:
    children = [(metered.name, metered.parents) for metered in setup.resources]
    children += [(promise.name, promise.parents) for promise in setup.grants]
    for name, parents in children:
        for parent in parents:
            if not setup.scope.has(parent.state):
                yield Finding(f"needs {parent.name}, which is {parent.state}", (parent.name, name))


def _unit_missing(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        if metered.unit is None:
            class_name = f"unitClasses/{metered.unit_class.id}"
            missing = f"names no unit of measure, and {class_name} has no default unit"
            text = f"{metered.id} has no unit to count in: it {missing}"
            resource_name = f"usageResources/{metered.id}"
            refused = Violation(resource_name, "UNIT_OF_MEASURE_NOT_FOUND", missing)
            yield Finding(text, (class_name, metered.name), refused)


def _currency_unit(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        unit, kind = metered.unit, metered.unit_class.kind
        if unit and kind is UnitClassKind.CURRENCY and unit.id not in setup.currencies:
            text = f"{unit.id} is a unit of money and not an ISO 4217 code"
            yield Finding(text, (f"unitsOfMeasure/{unit.id}", metered.name))


def _period_order(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        if metered.sold is None:
            continue
        wallet = metered.sold.wallet
        try:
            check_period_order(
                # The buyer is not known yet, so the usual billing cadence is assumed.
                billing=assumed_billing(wallet.rating.period),
                rating=wallet.rating.period,
                accumulation=wallet.aggregation.period,
            )
        except UsageError as error:
            yield _refused(metered, error)


def _time_weighted_block(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        if metered.sold is None:
            continue
        wallet = metered.sold.wallet
        try:
            check_method(wallet.aggregation.method, metered.sold.overage)
        except UsageError as error:
            yield _refused(metered, error)


def _refused(metered: Metered, error: UsageError) -> Finding:
    """Return the finding of policies that conflict, with the message of the error."""
    refused = Violation(metered.name, error.reason, error.message)
    return Finding(error.message, (metered.name, *_policies(metered)), refused)


def _policies(metered: Metered) -> Iterator[str]:
    sold = metered.sold
    if sold and sold.sources.aggregation.id:
        yield f"aggregationPolicies/{sold.sources.aggregation.id}"
    if sold and sold.sources.rating_frequency.id:
        yield f"ratingFrequencyPolicies/{sold.sources.rating_frequency.id}"


def _rating_frequency_default(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        if metered.is_addition or metered.sold is None:
            continue
        if metered.sold.sources.rating_frequency.id is None:
            period = metered.sold.wallet.rating.period
            text = f"no policy sets when {metered.id} is rated, so the default applies: {period}"
            yield Finding(text, (metered.name, f"usageResources/{metered.id}"))


def _aggregation_disagrees(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        counted = {
            (policy.method, policy.period, policy.combine) for policy in metered.aggregations
        }
        if len(counted) > 1:
            ids = [policy.id for policy in metered.aggregations]
            text = f"{metered.id} adds up by {ids[0]} in this product and by {ids[-1]} otherwise"
            names = (f"aggregationPolicies/{id_}" for id_ in ids)
            yield Finding(text, (metered.name, f"usageResources/{metered.id}", *names))


STRUCTURE = (
    Rule(
        "PRODUCT_NOT_ACTIVE",
        Severity.WARNING,
        "A product is active before it is sold.",
        "Activate it: a draft by ActivateProduct, a withdrawn one by ChangeStates.",
        _product_not_active,
    ),
    Rule(
        "PRODUCT_EMPTY",
        Severity.ERROR,
        "A product meters at least one resource.",
        "Add a resource (CreateProductUsageResource) and activate the product.",
        _product_empty,
    ),
    Rule(
        "RESOURCE_NOT_ACTIVE",
        Severity.ERROR,
        "Every resource that is granted or priced is an active resource of the product.",
        "Activate it: a draft with its product, a withdrawn one by ChangeStates.",
        _resource_not_active,
    ),
    Rule(
        "RESOURCE_OVERLAP",
        Severity.ERROR,
        "The records of one resource of a product do not overlap.",
        "End the earlier one as the later one starts, by SupersedeProductUsageResource.",
        _resource_overlap,
    ),
    Rule(
        "RESOURCE_GAP",
        Severity.WARNING,
        "There is no day between two records of one resource of a product.",
        "Move the end of the earlier one to the day on which the later one starts.",
        _resource_gap,
    ),
    Rule(
        "PARENT_NOT_ACTIVE",
        Severity.ERROR,
        "Units, resources and policies are active before the records that need them.",
        "Activate it: a draft with the product, a withdrawn one by ChangeStates.",
        _parent_not_active,
    ),
    Rule(
        "UNIT_MISSING",
        Severity.ERROR,
        "Every resource has a unit to count in.",
        "Name a unit of measure on the resource, or a default unit on its class.",
        _unit_missing,
    ),
    Rule(
        "CURRENCY_UNIT",
        Severity.ERROR,
        "The id of a unit of money is its ISO 4217 code.",
        "Count in a unit whose id is the code, as in USD.",
        _currency_unit,
    ),
    Rule(
        "PERIOD_ORDER",
        Severity.ERROR,
        "Billing is at least as long as rating, and rating longer than accumulation.",
        "Choose an aggregation policy or a rating frequency with another period.",
        by_version(_period_order),
    ),
    Rule(
        "TIME_WEIGHTED_BLOCK",
        Severity.ERROR,
        "Usage is not blocked if it is counted as an average over time (TIME_WEIGHTED).",
        "Choose an overage policy that charges, or another aggregation policy.",
        by_version(_time_weighted_block),
    ),
    Rule(
        "RATING_FREQUENCY_UNSAID",
        Severity.WARNING,
        "A policy sets when a resource is rated.",
        "Name a rating frequency policy on the product's resource or on the resource.",
        _rating_frequency_default,
    ),
    Rule(
        "AGGREGATION_DISAGREES",
        Severity.WARNING,
        "A resource is aggregated in the same way in every product.",
        "Name the same aggregation policy on both, or only one.",
        by_version(_aggregation_disagrees),
    ),
)
