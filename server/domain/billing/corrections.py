"""Corrections: what usage and sales that became known later change in final periods.

The final periods of a wallet are walked again from the earliest one that is affected, with
everything that is known now, by the walk that closes periods and computes the live balance. The
difference from what was posted is booked: movements in the ledger, and ratable lines with the
differences of the lines that changed. For a given set of records, the order in which they arrive
changes neither what is owed nor what is left. Source: R26.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from server.domain.calendar import Period
from server.domain.consumption.cells import Cell
from server.domain.errors import FailedPrecondition
from server.domain.exact import ZERO, exact
from server.domain.ids import (
    CorrectionId,
    RatableSummaryId,
    UnitId,
    WalletId,
    derive,
)
from server.domain.modeling.policies import OveragePolicy
from server.domain.rating.compiled_rating import VersionKey
from server.domain.rating.rates import RateTerms
from server.domain.selling.grants import Grant
from server.domain.settlement.ledger import Movement
from server.domain.settlement.ratable_lines import RatableKey, RatableLine, UsageKey, line_id
from server.domain.settlement.rewinding import PostedSums, corrections
from server.domain.settlement.walk import SettledIncrement, Settlement
from server.domain.settlement.wallet_states import WalletState, rated, walked


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """The sums of a ratable line and of its corrections so far.

    `id` is the first line of the usage, and `failure` the reason why it could not be rated. Without
    an `amount`, none of them could be.
    `billed_from` is the start of the usage's period, cut to the service as it was then.
    """

    id: RatableSummaryId
    asset_number: int
    used: Decimal
    drawn: Decimal
    overage: Decimal
    amount: Decimal | None
    unit: UnitId
    version: VersionKey | None
    failure: str
    billed_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalBooks:
    """A wallet before the period from `since`, and what was booked for its final periods since.

    The periods before `closed` are final. `effects` are the sums of the movements that were posted,
    and `booked` those of the ratable lines.
    """

    state: WalletState
    since: datetime
    closed: datetime
    effects: PostedSums
    booked: Mapping[UsageKey, Booked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The difference between what is known now of a wallet's final periods and what was booked.

    `lines` are all lines of these periods as they are now, and `changes` those that changed, each
    with the differences as its figures. `settlement` is the walk over all their usage.
    """

    movements: tuple[Movement, ...]
    opened: tuple[Grant, ...]
    cells: tuple[Cell, ...]
    settlement: Settlement
    lines: tuple[RatableLine, ...]
    changes: tuple[RatableLine, ...]

    @property
    def results(self) -> tuple[SettledIncrement, ...]:
        """The payments of all usage."""
        return self.settlement.results


@exact
def correction(books: FinalBooks) -> Correction:
    """Return what has to be booked, so that a wallet is as if all had been known in time.

    Raises RATED_LINE_FAILED if usage that was rated cannot be rated any more.
    """
    state = books.state
    cells = tuple(cell for cell in state.cells if cell.period.end <= books.closed)
    settlement = walked(state, cells, through=books.closed)
    lines = rated(state, settlement.results)
    posted = {grant.id for grant in state.posted_grants}
    return Correction(
        movements=corrections(
            books.effects, settlement.movements, since=books.since, through=books.closed
        ),
        opened=tuple(grant for grant in settlement.opened if grant.id not in posted),
        cells=cells,
        settlement=settlement,
        lines=lines,
        changes=changed_lines(state.terms.id, lines, books.booked),
    )


@exact
def changed_lines(
    wallet_id: WalletId, lines: Iterable[RatableLine], booked: Mapping[UsageKey, Booked]
) -> tuple[RatableLine, ...]:
    """Return the lines that differ from what is booked, each with the differences as its figures.

    A difference has no net unit rate: its amount is not that of its quantity. Raises
    RATED_LINE_FAILED.
    """
    changes: list[RatableLine] = []
    found = tuple(lines)
    left = dict(booked)
    gone = booked.keys() - {line.key.usage for line in found}
    # Usage whose terms changed may have been rated as a part of another line.
    lost = {(key.asset_id, key.origin_start) for key in gone if booked[key].amount is not None}
    for line in found:
        before = left.pop(line.key.usage, None)
        was_rated = before.amount is not None if before else line.key.usage[:2] in lost
        if line.failure is not None and was_rated:
            raise _failed(line)
        if before is None:
            changes.append(line)
            continue
        changed = _changed(line, before)
        if changed is not None:
            changes.append(changed)
    # Usage that moved elsewhere, or is rated by other terms now, is taken out of its line.
    for key, before in left.items():
        changed = _changed(_nothing(wallet_id, key, before), before)
        if changed is not None:
            changes.append(changed)
    return tuple(sorted(changes, key=lambda line: line.key))


def in_next_period(line: RatableLine, handling: Period, correction_id: CorrectionId) -> RatableLine:
    """Return a changed line as a correction in the rating period that bills it.

    The first line of usage keeps its id, whether its own period or a later one bills it.
    """
    key = line.key._replace(period_start=handling.start, is_correction=True)
    id_ = line.id if line.corrects is None else _correction_line_id(line, correction_id)
    return replace(line, id=id_, key=key)


def in_place(line: RatableLine, whole: Mapping[UsageKey, RatableLine]) -> RatableLine:
    """Return a changed line as it replaces the line that it corrects: with all of the figures.

    `whole` are the lines as they are now.
    """
    found = whole.get(line.key.usage)
    if found is None:
        return replace(line, used=ZERO, drawn=ZERO, overage=ZERO, amount=ZERO, corrects=None)
    return replace(found, billed_from=line.billed_from)


def cells_to_save(
    stored: Iterable[Cell], now: Sequence[Cell]
) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """Return derived cells that differ from the stored ones, and stored ones that are due no more.

    Derived cells are those of tokens, and those with which periods begin.
    """
    known = {cell.id: cell for cell in stored}
    due = {cell.id for cell in now}
    changed = tuple(cell for cell in now if cell != known.get(cell.id))
    return changed, tuple(cell for cell in known.values() if cell.id not in due)


def _changed(line: RatableLine, before: Booked) -> RatableLine | None:
    used, drawn = line.used - before.used, line.drawn - before.drawn
    overage = line.overage - before.overage
    amount = None if line.amount is None else line.amount - (before.amount or ZERO)
    was_failed = before.amount is None
    if not (used or drawn or overage or amount) and was_failed == (line.amount is None):
        return None
    return replace(
        line,
        used=used,
        drawn=drawn,
        overage=overage,
        amount=amount,
        net_unit_rate=None,
        corrects=before.id,
        billed_from=before.billed_from,
    )


def _nothing(wallet_id: WalletId, key: UsageKey, before: Booked) -> RatableLine:
    """Return the line of usage of which nothing is left."""
    whole = RatableKey(
        key.origin_start,
        False,
        key.origin_start,
        before.asset_number,
        key.asset_id,
        key.segment_start,
        key.dimensions,
    )
    return RatableLine(
        id=line_id(wallet_id, whole),
        wallet_id=wallet_id,
        key=whole,
        terms=RateTerms(unit=before.unit, rate=None),
        overage_policy=OveragePolicy.CHARGE,
        cell_ids=(),
        used=ZERO,
        drawn=ZERO,
        overage=ZERO,
        tier_quantity=ZERO,
        net_unit_rate=None,
        amount=ZERO,
        steps=(),
        version=before.version,
    )


def _correction_line_id(line: RatableLine, correction_id: CorrectionId) -> RatableSummaryId:
    key = line.key
    texts = [key.origin_start.isoformat(), key.segment_start.isoformat(), key.dimensions]
    return RatableSummaryId(derive(correction_id, line.wallet_id, key.asset_id, *texts))


def _failed(line: RatableLine) -> FailedPrecondition:
    key = line.key
    text = (
        f"usage of the rating period from {key.origin_start.isoformat()} was rated and cannot be"
        f" rated any more ({line.failure}: {line.failure_text}); nothing is changed"
    )
    facts = {"asset": str(key.asset_id), "origin_start_time": key.origin_start.isoformat()}
    return FailedPrecondition("RATED_LINE_FAILED", text, facts)
