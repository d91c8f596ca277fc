"""Sales as values: quotes, orders and assets, and what a line froze when it was made.

Quantities are in the resource's unit, dates are civil dates in the account's zone, ends are
exclusive. `activation` decides what an order creates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from server.domain.audit import Audit
from server.domain.errors import AlreadyExists, InvalidArgument, Subject
from server.domain.exact import exact
from server.domain.ids import (
    AccountId,
    AssetId,
    CredentialId,
    ExternalId,
    OrderId,
    PolicyId,
    PriceBookId,
    ProductGrantId,
    ProductId,
    QuoteId,
    ResourceId,
    SellingModelId,
    WalletId,
)
from server.domain.modeling.catalog import GrantType
from server.domain.modeling.policies import (
    NO_SOURCE,
    CommitmentRate,
    DrawdownOrder,
    PolicySource,
    PolicySources,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.modeling.sold_policies import SoldPolicies
from server.domain.modeling.units import LIMIT
from server.domain.rating.rates import (
    RateTerms,
)
from server.domain.selling.billing_cycles import BillingCycle
from server.domain.selling.grants import Entitlement
from server.domain.selling.targets import TargetKey


class QuoteState(StrEnum):
    """The state of a quote."""

    DRAFT = "DRAFT"
    WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    ORDERED = "ORDERED"


class RateBasis(StrEnum):
    """The rates of an asset over time: as sold, or those of the catalog on each day."""

    FROZEN = "FROZEN"
    FOLLOW_CATALOG = "FOLLOW_CATALOG"


class OrderState(StrEnum):
    """The state of an order."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """The data of an account that a sale needs."""

    id: AccountId
    zone: str
    currency_code: str
    billing: BillingCycle


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantParts:
    """The negotiated parts of a grant; a part that is None is taken from the catalog.

    `quantity` is that of one issue for the whole line, in the unit of the resource.
    """

    quantity: Decimal | None = None
    refresh_policy_id: PolicyId | None = None
    rollover_policy_id: PolicyId | None = None
    validity: Validity | None = None

    @property
    def has_policies(self) -> bool:
        """True if more than the quantity is negotiated."""
        return (self.refresh_policy_id, self.rollover_policy_id, self.validity) != (None,) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGrant:
    """The policies and the validity of a grant by the catalog."""

    refresh_policy: PolicySource = NO_SOURCE
    rollover_policy: PolicySource = NO_SOURCE
    validity: Validity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGrant:
    """A grant of a line, with the quantity of one issue.

    `listed` is the quantity by the catalog, which is the product's grant times the line's quantity.
    `negotiated` are the parts that differ from the catalog, if there are any; `listed_as` are the
    catalog's then. A quote cannot negotiate it if it `is_fixed`. `spend_cap` is the most that usage
    under a commitment to spend costs during one issue.
    """

    product_grant_id: ProductGrantId
    quantity: Decimal
    listed: Decimal
    type: GrantType = GrantType.GRANT
    negotiated: GrantParts | None = None
    refresh: RefreshPolicy | None = None
    validity: Validity | None = None
    rollover: RolloverPolicy | None = None
    refresh_policy: PolicySource = NO_SOURCE
    rollover_policy: PolicySource = NO_SOURCE
    listed_as: ListedGrant | None = None
    is_fixed: bool = False
    spend_cap: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPolicies:
    """The policies of a resource by the catalog."""

    sources: PolicySources
    order: DrawdownOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResource:
    """The terms and policies of one resource of a line; without `terms` it has and needs no rate.

    With a token, `terms` are in the token's unit, and the token is another resource of the line.
    `listed_as` are the policies by the catalog, if others apply. A quote cannot override policies
    that are fixed. Under a commitment to spend, one resource `is_spend`: its usage is the money
    that usage of the others costs.
    """

    resource_id: ResourceId
    unit_scale: int
    policies: SoldPolicies
    terms: RateTerms | None
    is_fixed: bool = False
    token_resource_id: ResourceId | None = None
    definition_product_id: ProductId | None = None
    commitment: CommitmentRate | None = None
    grants: tuple[LineGrant, ...] = ()
    listed_as: ListedPolicies | None = None
    is_optional: bool = False
    has_fixed_policies: bool = False
    is_spend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleLine:
    """One product with a quantity, for a span of days. Quotes and orders have the same lines.

    `target_id` is the asset, contract or custom target to which it is bound; for a commitment, its
    anchor, if it has one yet. A `nested` commitment may overlap others of its anchor. Optional
    resources that are not sold are `omitted`. `target_line`
    is the position of an earlier line to whose future asset it is bound. `external_id` is the
    caller's own id of the asset that it becomes.
    """

    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None = None
    role: ProductRole = ProductRole.ANCHOR
    binding: Binding = Binding.SELF
    target_id: str | None = None
    target_line: int | None = None
    selling_model_id: SellingModelId | None = None
    external_id: ExternalId | None = None
    nested: bool = False
    omitted: tuple[ResourceId, ...] = ()
    rate_basis: RateBasis = RateBasis.FROZEN
    resources: tuple[LineResource, ...] = ()

    @property
    def is_unlinked(self) -> bool:
        """True for a commitment without an anchor, which pays for no usage."""
        has_anchor = self.target_id is not None or self.target_line is not None
        return self.role.is_commitment and not has_anchor

    @property
    def spend_id(self) -> ResourceId | None:
        """The resource of money of a commitment to spend."""
        return next((one.resource_id for one in self.resources if one.is_spend), None)

    @property
    def linked_id(self) -> AssetId | None:
        """The anchor of a commitment, if it has one."""
        is_linked = self.role.is_commitment and self.target_id is not None
        return AssetId(UUID(self.target_id)) if is_linked else None

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes agreed for all its usage, which the terms of every resource repeat."""
        return next(
            (resource.terms.attributes for resource in self.resources if resource.terms), {}
        )

    def bound_within(self, asset_ids: Sequence[AssetId]) -> "SaleLine":
        """Return it bound to an asset, given the assets that the lines of the sale become."""
        if self.target_line is None:
            return self
        return replace(self, target_id=str(asset_ids[self.target_line]))


class LimitKind(StrEnum):
    """The kind of limit that a term of a quote goes beyond."""

    DISCOUNT = "DISCOUNT"
    GRANT_INCREASE = "GRANT_INCREASE"
    GRANT_POLICIES = "GRANT_POLICIES"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteException:
    """A term of a line, by its position, that goes beyond a limit of the catalog, in percent.

    Policies of a grant have no `percent`.
    """

    line: int
    resource_id: ResourceId
    kind: LimitKind
    limit: Decimal
    percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An approval, a rejection or a withdrawal, by a credential."""

    reason: str
    decided_by: CredentialId | None
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A proposed sale to an account. It cannot be ordered from `expire_time` on."""

    id: QuoteId
    account_id: AccountId
    state: QuoteState = QuoteState.DRAFT
    price_book_id: PriceBookId
    currency_code: str
    lines: tuple[SaleLine, ...]
    exceptions: tuple[QuoteException, ...] = ()
    expire_time: datetime | None = None
    decision: Decision | None = None
    cloned_from: QuoteId | None = None
    revision: int
    audit: Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A sale that an account has agreed to.

    `asset_ids` has the asset that each line is about. In a draft, the asset does not exist yet. An
    order that was created directly has no quote.
    """

    id: OrderId
    account_id: AccountId
    quote_id: QuoteId | None
    state: OrderState = OrderState.DRAFT
    price_book_id: PriceBookId
    currency_code: str
    lines: tuple[SaleLine, ...]
    asset_ids: tuple[AssetId, ...]
    activate_time: datetime | None = None
    revision: int
    audit: Audit

    def of_one(self, line: SaleLine, asset_id: AssetId) -> "Order":
        """Return it with a single line, about an asset."""
        return replace(self, lines=(line,), asset_ids=(asset_id,))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldEntitlement:
    """An entitlement with the product grant and the policies that it comes from."""

    entitlement: Entitlement
    product_id: ProductId
    product_grant_id: ProductGrantId
    refresh_policy: PolicySource = NO_SOURCE
    rollover_policy: PolicySource = NO_SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetResource:
    """One resource of an asset, from one local midnight to another.

    `target` is that of its wallet. Before `bound_time` it drew on the wallet of another target, if
    it was bound to one.
    """

    resource_id: ResourceId
    wallet_id: WalletId
    policies: SoldPolicies
    terms: RateTerms | None
    is_fixed: bool
    start_time: datetime
    end_time: datetime | None
    token_wallet_id: WalletId | None = None
    definition_product_id: ProductId | None = None
    role: ProductRole = ProductRole.ANCHOR
    commitment: CommitmentRate | None = None
    entitlements: tuple[SoldEntitlement, ...] = ()
    target: TargetKey | None = None
    bound_time: datetime | None = None
    former_wallet_id: WalletId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A product that an account owns. `number` counts the account's assets from 1.

    `order_id` is the order of the line in force. `linked_id` is the anchor of a commitment, which
    has no resources before it is linked. `audit` is None until it is stored.
    """

    id: AssetId
    account_id: AccountId
    number: int
    order_id: OrderId
    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None
    resources: tuple[AssetResource, ...]
    role: ProductRole = ProductRole.ANCHOR
    linked_id: AssetId | None = None
    external_id: ExternalId | None = None
    rate_basis: RateBasis = RateBasis.FROZEN
    audit: Audit | None = None


def check_external_ids(
    account_id: AccountId,
    asked: Iterable[ExternalId | None],
    taken: Mapping[ExternalId, AssetId],
) -> None:
    """Raise CODE_TAKEN for the first line whose external id an asset or an earlier line has."""
    seen: dict[ExternalId, int] = {}
    for index, external_id in enumerate(asked):
        if external_id is None:
            continue
        if external_id in taken:
            name = f"accounts/{account_id}/assets/{taken[external_id]}"
            raise AlreadyExists(
                "CODE_TAKEN",
                f"the external id {external_id} is that of {name}",
                {"field": f"lines[{index}].external_id", "external_id": external_id, "name": name},
                subject=Subject("Asset", name),
            )
        if external_id in seen:
            raise AlreadyExists(
                "CODE_TAKEN",
                f"the external id {external_id} is that of line {seen[external_id] + 1} as well",
                {"field": f"lines[{index}].external_id", "external_id": external_id},
            )
        seen[external_id] = index


@exact
def granted(promise: Decimal, quantity: Decimal, *, path: str) -> Decimal:
    """Return the quantity of an issue for so many products. Raises DECIMAL_RANGE."""
    product = promise * quantity
    if product >= LIMIT:
        fault = "the granted quantity would have more than 26 digits; sell fewer"
        raise InvalidArgument.at(f"{path}.quantity", "DECIMAL_RANGE", fault)
    return product
