"""Usage records as they are read: what was sent, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from server.domain.calendar import RatingPeriod
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    CredentialId,
    LiableSummaryId,
    RecordId,
    ResourceId,
    UnitId,
)


class RecordState(StrEnum):
    """The state of a stored record."""

    PENDING = "PENDING"
    FROZEN = "FROZEN"
    RATED = "RATED"
    LIABLE = "LIABLE"
    VOIDED = "VOIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTrace:
    """The processing of a record; drawn and overage quantity are those of its cell."""

    state: RecordState
    counted_quantity: Decimal
    cell_id: CellId
    period: RatingPeriod
    is_late: bool
    drawn_quantity: Decimal | None
    overage_quantity: Decimal | None
    liable_summary_id: LiableSummaryId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRevision:
    """The content of a record before an amendment, and who set it when."""

    revision: int
    asset_id: AssetId
    resource_id: ResourceId
    quantity: Decimal
    unit_id: UnitId
    time: datetime
    labels: Mapping[str, str]
    create_time: datetime
    created_by: CredentialId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChanges:
    """The last amendment of a record and its void, if there were any."""

    revision: int
    amend_time: datetime | None
    amended_by: CredentialId | None
    void_time: datetime | None
    voided_by: CredentialId | None
    void_reason: str
    earlier: tuple[RecordRevision, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """A stored record."""

    account_id: AccountId
    id: RecordId
    asset_id: AssetId
    resource_id: ResourceId
    quantity: Decimal
    unit_id: UnitId
    time: datetime
    labels: Mapping[str, str]
    create_time: datetime
    created_by: CredentialId | None
    trace: RecordTrace
    changes: RecordChanges
