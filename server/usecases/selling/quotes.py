"""Quotes: what would be sold, with the rates, grants and policies of the catalogue frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from server.domain.calendar import Cadence
from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import (
    AccountId,
    PriceBookId,
    ProductId,
    QuoteId,
    ResourceId,
    SellingModelId,
)
from server.domain.modeling.catalog import CatalogState, PolicyIds, SellingModelType
from server.domain.modeling.policies import (
    CommitmentRate,
    PolicyLevel,
    PolicySource,
    PolicySources,
    RolloverPolicy,
    check_period_order,
)
from server.domain.modeling.resolved import ResolvedGrant, ResolvedProduct, ResolvedResource
from server.domain.modeling.roles import ProductRole
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.rating.rate_index import CatalogueTerms
from server.domain.rating.rates import HUNDRED, AdjustmentKind, RateTerms
from server.domain.selling.negotiation import (
    Negotiated,
    check_negotiated,
    check_prices,
    check_rates,
    negotiate,
)
from server.domain.selling.sales import Buyer, LineGrant, LineResource, Quote, SaleLine, granted
from server.env import new_id
from server.store.connection import Transaction
from server.store.keys import TimeKey
from server.store.modeling import records
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.selling import orders, quotes
from server.store.selling.quotes import QuoteFilter
from server.usecases.modeling.resolution import resolved_product
from server.usecases.rating.discovery import Priced, catalogue_terms
from server.usecases.selling.bindings import UNBOUND, AskedBinding, BoundTarget, bound
from server.usecases.selling.overrides import overridden

# What lines have in common that cost the same: product, first day, target and selling model.
_PricedAs = tuple[ProductId, date, str | None, SellingModelId | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One product, so many times, and what is to depart from the catalogue."""

    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None
    binding: AskedBinding = UNBOUND
    selling_model_id: SellingModelId | None = None
    omitted: tuple[ResourceId, ...] = ()
    policies: Mapping[ResourceId, PolicyIds] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    negotiated: tuple[Negotiated, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateQuote:
    """What would be sold to an account, at the rates of a price book."""

    account_id: AccountId
    price_book_id: PriceBookId
    lines: tuple[AskedLine, ...]


async def create(tx: Transaction, command: CreateQuote) -> Quote:
    """Make a draft; each line keeps the catalogue as it is on the day the line starts.

    Raises ACCOUNT_NOT_FOUND, PRICE_BOOK_NOT_FOUND, PRODUCT_NOT_FOUND, RESOURCE_INACTIVE,
    BINDING_TARGET, ASSET_NOT_FOUND, BINDING_TARGET_NOT_FOUND, RESOURCE_NOT_OPTIONAL, TIERS_INVALID,
    TOKEN_RESOURCE, POLICY_CONFLICT, DECIMAL_RANGE, RATE_NOT_FOUND, NOT_NEGOTIABLE, RESOURCE_TWICE,
    RESOURCE_NOT_IN_PRODUCT, CURRENCY_MISMATCH, TIERS_INVALID, PERIOD_ORDER, PROCEDURE_NOT_IN_FORCE,
    RATE_NEGATIVE, RATE_UNREACHABLE.
    """
    buyer = await quotes.get_buyer(tx, command.account_id)
    await quotes.check_price_book(tx, command.price_book_id)
    products = {
        product_id: await resolved_product(tx, product_id)
        for product_id in dict.fromkeys(line.product_id for line in command.lines)
    }
    await check_active(
        tx,
        [(one.product_id, held.resource_id) for one in products.values() for held in one.resources],
    )
    rates: dict[_PricedAs, dict[ResourceId, CatalogueTerms]] = {}
    lines = []
    for index, said in enumerate(command.lines):
        path, product = f"quote.lines[{index}]", products[said.product_id].on(said.start_date)
        asked = replace(said, end_date=await _end_date(tx, said, path))
        to = await bound(tx, buyer.id, asked.binding, product, path=path)
        product = await overridden(tx, product, asked.policies, to, path)
        key = (asked.product_id, asked.start_date, to.target_id, asked.selling_model_id)
        if key not in rates:
            wanted = Priced(
                price_book_id=command.price_book_id,
                product_id=asked.product_id,
                units=_rate_units(product, to, buyer.currency_code),
                day=asked.start_date,
                selling_model_id=asked.selling_model_id,
                is_addition=product.role is not ProductRole.ANCHOR,
            )
            rates[key] = await catalogue_terms(tx, wanted)
        selling = _Selling(asked, product, to, rates[key], buyer, path)
        lines.append(selling.line())

    return await quotes.add(
        tx,
        QuoteId(new_id()),
        buyer=buyer,
        price_book_id=command.price_book_id,
        lines=lines,
    )


async def check_active(tx: Transaction, sold: Sequence[tuple[ProductId, ResourceId]]) -> None:
    """Raise RESOURCE_INACTIVE for the first of these that is not sold any more."""
    gone = await orders.find_inactive(tx, sold)
    if gone is not None:
        product, resource = gone
        raise FailedPrecondition(
            "RESOURCE_INACTIVE",
            f"{resource} of {product} is not active",
            {"product": product, "usage_resource": resource},
        )


async def get(tx: Transaction, account_id: AccountId, quote_id: QuoteId) -> Quote:
    """One quote. Raises QUOTE_NOT_FOUND."""
    return await quotes.get(tx, account_id, quote_id)


async def list_quotes(
    tx: Transaction,
    account_id: AccountId,
    only: QuoteFilter,
    *,
    after: TimeKey | None,
    limit: int,
) -> list[Quote]:
    """Return an account's quotes, newest first. Raises ACCOUNT_NOT_FOUND."""
    await quotes.get_buyer(tx, account_id)
    return await quotes.list_quotes(tx, account_id, only, after=after, limit=limit)


async def _end_date(tx: Transaction, asked: AskedLine, path: str) -> date | None:
    """When a line ends by its selling model, or as it says.

    Raises SELLING_MODEL_NOT_FOUND, RESOURCE_INACTIVE, INTERVAL_INVALID.
    """
    if asked.selling_model_id is None:
        return asked.end_date
    model = await records.get(tx, SELLING_MODEL, asked.selling_model_id)
    name = f"sellingModels/{model.content.id}"
    if model.state is not CatalogState.ACTIVE:
        text = f"{name} is {model.state}; ChangeStates puts it in force"
        raise FailedPrecondition("RESOURCE_INACTIVE", text, {"selling_model": name})
    term = model.content.term
    due = None if term is None else term.nth(asked.start_date, 1)
    if model.content.type is SellingModelType.ONE_TIME or asked.end_date in (None, due):
        return asked.end_date or due
    fault = f"what is sold under {name} ends on {due}" if due else f"{name} has no end; name none"
    raise InvalidArgument.at(f"{path}.end_date", "INTERVAL_INVALID", fault)


def _rate_units(
    product: ResolvedProduct, to: BoundTarget, currency_code: str
) -> dict[ResourceId, str]:
    """What each resource of a product is rated in: where it adds to wallets, as these are."""
    if product.role is ProductRole.ANCHOR:
        return {one.resource_id: product.rate_unit(one, currency_code) for one in product.resources}
    return {
        one.resource_id: to.rate_units.get(one.resource_id, currency_code)
        for one in product.resources
    }


@dataclass(frozen=True, slots=True)
class _Selling:
    """A line as it was asked for, the product, what it is bound to, and what the catalogue says."""

    asked: AskedLine
    product: ResolvedProduct
    to: BoundTarget
    rates: dict[ResourceId, CatalogueTerms]
    buyer: Buyer
    path: str

    def line(self) -> SaleLine:
        """The line with what the catalogue says of each resource, and what was negotiated."""
        asked = self.asked
        sold = [one for one in self.product.resources if self._is_sold(one)]
        for resource in sold:
            _check_sellable(asked, resource, self.buyer.billing)
        resources = {one.resource_id: self._resource(one) for one in sold}
        currency = self.buyer.currency_code
        check_negotiated(asked.negotiated, resources, currency_code=currency, path=self.path)
        for wish in asked.negotiated:
            resources[wish.resource_id] = negotiate(resources[wish.resource_id], wish)
        found = tuple(resources[key] for key in sorted(resources))
        check_prices(found, path=self.path)
        _check_reached(found, asked.product_id, self.path)
        if self.product.role is ProductRole.ANCHOR:
            check_rates(found, day=asked.start_date, currency_code=currency)
        return SaleLine(
            product_id=asked.product_id,
            quantity=asked.quantity,
            start_date=asked.start_date,
            end_date=asked.end_date,
            role=self.product.role,
            binding=self.to.binding,
            target_id=self.to.target_id,
            selling_model_id=asked.selling_model_id,
            resources=found,
        )

    def _is_sold(self, resource: ResolvedResource) -> bool:
        """Whether a resource is part of the sale. Raises RESOURCE_NOT_OPTIONAL."""
        if resource.resource_id not in self.asked.omitted:
            return True
        if not resource.is_optional:
            fault = f"{resource.resource_id} is always part of {self.asked.product_id}"
            path = f"{self.path}.omitted_resources"
            raise InvalidArgument.at(path, "RESOURCE_NOT_OPTIONAL", fault)
        return False

    def _resource(self, resource: ResolvedResource) -> LineResource:
        found = self.rates.get(resource.resource_id)
        is_anchor = self.product.role is ProductRole.ANCHOR
        terms = None if found is None else replace(found.terms, attributes=self.asked.attributes)
        if self.product.role.is_commitment and terms is not None:
            _check_discount(terms, self.asked.product_id, resource.resource_id)
        return LineResource(
            resource_id=resource.resource_id,
            unit_scale=resource.unit.scale,
            policies=resource.policies if is_anchor else self._of_wallet(resource),
            terms=terms,
            is_fixed=found is not None and found.is_fixed,
            token_resource_id=resource.token_resource_id if is_anchor else None,
            definition_product_id=resource.definition_product_id,
            commitment=self._commitment(resource),
            grants=tuple(
                _grant(self.asked, grant, self.path)
                for grant in resource.grants
                if grant.is_for(self.asked.selling_model_id, self.asked.start_date)
            ),
        )

    def _commitment(self, resource: ResolvedResource) -> CommitmentRate | None:
        """What usage costs once a commitment is used up; nothing of what is none."""
        is_one = self.product.role.is_commitment
        return resource.chain.commitment.policy.content.rate if is_one else None

    def _of_wallet(self, resource: ResolvedResource) -> SoldPolicies:
        """The policies of the wallet that is added to. Raises BINDING_TARGET."""
        wallet = self.to.wallets.get(resource.resource_id)
        if wallet is None:
            fault = (
                f"has no wallet of {resource.resource_id}, which {self.asked.product_id} adds to"
            )
            field = "linked_asset" if self.product.role.is_commitment else "binding_target"
            raise InvalidArgument.at(f"{self.path}.{field}", "BINDING_TARGET", fault)
        own = resource.policies
        at_target = PolicySource(level=PolicyLevel.TARGET)
        return SoldPolicies(
            wallet=wallet.policies,
            overage=own.overage,
            sources=PolicySources(
                aggregation=at_target,
                rating_frequency=at_target,
                overage=own.sources.overage,
                commitment=own.sources.commitment,
                order=PolicyLevel.TARGET,
            ),
        )


def _check_discount(terms: RateTerms, product_id: ProductId, resource_id: ResourceId) -> None:
    """Raise TIERS_INVALID for a commitment that would give everything for nothing."""
    for tier in terms.effective_tiers:
        adjustment = tier.adjustment
        if adjustment.kind is AdjustmentKind.PERCENTAGE and adjustment.value >= HUNDRED:
            text = (
                f"{product_id} takes {adjustment.value} % off {resource_id}; it must be below 100"
            )
            raise FailedPrecondition("TIERS_INVALID", text, {"product": product_id})


def _check_reached(resources: Sequence[LineResource], product_id: ProductId, path: str) -> None:
    """Raise RATE_UNREACHABLE for a committed rate that ends with what is not even granted."""
    for one in resources:
        is_bounded = one.commitment is CommitmentRate.BOUNDED
        if is_bounded and one.terms is not None and not one.grants:
            name = one.resource_id
            text = (
                f"{path}: {product_id} has a rate for {name}, which under a BOUNDED commitment"
                f" policy ends with what is granted of {name}, and nothing is; let the policy of"
                f" {name} be LOWEST, grant some of it, or lower the rate of what is granted"
            )
            facts = {"field": path, "product": product_id, "usage_resource": name}
            raise FailedPrecondition("RATE_UNREACHABLE", text, facts)


def _check_sellable(asked: AskedLine, resource: ResolvedResource, billing: Cadence) -> None:
    day = asked.start_date
    if not resource.is_sold_on(day):
        raise FailedPrecondition(
            "RESOURCE_INACTIVE",
            f"{resource.resource_id} of {asked.product_id} is not sold on {day}",
            {
                "product": asked.product_id,
                "usage_resource": resource.resource_id,
                "date": str(day),
            },
        )
    wallet = resource.policies.wallet
    check_period_order(
        billing=billing, rating=wallet.rating.period, accumulation=wallet.aggregation.period
    )


def _rollover(rollover: RolloverPolicy | None, count: Decimal, path: str) -> RolloverPolicy | None:
    """A cap on what rolls over is for each unit sold, as the promise is."""
    if rollover is None or rollover.max_quantity is None:
        return rollover
    return replace(rollover, max_quantity=granted(rollover.max_quantity, count, path=path))


def _grant(asked: AskedLine, grant: ResolvedGrant, path: str) -> LineGrant:
    return LineGrant(
        product_grant_id=grant.id,
        quantity=granted(grant.quantity, asked.quantity, path=path),
        refresh=grant.refresh,
        validity=grant.validity,
        rollover=_rollover(grant.rollover, asked.quantity, path),
        refresh_policy=grant.refresh_policy,
        rollover_policy=grant.rollover_policy,
    )
