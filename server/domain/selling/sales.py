"""Sales as values: what is quoted, ordered and bought, and what a line froze when it was made.

Quantities are in the resource's unit, dates are civil dates in the account's zone, ends are
exclusive. What activation brings about is decided in `activation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.audit import Audit
from server.domain.calendar import Cadence, CadenceUnit
from server.domain.errors import InvalidArgument
from server.domain.exact import exact
from server.domain.ids import (
    AccountId,
    AssetId,
    OrderId,
    PriceBookId,
    ProductGrantId,
    ProductId,
    QuoteId,
    ResourceId,
    SellingModelId,
    WalletId,
)
from server.domain.modeling.policies import (
    NO_SOURCE,
    CommitmentRate,
    PolicySource,
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
from server.domain.selling.grants import Entitlement


class QuoteState(StrEnum):
    """Where a quote stands."""

    DRAFT = "DRAFT"
    ORDERED = "ORDERED"


class OrderState(StrEnum):
    """Where an order stands."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """What a sale has to know of an account."""

    id: AccountId
    zone: str
    currency_code: str
    billing_anchor_day: int
    billing_months: int = 1

    @property
    def billing(self) -> Cadence:
        """How long its billing periods are."""
        return Cadence(CadenceUnit.MONTH, self.billing_months)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGrant:
    """What a line includes of a resource: `quantity` is the promise times the line's quantity."""

    product_grant_id: ProductGrantId
    quantity: Decimal
    refresh: RefreshPolicy | None = None
    validity: Validity | None = None
    rollover: RolloverPolicy | None = None
    refresh_policy: PolicySource = NO_SOURCE
    rollover_policy: PolicySource = NO_SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResource:
    """What a line carries for one resource; without `terms` it has no rate and needs none.

    With a token, `terms` are in its unit, and the line has the token as a resource too.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleLine:
    """One product, so many times, for a span of days. The same on quote and order.

    `target_id` is the asset, contract or custom target it is bound to; of a commitment, its anchor.
    """

    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None = None
    role: ProductRole = ProductRole.ANCHOR
    binding: Binding = Binding.SELF
    target_id: str | None = None
    selling_model_id: SellingModelId | None = None
    resources: tuple[LineResource, ...] = ()

    @property
    def attributes(self) -> Mapping[str, str]:
        """What was agreed of all its usage; the terms of each resource have the same."""
        return next((one.terms.attributes for one in self.resources if one.terms), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What would be sold to an account."""

    id: QuoteId
    account_id: AccountId
    state: QuoteState = QuoteState.DRAFT
    price_book_id: PriceBookId
    currency_code: str
    lines: tuple[SaleLine, ...]
    revision: int
    audit: Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an account has agreed to buy; `asset_ids` are one for each line, none in a draft."""

    id: OrderId
    account_id: AccountId
    quote_id: QuoteId
    state: OrderState = OrderState.DRAFT
    price_book_id: PriceBookId
    currency_code: str
    lines: tuple[SaleLine, ...]
    asset_ids: tuple[AssetId, ...] = ()
    activate_time: datetime | None = None
    revision: int
    audit: Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldEntitlement:
    """An entitlement, and the promise and policies it comes from."""

    entitlement: Entitlement
    product_id: ProductId
    product_grant_id: ProductGrantId
    refresh_policy: PolicySource = NO_SOURCE
    rollover_policy: PolicySource = NO_SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetResource:
    """What an asset holds for one resource, from one local midnight to another."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Something an account has bought. `number` counts the account's assets from 1.

    `audit` is absent until it is stored.
    """

    id: AssetId
    account_id: AccountId
    number: int
    order_id: OrderId
    position: int
    product_id: ProductId
    quantity: Decimal
    start_date: date
    end_date: date | None
    resources: tuple[AssetResource, ...]
    audit: Audit | None = None


@exact
def granted(promise: Decimal, quantity: Decimal, *, path: str) -> Decimal:
    """What an issue of `promise` holds for `quantity` of the product. Raises DECIMAL_RANGE."""
    product = promise * quantity
    if product >= LIMIT:
        fault = "so many of the product would grant more than 26 digits can hold"
        raise InvalidArgument.at(f"{path}.quantity", "DECIMAL_RANGE", fault)
    return product
