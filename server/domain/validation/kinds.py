"""The rules of tokens, packs and commitments, and of the products that usage is invoiced as."""

from collections.abc import Iterator

from server.domain.errors import UsageError, Violation
from server.domain.modeling.catalog import Category, GrantType, UsageModelType
from server.domain.modeling.policies import CommitmentRate
from server.domain.modeling.sold_policies import check_token
from server.domain.validation.rules import Finding, Rule, Severity, by_version
from server.domain.validation.setups import Metered, Setup, entry_name


def _in_tokens(setup: Setup) -> Iterator[tuple[Metered, Metered | None]]:
    """Yield each resource that is rated in a token, and the product's own token or None."""
    own = {metered.id: metered for metered in setup.resources}
    for metered in setup.resources:
        if metered.token_id is not None and setup.is_anchor:
            yield metered, own.get(metered.token_id)


def _token_missing(setup: Setup) -> Iterator[Finding]:
    for metered, token in _in_tokens(setup):
        if token is None:
            text = f"{metered.id} is rated in {metered.token_id}, which the product does not meter"
            refused = Violation(
                setup.name,
                "TOKEN_RESOURCE",
                f"{metered.name} is rated in {metered.token_id}; add that too",
            )
            yield Finding(text, (metered.name, f"usageResources/{metered.token_id}"), refused)


def _token_twice(setup: Setup) -> Iterator[Finding]:
    tokens = sorted({metered.token_id or "" for metered, _ in _in_tokens(setup)})
    if len(tokens) > 1:
        names = (metered.name for metered, _ in _in_tokens(setup))
        text = f"its resources are rated in {', '.join(tokens)}"
        one = f"{setup.name} has the tokens {', '.join(tokens)}; a product has one"
        refused = Violation(setup.name, "TOKEN_RESOURCE", one)
        yield Finding(text, (setup.name, *names), refused)


def _token_periods(setup: Setup) -> Iterator[Finding]:
    for metered, token in _in_tokens(setup):
        if token is None or token.sold is None or metered.sold is None:
            continue
        try:
            check_token(metered.sold, token.sold)
        except UsageError as error:
            refused = Violation(setup.name, error.reason, error.message)
            yield Finding(error.message, (metered.name, token.name), refused)


def _token_rate(setup: Setup) -> Iterator[Finding]:
    for metered, token in _in_tokens(setup):
        entries = setup.entries_of(metered.id)
        if token is None or token.unit is None or not entries:
            continue
        if all(entry.currency_code != token.unit.id for entry in entries):
            text = f"{metered.id} has rates, and none in unitsOfMeasure/{token.unit.id}"
            yield Finding(text, (*map(entry_name, entries), metered.name))


def _token_tiers(setup: Setup) -> Iterator[Finding]:
    # The discount of a commitment is not a price; its tiers are picked by what was committed to.
    if setup.product.content.usage_model_type.is_commitment:
        return
    for metered in setup.resources:
        if metered.resource.category is not Category.TOKEN:
            continue
        for entry in setup.entries_of(metered.id):
            if len(entry.tiers) > 1:
                text = f"{metered.id} is a token, and its rate has {len(entry.tiers)} tiers"
                refused = Violation(
                    entry_name(entry),
                    "TOKEN_RESOURCE",
                    f"has {len(entry.tiers)} tiers, and the rate of a token has at most one",
                )
                yield Finding(text, (entry_name(entry), metered.name), refused)


def _anchor_missing(setup: Setup) -> Iterator[Finding]:
    if not setup.is_anchor:
        for metered in setup.resources:
            if metered.id not in setup.anchored and not _is_spend(setup, metered):
                text = (
                    f"no active anchor meters {metered.id}, so this resource cannot add to a wallet"
                )
                yield Finding(text, (metered.name, f"usageResources/{metered.id}"))


def _addition_empty(setup: Setup) -> Iterator[Finding]:
    if setup.is_anchor:
        return
    for metered in setup.resources:
        if not setup.grants_of(metered) and not setup.entries_of(metered.id):
            text = f"it has neither a grant of {metered.id} nor a rate for it"
            yield Finding(text, (metered.name,))


def _commitment_uncommitted(setup: Setup) -> Iterator[Finding]:
    if not setup.product.content.usage_model_type.is_commitment:
        return
    types = {promise.grant.content.type for promise in setup.grants}
    if GrantType.COMMIT not in types:
        yield Finding("it has no grant of the type COMMIT", (setup.name,))


def _commitment_kind(setup: Setup) -> Iterator[Finding]:
    kind = setup.product.content.usage_model_type
    if kind is UsageModelType.TOKEN_COMMITMENT and setup.resources:
        categories = {metered.resource.category for metered in setup.resources}
        if Category.TOKEN not in categories:
            names = (metered.name for metered in setup.resources)
            yield Finding(
                "a commitment to tokens has no token among its resources", (setup.name, *names)
            )
    if kind is UsageModelType.MONETARY_COMMITMENT:
        yield from _spend_kind(setup)


def _spend_kind(setup: Setup) -> Iterator[Finding]:
    spends = [metered for metered in setup.resources if _is_spend(setup, metered)]
    if len(spends) != 1 or len(setup.resources) < 2:
        names = (metered.name for metered in setup.resources)
        text = "a commitment to spend has one resource of money, and others whose usage counts"
        yield Finding(text, (setup.name, *names))
    blankets = [entry for entry in setup.entries if entry.is_blanket]
    for metered in setup.resources:
        if metered not in spends and not (blankets or setup.entries_of(metered.id)):
            text = f"usage of {metered.id} does not count, because there is no rate for it"
            yield Finding(text, (metered.name,))


def _is_spend(setup: Setup, metered: Metered) -> bool:
    kind = setup.product.content.usage_model_type
    is_money = metered.resource.category is Category.CURRENCY
    return is_money and kind is UsageModelType.MONETARY_COMMITMENT


def _rate_unreachable(setup: Setup) -> Iterator[Finding]:
    if not setup.product.content.usage_model_type.is_commitment:
        return
    for metered in setup.resources:
        entries = (*setup.entries_of(metered.id), *setup.blankets_of(metered))
        is_bounded = metered.commitment is CommitmentRate.BOUNDED
        if is_bounded and entries and not setup.grants_of(metered):
            text = f"rates of {metered.id} end with the granted quantity, and none is granted"
            yield Finding(text, (*map(entry_name, entries), metered.name))


def _definition_not_active(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        definition = metered.definition
        if definition is not None and not setup.scope.has(definition.state):
            text = f"{metered.id} is billed as {definition.name}, which is {definition.state}"
            yield Finding(text, (definition.name, f"usageResources/{metered.id}"))


def _grant_unreachable(setup: Setup) -> Iterator[Finding]:
    for metered in setup.resources:
        for promise in setup.grants_of(metered):
            if not promise.days.meets(metered.days):
                text = f"it is for sales {promise.days}, and {metered.id} is sold {metered.days}"
                yield Finding(text, (promise.name, metered.name))


KINDS = (
    Rule(
        "TOKEN_MISSING",
        Severity.ERROR,
        "A product meters the token that its resources are rated in.",
        "Add the token to the product (CreateProductUsageResource).",
        _token_missing,
    ),
    Rule(
        "TOKEN_TWICE",
        Severity.ERROR,
        "All resources of a product are rated in one token.",
        "Name the same token for all, or sell them as two products.",
        _token_twice,
    ),
    Rule(
        "TOKEN_PERIODS",
        Severity.ERROR,
        "A token is summed, and rated at the same times as the resources rated in it.",
        "Give both one rating frequency policy, and give the token the method SUM.",
        by_version(_token_periods),
    ),
    Rule(
        "TOKEN_RATE",
        Severity.ERROR,
        "A resource that is rated in a token has a rate in the token's unit.",
        "Create an entry with that unit as its token_unit.",
        _token_rate,
    ),
    Rule(
        "TOKEN_TIERS",
        Severity.ERROR,
        "The price of a token has at most one tier.",
        "Give the token one rate, and tiers to the resources that are rated in it.",
        _token_tiers,
    ),
    Rule(
        "ANCHOR_MISSING",
        Severity.ERROR,
        "Every resource of a pack or a commitment is metered by some anchor.",
        "Activate an anchor with that resource, or take it out of the pack or commitment.",
        _anchor_missing,
    ),
    Rule(
        "ADDITION_EMPTY",
        Severity.WARNING,
        "A pack or a commitment grants something or has a rate.",
        "Add a grant or a rate card entry, or take the resource out.",
        _addition_empty,
    ),
    Rule(
        "COMMITMENT_UNCOMMITTED",
        Severity.WARNING,
        "A commitment commits to a quantity.",
        "Create a grant of the type COMMIT.",
        _commitment_uncommitted,
    ),
    Rule(
        "COMMITMENT_KIND",
        Severity.ERROR,
        "A commitment to tokens has a token; one to spend has money, and usage that counts.",
        "Add the token or the money, and rates of what counts; or make it another commitment.",
        _commitment_kind,
    ),
    Rule(
        "RATE_UNREACHABLE",
        Severity.ERROR,
        "A commitment whose rates end with it grants some of the resource.",
        "Use a LOWEST commitment policy, grant some of the resource, or remove the rates.",
        by_version(_rate_unreachable),
    ),
    Rule(
        "DEFINITION_NOT_ACTIVE",
        Severity.ERROR,
        "The product that usage is invoiced as is active.",
        "Activate that product, or name another.",
        _definition_not_active,
    ),
    Rule(
        "GRANT_UNREACHABLE",
        Severity.WARNING,
        "A grant is for sales on days on which its resource is sold.",
        "Change the dates of the grant, or those of the resource.",
        _grant_unreachable,
    ),
)
