"""Usage records as they are read: what was sent, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from server.domain.calendar import RatingPeriod
from server.domain.ids import (
    AccountId,
    AssetId,
    CellId,
    CorrectionId,
    CredentialId,
    GrantId,
    LiableSummaryId,
    RatableSummaryId,
    RecordId,
    ResourceId,
    UnitId,
    WalletId,
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
    """The processing of a record; drawn and overage quantity are those of its cell.

    `is_pending` is True if its final period has changed and is not corrected yet.
    """

    state: RecordState
    counted_quantity: Decimal
    cell_id: CellId
    period: RatingPeriod
    is_late: bool
    is_pending: bool
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


class RecordDraw(NamedTuple):
    """The quantity of a cell that a grant paid for, and the amount that the grant lost."""

    wallet_id: WalletId
    grant_id: GrantId
    quantity: Decimal
    amount: Decimal


class RecordLine(NamedTuple):
    """A ratable line of the usage of a record, with the invoice-ready line that includes it."""

    ratable_summary_id: RatableSummaryId
    state: str
    correction_id: CorrectionId | None
    liable_summary_id: LiableSummaryId | None
    liable_state: str | None
    invoice: str


class RecordCorrection(NamedTuple):
    """A correction that changed the period of a record after the record arrived."""

    correction_id: CorrectionId
    causes: tuple[str, ...]
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStory:
    """The draws, lines and corrections of the cell of a record, and of the tokens that it cost."""

    drawn: tuple[RecordDraw, ...]
    lines: tuple[RecordLine, ...]
    corrections: tuple[RecordCorrection, ...]


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
    story: RecordStory | None = None
