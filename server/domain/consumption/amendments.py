"""Amendments and voids: what becomes of a stored record, and which cells it leaves and enters.

A record keeps its id when it is amended; `revision` counts, and all revisions are kept. A voided
record keeps its row, counts nowhere, and is never changed again. Source: R26 l.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from server.domain.consumption.dimensions import dimensions_text
from server.domain.consumption.recording import (
    Counted,
    LateUsage,
    Meter,
    MeterKey,
    PeriodKey,
    Place,
    RecordKey,
    Refused,
    Slot,
    Stored,
    Usage,
    duplicate_of,
)
from server.domain.errors import FailedPrecondition, InvalidArgument, NotFound, UsageError
from server.domain.exact import plain
from server.domain.ids import AccountId, CellId, RecordId, WalletId


class VoidCode(StrEnum):
    """The codes of the outcome of a void."""

    VOIDED = "VOIDED"
    ALREADY_VOIDED = "ALREADY_VOIDED"
    NOT_FOUND = "NOT_FOUND"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class VoidOutcome:
    """The outcome of voiding a record."""

    code: VoidCode
    error: UsageError | None = None


class AmendCode(StrEnum):
    """The codes of the outcome of an amendment."""

    AMENDED = "AMENDED"
    DUPLICATE = "DUPLICATE"
    NOT_FOUND = "NOT_FOUND"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class AmendOutcome:
    """The outcome of amending a record; `revision` is the one that has the content.

    `late` is how the difference is billed if the new content belongs to a final period.
    """

    code: AmendCode
    error: UsageError | None = None
    revision: int = 0
    is_voided: bool = False
    late: LateUsage | None = None


class KnownRecord(NamedTuple):
    """A stored record, what it counts, and its cell, in the rating period of its time."""

    account_id: AccountId
    record_id: RecordId
    stored: Stored
    counted: Decimal
    cell_id: CellId
    wallet_id: WalletId
    period_start: datetime
    void_time: datetime | None

    @property
    def key(self) -> RecordKey:
        """The key that is unique among records."""
        return self.account_id, self.record_id

    @property
    def meter_key(self) -> MeterKey:
        """The key of the asset's resource."""
        return self.account_id, self.stored.asset_id, self.stored.resource_id

    @property
    def period_key(self) -> PeriodKey:
        """The key of the rating period of its cell."""
        return self.account_id, self.wallet_id, self.period_start


class Amendment(NamedTuple):
    """A stored record and its new content, with the cell that takes it."""

    record: KnownRecord
    item: Counted
    place: Place

    @property
    def is_no_more(self) -> bool:
        """True if the record counts no more than before in its wallet."""
        meter = self.item.slot.meter
        is_same = meter.wallet_id == self.record.wallet_id and meter.unique_label is None
        return is_same and self.item.quantity <= self.record.counted

    @property
    def adds_nothing(self) -> bool:
        """True if the record counts no more than before in its cell; no cap refuses that."""
        return self.is_no_more and self.place.cell_id == self.record.cell_id


def no_record(key: RecordKey) -> NotFound:
    """Return the error for a record that does not exist."""
    account_id, record_id = key
    return NotFound.of("UsageRecord", f"accounts/{account_id}/usageRecords/{record_id}")


def settled(
    found: Counted | Refused, record: KnownRecord, *, may_return: bool = False
) -> AmendOutcome | None:
    """Return the outcome of an amendment that changes nothing; None for one that may.

    Content that the record has or had is a duplicate, as for recording: a repeated call that comes
    late does not undo a later amendment. That holds for a voided record and for content that would
    be refused now. What is never repeated may return a record to content that it had.
    """
    duplicate = duplicate_of(found.content_hash, record.stored)
    if may_return and found.content_hash != record.stored.content_hash:
        duplicate = None
    if duplicate is not None:
        is_voided = record.stored.is_voided
        return AmendOutcome(AmendCode.DUPLICATE, revision=duplicate.revision, is_voided=is_voided)
    if record.void_time is not None:
        return refused(_voided(record, record.void_time))
    return refused(found.error) if isinstance(found, Refused) else None


def amended(amendment: Amendment) -> AmendOutcome:
    """Return the outcome of a record that has its new content."""
    late, revision = amendment.place.late, amendment.record.stored.revision + 1
    if late is not None:
        shown = late.period.since(amendment.item.slot.meter.service_start)
        late = late._replace(period=shown)
    return AmendOutcome(AmendCode.AMENDED, revision=revision, late=late)


def refused(error: UsageError) -> AmendOutcome:
    """Return the outcome of a record that is not amended."""
    return AmendOutcome(AmendCode.REJECTED, error)


def after(first: AmendOutcome, is_equal: bool, record_id: RecordId) -> AmendOutcome:
    """Return the outcome of a record that the call amended before."""
    if not is_equal:
        text = f"names {record_id} again, with other content; name each record once"
        return refused(InvalidArgument.at("record_id", "RECORD_TWICE", text))
    if first.code is AmendCode.AMENDED:
        return AmendOutcome(AmendCode.DUPLICATE, revision=first.revision)
    return first


def counted_again(record: KnownRecord, meter: Meter) -> Counted:
    """Return a stored record as it was counted."""
    stored = record.stored
    meter = meter.at(stored.time)
    usage = Usage(
        record.account_id,
        record.record_id,
        stored.asset_id,
        stored.resource_id,
        stored.quantity,
        stored.unit_id,
        stored.time,
        stored.labels,
    )
    return Counted(
        usage,
        stored.unit_id,
        stored.content_hash,
        record.counted,
        plain(stored.quantity),
        plain(record.counted),
        Slot(meter, *meter.day_and_period(stored.time)),
        dimensions_text(meter.dimensions, stored.labels),
    )


def _voided(record: KnownRecord, void_time: datetime) -> FailedPrecondition:
    at = void_time.isoformat()
    return FailedPrecondition(
        "RECORD_VOIDED",
        f"{record.record_id} was voided at {at} and cannot be amended; use another id",
        {"record_id": record.record_id, "void_time": at},
    )
