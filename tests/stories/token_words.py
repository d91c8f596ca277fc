"""A product whose resources are rated in credits, described as a person would in a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent

from usage_management.v1 import setup_service_pb2 as rpc

from clients.descriptions import read_yaml
from tests.stories.world import World

COMMON = """
unit_classes:
  - {name: unitClasses/credits, kind: TOKEN, default_unit: unitsOfMeasure/credit}
  - {name: unitClasses/things, kind: USAGE, default_unit: unitsOfMeasure/thing}
units_of_measure:
  - {name: unitsOfMeasure/credit, unit_class: unitClasses/credits, scale: 2}
  - {name: unitsOfMeasure/thing, unit_class: unitClasses/things, scale: 3}
rate_cards:
  - {name: rateCards/base, type: BASE}
  - {name: rateCards/tiers, type: TIER}
price_book: {name: priceBooks/book, rate_cards: [rateCards/base, rateCards/tiers]}
"""


@dataclass(frozen=True, kw_only=True)
class Credits:
    """Set up the price of a credit and how many are included, each month if `refresh`."""

    price: str
    grant: str | None = None
    refresh: bool = False
    rating: str = "{period: MONTH}"
    definition: str | None = None


def described(
    product: str,
    costs: Mapping[str, str],
    credits: Credits,
    *,
    grants: Mapping[str, str] = {},
    category: str = "TOKEN",
) -> str:
    """A product with resources that cost so many credits a unit; `grants` are included of them."""
    resources = [
        f"- {{name: usageResources/credits, category: {category}, unit_class: unitClasses/credits,"
        f" usage_definition_product: {_name('products', credits.definition)}}}"
    ]
    resources += [
        f"- {{name: usageResources/{one}, category: USAGE, unit_class: unitClasses/things,"
        " token_resource: usageResources/credits}"
        for one in costs
    ]
    held = [_held(product, "credits", credits, "currency_code: USD", credits.price, credits.grant)]
    held += [
        _held(product, one, credits, "token_unit: unitsOfMeasure/credit", cost, grants.get(one))
        for one, cost in costs.items()
    ]
    return "\n".join(
        [
            f"product: {{name: products/{product}, usage_model_type: ANCHOR}}",
            COMMON.replace("kind: TOKEN", f"kind: {category}"),
            "usage_resources:",
            *resources,
            "product_usage_resources:",
            *held,
        ]
    )


def _name(kind: str, id_: str | None) -> str:
    return f"{kind}/{id_}" if id_ else '""'


def pack(
    product: str,
    resource: str,
    *,
    grant: str | None = None,
    price: str | None = None,
    is_new: bool = False,
) -> str:
    """An add-on with more of a resource, or another price; perhaps of a new resource."""
    lines = [
        f"product: {{name: products/{product}, usage_model_type: PACK}}",
        "product_usage_resources:",
        f"- product_usage_resource: {{usage_resource: usageResources/{resource}}}",
    ]
    if grant:
        granted = _grant(product, resource, grant)
        lines += ["  grants:", f"  - product_usage_grant: {granted}"]
    if price:
        lines += [
            "  rate_card_entries:",
            f"  - {{name: rateCards/base/entries/{product}, currency_code: USD,",
            f"     rate: {{value: {price}, currency_code: USD}}}}",
        ]
    if is_new:
        lines += ["usage_resources:", f"- {{name: usageResources/{resource}, category: USAGE,"]
        lines += ["   unit_class: unitClasses/things}"]
    return "\n".join(lines)


def commitment(
    product: str,
    resource: str,
    quantity: str,
    *,
    kind: str = "TOKEN_COMMITMENT",
    discount: str | None = None,
    price: str | None = None,
    tiers: Sequence[tuple[str, str | None, str]] = (),
    policy: str | None = None,
    refresh: bool = False,
    optional: Mapping[str, str] = {},
) -> str:
    """A commitment to so much of a resource, at a discount or at a price of its own."""
    steps = [*tiers, *([("0", None, discount)] if discount else [])]
    lines = [
        f"product: {{name: products/{product}, usage_model_type: {kind}}}",
        "product_usage_resources:",
        f"- product_usage_resource: {{usage_resource: usageResources/{resource}}}",
        "  grants:",
        f"  - product_usage_grant: {_grant(product, resource, quantity, 'COMMIT')}",
    ]
    lines += ["    refresh: {interval: {unit: MONTH, count: 1}}"] if refresh else []
    lines += ["  rate_card_entries:"] if price or steps else []
    if price:
        lines += [
            f"  - {{name: rateCards/base/entries/{product}, currency_code: USD,",
            f"     rate: {{value: {price}, currency_code: USD}}}}",
        ]
    if steps:
        lines += [f"  - name: rateCards/tiers/entries/{product}", "    currency_code: USD"]
        lines += ["    tiers:", "      tiers:", *(f"      - {_tier(*step)}" for step in steps)]
    for other, promised in optional.items():
        lines += [
            "- product_usage_resource:",
            f"    {{usage_resource: usageResources/{other}, omittable: true}}",
            "  grants:",
            f"  - product_usage_grant: {_grant(product, other, promised, 'COMMIT')}",
        ]
    text = "\n".join(lines)
    if policy:
        named = f"commitmentPolicies/{policy.lower()}"
        text = text.replace(
            f"usageResources/{resource}}}",
            f"usageResources/{resource}, policies: {{commitment_policy: {named}}}}}",
            1,
        )
        text += f"\ncommitment_policies:\n- {{name: {named}, rate: {policy}}}\n"
    return text


def _tier(lower: str, upper: str | None, percent: str) -> str:
    end = f", upper: {upper}" if upper else ""
    return f"{{lower: {lower}{end}, adjustment: {{kind: PERCENTAGE, value: {percent}}}}}"


def _held(
    product: str, resource: str, credits: Credits, unit: str, value: str, grant: str | None
) -> str:
    lines = [
        f"- product_usage_resource: {{usage_resource: usageResources/{resource}}}",
        f"  rating_frequency: {credits.rating}",
        "  rate_card_entries:",
        f"  - {{name: rateCards/base/entries/{product}-{resource}, {unit},",
        f"     rate: {{value: {value}, {unit}}}}}",
    ]
    if grant is not None:
        lines += ["  grants:", f"  - product_usage_grant: {_grant(product, resource, grant)}"]
    if grant is not None and credits.refresh:
        lines += ["    refresh: {interval: {unit: MONTH, count: 1}}"]
    return "\n".join(lines)


def _grant(product: str, resource: str, quantity: str, kind: str = "GRANT") -> str:
    return f"{{name: products/{product}/grants/{resource}, quantity: {quantity}, type: {kind}}}"


async def set_up(
    world: World, text: str, *, allow_invalid: bool = True
) -> rpc.SetUpProductResponse:
    """Put a described product in force, by default also one that the validator finds errors in."""
    request = read_yaml(text).into(rpc.SetUpProductRequest(allow_invalid=allow_invalid))
    return await world.client.setup.SetUpProduct(request)


def block(lines: Sequence[str], by: int = 2) -> str:
    """Lines of a description, indented."""
    return indent("\n".join(lines), " " * by)
