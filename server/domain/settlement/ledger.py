"""The ledger: chained entries made of movements, and the check of a chain.

An entry moves exactly one grant. It belongs to two chains, its wallet's and its grant's, and has
the balance of each before and after it. Entries are appended in posting order; `effective_time` is
the time at which a movement counts. Entries are never changed or removed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from server.domain.exact import ZERO, exact, plain
from server.domain.ids import GrantId, WalletId

NO_HASH = bytes(32)


class EntryKind(StrEnum):
    """The reason for a change of a balance."""

    GRANT = "GRANT"
    REFRESH = "REFRESH"
    ROLLOVER = "ROLLOVER"
    EXPIRY = "EXPIRY"
    DRAWDOWN = "DRAWDOWN"
    CORRECTION = "CORRECTION"
    AMENDMENT = "AMENDMENT"
    CANCELLATION = "CANCELLATION"
    MOVED_OUT = "MOVED_OUT"
    MOVED_IN = "MOVED_IN"


class CauseKind(StrEnum):
    """The kind of record that caused a movement."""

    ISSUE = "ISSUE"
    BOUNDARY = "BOUNDARY"
    CELL = "CELL"
    MOVE = "MOVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A change of one grant's balance. A cause moves each of its legs once in a revision.

    A close posts the `cause_revision` 0, and the corrections of a wallet the following ones.
    `covered` is the usage that was paid for, if it differs from the amount taken.
    """

    kind: EntryKind
    grant_id: GrantId
    amount: Decimal
    effective_time: datetime
    cause_kind: CauseKind
    cause_id: UUID
    cause_revision: int = 0
    leg: int = 0
    covered: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a wallet's chain: its last position (counted from 1), balance and hash."""

    wallet_id: WalletId
    seq: int = 0
    balance: Decimal = ZERO
    hash: bytes = NO_HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantHead:
    """The end of a grant's chain."""

    grant_id: GrantId
    seq: int = 0
    balance: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One entry of the ledger."""

    wallet_id: WalletId
    seq: int
    prev_hash: bytes
    grant_id: GrantId
    grant_seq: int
    kind: EntryKind
    amount: Decimal
    wallet_before: Decimal
    wallet_after: Decimal
    grant_before: Decimal
    grant_after: Decimal
    effective_time: datetime
    cause_kind: CauseKind
    cause_id: UUID
    cause_revision: int
    leg: int
    covered: Decimal | None = None
    hash: bytes = NO_HASH


# In the order of the fields of LedgerEntry: moving or renaming a field would change every hash.
_HASHED = tuple(f.name for f in fields(LedgerEntry) if f.name not in ("hash", "prev_hash"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """New entries and the heads after them; `grant_heads` has only the grants that moved."""

    entries: tuple[LedgerEntry, ...]
    head: Head
    grant_heads: tuple[GrantHead, ...]


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first entry of a chain that does not follow from the entries before it."""

    seq: int
    field: str
    expected: str
    found: str


@exact
def post(head: Head, grant_heads: Iterable[GrantHead], movements: Iterable[Movement]) -> Posting:
    """Chain `movements` onto the heads in the given order. A grant without a head begins a chain.

    Always: no grant goes below zero.
    """
    grants = {grant.grant_id: grant for grant in grant_heads}
    moved: dict[GrantId, GrantHead] = {}
    entries: list[LedgerEntry] = []
    for movement in movements:
        grant_id = movement.grant_id
        # A grant can move several times in one posting, so its newest head comes first.
        grant = moved.get(grant_id) or grants.get(grant_id) or GrantHead(grant_id=grant_id)
        entry = _chained(head, grant, movement)
        assert entry.grant_after >= 0, entry
        entries.append(entry)
        head, moved[grant_id] = _heads_after(entry)
    return Posting(entries=tuple(entries), head=head, grant_heads=tuple(moved.values()))


def canonical_text(entry: LedgerEntry) -> str:
    """Return the text that an entry's hash covers: all fields except the hashes, one on each line.

    The fields come in their order; fields without a value are left out.
    """
    # Absent fields are left out, so that a new optional field does not change the hashes of old
    # entries.
    values = ((name, getattr(entry, name)) for name in _HASHED)
    return "".join(f"{name}={_text(value)}\n" for name, value in values if value is not None)


def entry_hash(entry: LedgerEntry) -> bytes:
    """Return the SHA-256 of the hash before the entry and the entry's own text."""
    return sha256(entry.prev_hash + canonical_text(entry).encode()).digest()


@exact
def check_chain(
    entries: Iterable[LedgerEntry],
    *,
    head: Head | None = None,
    grant_heads: Mapping[GrantId, GrantHead] | None = None,
) -> ChainFault | None:
    """Return the first fault in one wallet's `entries`, which are in order, or None.

    Without heads, `entries` start with the wallet's first entry.
    """
    grants = dict(grant_heads or {})
    for entry in entries:
        head = head or Head(wallet_id=entry.wallet_id)
        grant = grants.get(entry.grant_id) or GrantHead(grant_id=entry.grant_id)
        # Each entry is made again from its own movement and the heads so far. This checks every
        # field that was copied or computed, not only the hash.
        fault = _difference(entry, _chained(head, grant, _movement(entry)))
        if fault:
            return fault
        head, grants[entry.grant_id] = _heads_after(entry)
    return None


def _chained(head: Head, grant: GrantHead, movement: Movement) -> LedgerEntry:
    entry = LedgerEntry(
        wallet_id=head.wallet_id,
        seq=head.seq + 1,
        prev_hash=head.hash,
        grant_id=movement.grant_id,
        grant_seq=grant.seq + 1,
        kind=movement.kind,
        amount=movement.amount,
        wallet_before=head.balance,
        wallet_after=head.balance + movement.amount,
        grant_before=grant.balance,
        grant_after=grant.balance + movement.amount,
        effective_time=movement.effective_time,
        cause_kind=movement.cause_kind,
        cause_id=movement.cause_id,
        cause_revision=movement.cause_revision,
        leg=movement.leg,
        covered=movement.covered,
    )
    return replace(entry, hash=entry_hash(entry))


def _heads_after(entry: LedgerEntry) -> tuple[Head, GrantHead]:
    head = Head(
        wallet_id=entry.wallet_id,
        seq=entry.seq,
        balance=entry.wallet_after,
        hash=entry.hash,
    )
    return head, GrantHead(grant_id=entry.grant_id, seq=entry.grant_seq, balance=entry.grant_after)


def _movement(entry: LedgerEntry) -> Movement:
    return Movement(**{field.name: getattr(entry, field.name) for field in fields(Movement)})


def _difference(found: LedgerEntry, expected: LedgerEntry) -> ChainFault | None:
    for name in fields(LedgerEntry):
        is_, due = getattr(found, name.name), getattr(expected, name.name)
        if is_ != due:
            return ChainFault(expected.seq, name.name, _text(due), _text(is_))
    if found.grant_after < 0:
        return ChainFault(expected.seq, "grant_after", "0 or more", _text(found.grant_after))
    return None


def _text(value: object) -> str:
    match value:
        case Decimal():
            return plain(value)
        # In UTC with microseconds, so that the hash does not depend on the time zone of a session.
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case bytes():
            return value.hex()
        case _:
            return str(value)
