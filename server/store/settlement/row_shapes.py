"""The shapes of the JSON arrays that the query `wallet_states` makes."""

from datetime import date, datetime
from decimal import Decimal

import msgspec
from asyncpg.pgproto.pgproto import UUID  # what rows hold: made, hashed and compared in C

from server.domain.calendar import CadenceUnit
from server.domain.modeling.policies import CommitmentRate, OveragePolicy
from server.domain.rating.rates import RateTerms
from server.domain.selling.grants import GrantKind
from server.domain.settlement.ledger import CauseKind
from server.store.documents import Versioned


class Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A JSON array made by a query; its fields are in the order of the query."""


class GrantRow(Row, frozen=True):
    """A grant, and the head of its chain in the ledger."""

    id: UUID
    entitlement_id: UUID
    kind: GrantKind
    index: int
    rollovers: int
    quantity: Decimal
    start: datetime
    expire: datetime | None
    seq: int
    balance: Decimal
    # Of what moved here from another wallet only.
    arrive_time: datetime | None
    source_id: UUID | None


class EntitlementRow(Row, frozen=True):
    """An entitlement with its policies."""

    id: UUID
    asset_id: UUID
    number: int
    quantity: Decimal
    unit_scale: int
    start: date
    end: date | None
    anchor: date
    refresh_unit: CadenceUnit | None
    refresh_count: int | None
    validity_unit: CadenceUnit | None
    validity_count: int | None
    can_roll_over: bool
    max_rollovers: int | None
    # None until the first issue is posted.
    next_index: int | None
    rollover_max_quantity: Decimal | None
    rollover_max_percent: Decimal | None
    rollover_remainder_percent: Decimal | None
    spend_cap: Decimal | None
    # Where the asset was bound to another target: the part of one of both wallets.
    issues_from: int | None
    issues_until: int | None
    leave_time: datetime | None
    leaves_to: UUID | None


class CellRow(Row, frozen=True):
    """A cell, and the rating period in which its usage happened."""

    id: UUID
    asset_id: UUID
    asset_number: int
    start: datetime
    end: datetime
    period_start: datetime
    period_end: datetime
    count: int
    sum: Decimal
    max: Decimal
    min: Decimal
    last: Decimal
    last_time: datetime
    last_record_id: str
    dimensions: str
    unit_numerator: Decimal
    unit_denominator: Decimal
    # Of gauges only.
    first_time: datetime | None
    held: Decimal | None


class AssetRow(Row, frozen=True):
    """One rate of an asset, or of an addition, for the wallet's resource."""

    asset_id: UUID
    overage: OveragePolicy
    start: datetime
    end: datetime | None
    terms: Versioned[RateTerms] | None
    rate_id: UUID | None
    asset_end: datetime | None
    number: int
    product_id: str
    token_wallet_id: UUID | None
    definition_product_id: str | None
    role: str
    commitment_rate: CommitmentRate | None
    # None where the target is the asset itself, so that no other asset shares the wallet.
    is_fixed: bool | None
    # The time at which it was bound to another target.
    until: datetime | None


class EffectRow(Row, frozen=True):
    """The sum of what a cause moved on a grant at a time."""

    effective_time: datetime
    cause_kind: CauseKind
    cause_id: UUID
    leg: int
    grant_id: UUID
    amount: Decimal
    paid: Decimal
