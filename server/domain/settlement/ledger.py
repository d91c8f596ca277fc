"""The ledger: from movements to chained entries, and the check that nobody touched them.

An entry moves exactly one grant and carries two chains, its wallet's and its grant's, each with
the balance before and after. Entries are appended in posting order; `effective_time` says when a
movement is true. Nothing is ever changed or taken out.
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
    """Why a balance moved."""

    GRANT = "GRANT"
    REFRESH = "REFRESH"
    ROLLOVER = "ROLLOVER"
    EXPIRY = "EXPIRY"
    DRAWDOWN = "DRAWDOWN"
    CORRECTION = "CORRECTION"
    AMENDMENT = "AMENDMENT"
    CANCELLATION = "CANCELLATION"


class CauseKind(StrEnum):
    """What the cause's id names: a grant being issued or ending, a cell, an asset action."""

    ISSUE = "ISSUE"
    BOUNDARY = "BOUNDARY"
    CELL = "CELL"
    ASSET_ACTION = "ASSET_ACTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A change of one grant's balance. A cause moves each of its legs once in a revision.

    What is moved has an even `cause_revision`, what takes it back the odd one after it. `covered`
    is the usage that it paid for, where that is not what it took.
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
    """The end of a wallet's chain: its last position (positions count from 1), balance and hash."""

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
    """One line of the ledger."""

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


_HASHED = tuple(f.name for f in fields(LedgerEntry) if f.name not in ("hash", "prev_hash"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """New entries, and the heads after them; `grant_heads` holds those that moved, by grant."""

    entries: tuple[LedgerEntry, ...]
    head: Head
    grant_heads: tuple[GrantHead, ...]


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first entry of a chain that does not follow from those before it."""

    seq: int
    field: str
    expected: str
    found: str


@exact
def post(head: Head, grant_heads: Iterable[GrantHead], movements: Iterable[Movement]) -> Posting:
    """Chain `movements` onto the heads, in the order given. A grant without a head begins a chain.

    Always: no grant goes below zero.
    """
    grants = {grant.grant_id: grant for grant in grant_heads}
    moved: dict[GrantId, GrantHead] = {}
    entries: list[LedgerEntry] = []
    for movement in movements:
        grant_id = movement.grant_id
        grant = moved.get(grant_id) or grants.get(grant_id) or GrantHead(grant_id=grant_id)
        entry = _chained(head, grant, movement)
        assert entry.grant_after >= 0, entry
        entries.append(entry)
        head, moved[grant_id] = _heads_after(entry)
    return Posting(entries=tuple(entries), head=head, grant_heads=tuple(moved.values()))


def reversals(entries: Iterable[LedgerEntry]) -> tuple[Movement, ...]:
    """What undoes `entries`, which come the last first: each as a correction of the same cause."""
    return tuple(
        Movement(
            kind=EntryKind.CORRECTION,
            grant_id=entry.grant_id,
            amount=-entry.amount,
            effective_time=entry.effective_time,
            cause_kind=entry.cause_kind,
            cause_id=entry.cause_id,
            cause_revision=entry.cause_revision + 1,
            leg=entry.leg,
            covered=entry.covered,
        )
        for entry in entries
    )


def canonical_text(entry: LedgerEntry) -> str:
    """The text an entry's hash covers: every field but the hashes, in their order, one a line.

    What is absent has none.
    """
    values = ((name, getattr(entry, name)) for name in _HASHED)
    return "".join(f"{name}={_text(value)}\n" for name, value in values if value is not None)


def entry_hash(entry: LedgerEntry) -> bytes:
    """SHA-256 over the hash before it and its own text."""
    return sha256(entry.prev_hash + canonical_text(entry).encode()).digest()


@exact
def check_chain(
    entries: Iterable[LedgerEntry],
    *,
    head: Head | None = None,
    grant_heads: Mapping[GrantId, GrantHead] | None = None,
) -> ChainFault | None:
    """The first difference between one wallet's `entries`, in order, and what they should be.

    Without heads the entries are the wallet's first.
    """
    grants = dict(grant_heads or {})
    for entry in entries:
        head = head or Head(wallet_id=entry.wallet_id)
        grant = grants.get(entry.grant_id) or GrantHead(grant_id=entry.grant_id)
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
    return Movement(**{name.name: getattr(entry, name.name) for name in fields(Movement)})


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
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case bytes():
            return value.hex()
        case _:
            return str(value)
