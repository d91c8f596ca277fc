"""The rules of a product's grants."""

from collections.abc import Iterator
from itertools import combinations, groupby

from server.domain.calendar import DAY
from server.domain.errors import UsageError, Violation
from server.domain.exact import plain
from server.domain.modeling.catalog import as_unit
from server.domain.modeling.policies import ISSUES_FROM, check_rollover, longest_gap
from server.domain.modeling.units import UnitClassKind, check_scale, convert
from server.domain.validation.rules import Finding, Rule, Severity, by_version
from server.domain.validation.setups import Metered, Promise, Setup

MOST_OPEN_ISSUES = 100


def _promises(setup: Setup) -> Iterator[tuple[Metered, Promise]]:
    for metered in setup.resources:
        for promise in setup.grants_of(metered):
            yield metered, promise


def _grant_unit_class(setup: Setup) -> Iterator[Finding]:
    for metered, promise in _promises(setup):
        named = promise.grant.content.unit_id
        if named is None or _is_convertible(metered, promise):
            continue
        text = f"{named} is not a unit of {metered.unit_class.id}, in which {metered.id} counts"
        if promise.unit is not None:
            text = f"{named} is not converted to another currency, in which {metered.id} counts"
        refused = Violation(promise.name, "UNIT_CLASS_MISMATCH", text)
        yield Finding(text, (promise.name, f"unitsOfMeasure/{named}", metered.name), refused)


def _is_convertible(metered: Metered, promise: Promise) -> bool:
    """Return whether a grant's unit is of the class of its resource; money is not converted."""
    if promise.unit is None:
        return promise.grant.content.unit_id is None
    own = metered.unit
    is_money = metered.unit_class.kind is UnitClassKind.CURRENCY
    return not (is_money and own is not None and own.id != promise.unit.id)


def _grant_scale(setup: Setup) -> Iterator[Finding]:
    for metered, promise in _promises(setup):
        grant = promise.grant.content
        if metered.unit is None or not _is_convertible(metered, promise):
            continue
        own = as_unit(metered.unit)
        try:
            quantity = grant.quantity
            if promise.unit is not None:
                quantity = convert(quantity, as_unit(promise.unit), own)
            check_scale(quantity, own)
        except UsageError as error:
            text = f"{plain(grant.quantity)} cannot be counted in {own.id}: {error.message}"
            refused = Violation(promise.name, error.reason, error.message)
            yield Finding(text, (promise.name, f"unitsOfMeasure/{own.id}"), refused)


def _grant_gaps(setup: Setup) -> Iterator[Finding]:
    for _, promise in _promises(setup):
        validity, refresh = promise.grant.content.validity, promise.refresh
        longest = longest_gap(validity, refresh) if validity and refresh else 0
        if longest:
            name, text = (
                promise.name,
                f"there are up to {longest} days without a grant before each issue",
            )
            yield Finding(text, (name, *_refresh_policy(promise)))


def _refresh_policy(promise: Promise) -> Iterator[str]:
    if promise.grant.content.refresh_id is not None:
        yield f"refreshPolicies/{promise.grant.content.refresh_id}"


def _rollover_unreachable(setup: Setup) -> Iterator[Finding]:
    for _, promise in _promises(setup):
        grant = promise.grant.content
        if grant.rollover_id is None:
            continue
        try:
            check_rollover(grant.validity, promise.refresh)
        except UsageError as error:
            refused = Violation(promise.name, error.reason, error.message)
            records = (promise.name, f"rolloverPolicies/{grant.rollover_id}")
            yield Finding(error.message, records, refused)


def _grant_overlap(setup: Setup) -> Iterator[Finding]:
    # Grants for different selling models, or for one and for all, add up on purpose; so do a grant
    # that is issued once and one that is issued again.
    ordered = sorted(setup.grants, key=lambda promise: (promise.key, promise.days, promise.name))
    for _, same in groupby(ordered, key=lambda promise: promise.key):
        for earlier, later in combinations(same, 2):
            if earlier.days.meets(later.days):
                first, second = sorted((earlier, later), key=lambda promise: promise.name)
                text = f"{first.name} and {second.name} are for the same sales on the same days"
                other = f"overlaps {second.grant.content.id}"
                refused = Violation(first.name, "EFFECTIVITY_OVERLAP", other)
                yield Finding(text, (later.name, earlier.name), refused)


def _grant_outlasts(setup: Setup) -> Iterator[Finding]:
    # Without an end of its own, a grant lasts as long as its resource.
    for metered, promise in _promises(setup):
        end = promise.grant.content.end_date
        if end is not None and end > metered.days.end:
            text = f"ends on {end}, and its resource on {metered.days.end}"
            refused = Violation(promise.name, "INTERVAL_INVALID", text)
            yield Finding(f"{promise.name} {text}", (promise.name, metered.name), refused)


def _grants_crowded(setup: Setup) -> Iterator[Finding]:
    for _, promise in _promises(setup):
        validity, refresh = promise.grant.content.validity, promise.refresh
        if validity is None or refresh is None:
            continue
        count = refresh.index(ISSUES_FROM, validity.nth(ISSUES_FROM, 1) - DAY) + 1
        if count > MOST_OPEN_ISSUES:
            text = f"{count} issues of one asset would be open at once, which slows down reads"
            yield Finding(text, (promise.name, *_refresh_policy(promise)))


GRANTS = (
    Rule(
        "GRANT_UNIT_CLASS",
        Severity.ERROR,
        "A grant is in a unit of the class of its resource.",
        "Create another grant, in a unit of that class.",
        _grant_unit_class,
    ),
    Rule(
        "GRANT_SCALE",
        Severity.ERROR,
        "A grant has an exact quantity in the unit of its resource.",
        "Create another grant, of a quantity that the unit can count.",
        _grant_scale,
    ),
    Rule(
        "GRANT_GAPS",
        Severity.WARNING,
        "An issue lasts until the next one.",
        "Let the validity be as long as the refresh interval, or leave it out.",
        by_version(_grant_gaps),
    ),
    Rule(
        "ROLLOVER_UNREACHABLE",
        Severity.ERROR,
        "An issue of a grant with a rollover policy lasts until the next one.",
        "Give the grant a refresh policy and a validity as long as that, or no rollover policy.",
        by_version(_rollover_unreachable),
    ),
    Rule(
        "GRANT_OVERLAP",
        Severity.ERROR,
        "Grants of one resource, type, selling model and refresh policy do not overlap.",
        "End the earlier one as the later one starts, by SupersedeProductUsageGrant.",
        _grant_overlap,
    ),
    Rule(
        "GRANT_OUTLASTS_RESOURCE",
        Severity.ERROR,
        "A grant does not end later than its resource of the product.",
        "End the grant with its resource, or leave out its end.",
        _grant_outlasts,
    ),
    Rule(
        "GRANTS_CROWDED",
        Severity.WARNING,
        f"At most {MOST_OPEN_ISSUES} issues of a grant are open at once, so that reads stay quick.",
        "Shorten the validity, or refresh less often.",
        by_version(_grants_crowded),
    ),
)
