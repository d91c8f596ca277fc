"""Rows for the validator's test: grants, tokens, packs, commitments, and invoiced products."""

from dataclasses import replace
from datetime import date
from typing import Any

from server.domain.ids import PolicyId, ProductGrantId, ProductId, ResourceId, SellingModelId
from server.domain.modeling.catalog import Category, GrantType, Product, UsageModelType
from server.domain.modeling.policies import CommitmentRate
from server.domain.validation import Metered, Parent, Promise, Setup
from tests.setups import ACTIVE, DAILY, DRAFT, entry, kept, metered, promise, setup, tier, unit

CREDIT = unit("credit", class_id="credits")
CREDITS, POINTS = ResourceId("credits"), ResourceId("points")


def in_tokens(token: ResourceId = CREDITS, **more: Any) -> Metered:
    return metered(token_id=token, **more)


def token(**more: Any) -> Metered:
    return metered("credits", counted=CREDIT, **more)


STEPS = (tier("OVERRIDE", "1", "0", "10"), tier("OVERRIDE", "2", "10"))
TIERED = entry("0.5", *STEPS, resource="credits")
A_TOKEN = replace(token(), resource=replace(token().resource, category=Category.TOKEN))
RATED = (entry(currency="credit"), entry(resource="credits", id_="credits"))


def product(kind: UsageModelType) -> dict[str, Any]:
    content = Product(id=ProductId("plan"), display_name="", usage_model_type=kind)
    return {"product": kept(content), "anchored": frozenset({ResourceId("calls"), CREDITS})}


PACK, TOKENS = product(UsageModelType.PACK), product(UsageModelType.TOKEN_COMMITMENT)
QUANTITY = product(UsageModelType.QUANTITY_COMMITMENT)
SPEND = product(UsageModelType.MONETARY_COMMITMENT)
ADDED = metered(is_addition=True)
BOUNDED = replace(ADDED, commitment=CommitmentRate.BOUNDED)
MONEY = metered("money", is_addition=True)
OF_MONEY = replace(MONEY, resource=replace(MONEY.resource, category=Category.CURRENCY))
OF_TOKENS = replace(ADDED, resource=replace(ADDED.resource, category=Category.TOKEN))


def of_type(kind: GrantType) -> Promise:
    made = promise()
    return replace(made, grant=kept(replace(made.grant.content, type=kind), ACTIVE))


def in_days(start: date, end: date) -> Promise:
    made = promise()
    content = replace(made.grant.content, start_date=start, end_date=end)
    return replace(made, grant=kept(content, ACTIVE))


def billed(state: Any) -> Setup:
    return setup(metered(definition=Parent("products/overage", state)))


JUNE = {"start_date": date(2024, 6, 1), "end_date": date(2024, 7, 1)}


def also(name: str, **fields: Any) -> Promise:
    """Return a grant with another id."""
    made = promise()
    content = replace(made.grant.content, id=ProductGrantId(name), **fields)
    return replace(made, grant=kept(content, ACTIVE))


KIND_ROWS: list[tuple[str, Setup, Setup]] = [
    ("TOKEN_MISSING", setup(in_tokens()), setup(in_tokens(), token(), entries=RATED)),
    (
        "TOKEN_TWICE",
        setup(in_tokens(), metered("bytes", token_id=POINTS), token()),
        setup(in_tokens(), metered("bytes", token_id=CREDITS), token()),
    ),
    (
        "TOKEN_PERIODS",
        setup(in_tokens(), token(rating=DAILY), entries=RATED),
        setup(in_tokens(rating=DAILY), token(), entries=RATED),
    ),
    (
        "TOKEN_RATE",
        setup(in_tokens(), token(), entries=(entry(), *RATED[1:])),
        setup(in_tokens(), token(), entries=RATED),
    ),
    (
        "TOKEN_TIERS",
        setup(A_TOKEN, entries=(replace(TIERED, tiers=STEPS),)),
        setup(A_TOKEN, entries=(replace(TIERED, tiers=STEPS[1:]),)),
    ),
    ("TOKEN_TIERS", setup(A_TOKEN, entries=(TIERED,)), setup(token(), entries=(TIERED,))),
    ("ANCHOR_MISSING", setup(ADDED, **PACK | {"anchored": frozenset()}), setup(ADDED, **PACK)),
    ("ADDITION_EMPTY", setup(ADDED, entries=(), **PACK), setup(ADDED, **PACK)),
    (
        "COMMITMENT_UNCOMMITTED",
        setup(ADDED, grants=(of_type(GrantType.GRANT),), **QUANTITY),
        setup(ADDED, grants=(of_type(GrantType.COMMIT),), **QUANTITY),
    ),
    ("COMMITMENT_KIND", setup(ADDED, **TOKENS), setup(OF_TOKENS, **TOKENS)),
    ("COMMITMENT_KIND", setup(ADDED, **SPEND), setup(ADDED, OF_MONEY, **SPEND)),
    ("COMMITMENT_KIND", setup(OF_MONEY, **SPEND), setup(ADDED, OF_MONEY, **SPEND)),
    (
        "COMMITMENT_KIND",
        setup(ADDED, OF_MONEY, entries=(), **SPEND),
        setup(ADDED, OF_MONEY, **SPEND),
    ),
    ("RATE_UNREACHABLE", setup(BOUNDED, **QUANTITY), setup(ADDED, **QUANTITY)),
    (
        "RATE_UNREACHABLE",
        setup(BOUNDED, **QUANTITY),
        setup(BOUNDED, grants=(promise(),), **QUANTITY),
    ),
    ("RATE_UNREACHABLE", setup(BOUNDED, **QUANTITY), setup(BOUNDED, entries=(), **QUANTITY)),
    ("DEFINITION_NOT_ACTIVE", billed(DRAFT), billed(ACTIVE)),
    (
        "GRANT_UNREACHABLE",
        setup(metered(start="2024-06-01"), grants=(in_days(date(2024, 1, 1), date(2024, 6, 1)),)),
        setup(metered(start="2024-06-01"), grants=(in_days(date(2024, 1, 1), date(2024, 6, 2)),)),
    ),
    (
        "GRANT_OUTLASTS_RESOURCE",
        setup(metered(end="2024-06-01"), grants=(also("a", end_date=date(2024, 6, 2)),)),
        setup(metered(end="2024-06-01"), grants=(also("a", end_date=date(2024, 6, 1)),)),
    ),
    (
        "GRANT_OUTLASTS_RESOURCE",
        setup(metered(end="2024-06-01"), grants=(also("a", end_date=date(2024, 6, 2)),)),
        setup(metered(end="2024-06-01"), grants=(promise(),)),
    ),
    # What adds to an anchor needs no rate of its own, and no base for its tiers.
    ("RATE_MISSING", setup(entries=()), setup(ADDED, entries=(), **PACK)),
    (
        "GRANT_OVERLAP",
        setup(grants=(promise(), also("more"))),
        setup(grants=(promise(), also("more", selling_model_id=SellingModelId("yearly")))),
    ),
    (
        "GRANT_OVERLAP",
        setup(grants=(promise(), also("bonus"))),
        setup(grants=(promise(), also("bonus", refresh_id=PolicyId("monthly")))),
    ),
    (
        "GRANT_OVERLAP",
        setup(
            grants=(
                also("a", refresh_id=PolicyId("monthly")),
                also("b", refresh_id=PolicyId("monthly")),
            )
        ),
        setup(
            grants=(
                also("a", refresh_id=PolicyId("monthly")),
                also("b", refresh_id=PolicyId("weekly")),
            )
        ),
    ),
    (
        "GRANT_OVERLAP",
        setup(grants=(also("a", end_date=date(2024, 6, 2)), also("b", **JUNE))),
        setup(grants=(also("a", end_date=date(2024, 6, 1)), also("b", **JUNE))),
    ),
]
