"""Read summaries: one, a page, or the whole trace of a liable line."""

from dataclasses import dataclass

from server.domain.errors import NotFound
from server.domain.ids import (
    AccountId,
    ExecutionId,
    LiableSummaryId,
    RatableSummaryId,
)
from server.store.billing import correction_reads
from server.store.billing import summary_reads as store
from server.store.billing.correction_reads import StoredCorrection
from server.store.billing.summary_reads import Drawn, LiableSummary, RatableSummary, UsageSummary
from server.store.connection import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTrace:
    """A cell and the grants that paid for it, in order."""

    cell: UsageSummary
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatableTrace:
    """A ratable line, the cells that it rates, and the correction that made it, if one did."""

    ratable: RatableSummary
    cells: tuple[CellTrace, ...]
    correction: StoredCorrection | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryTrace:
    """A liable line and all its sources."""

    liable: LiableSummary
    sources: tuple[RatableTrace, ...]


async def get_ratable(
    tx: Transaction, account_id: AccountId, ratable_id: RatableSummaryId
) -> RatableSummary:
    """Return one ratable line. Raises RATABLE_SUMMARY_NOT_FOUND."""
    found = await store.find_ratable(tx, account_id, ratable_id)
    if found is None:
        raise _no_ratable(account_id, ratable_id)
    return found


async def get_liable(
    tx: Transaction, account_id: AccountId, liable_id: LiableSummaryId
) -> LiableSummary:
    """Return one liable line. Raises LIABLE_SUMMARY_NOT_FOUND."""
    found = await store.find_liable(tx, account_id, liable_id)
    if found is None:
        raise _no_liable(account_id, liable_id)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """The ratings of a line: the current ones, and those that corrections replaced."""

    standing: list[RatableSummary]
    superseded: list[RatableSummary]

    def only(self, execution_id: ExecutionId) -> "Executions":
        """Return the lines that one execution rated."""
        return Executions(
            standing=[line for line in self.standing if line.execution_id == execution_id],
            superseded=[line for line in self.superseded if line.execution_id == execution_id],
        )


async def waterfall(
    tx: Transaction,
    account_id: AccountId,
    line_id: RatableSummaryId | LiableSummaryId,
    *,
    is_liable: bool,
    execution_id: ExecutionId | None,
) -> Executions:
    """Return the ratings of a line, by all executions or by one.

    Raises RATABLE_SUMMARY_NOT_FOUND, LIABLE_SUMMARY_NOT_FOUND, RATE_EXECUTION_NOT_FOUND.
    """
    if is_liable:
        found = await _of_liable(tx, account_id, LiableSummaryId(line_id))
    else:
        found = await _of_ratable(tx, account_id, RatableSummaryId(line_id))
    if execution_id is None:
        return found
    rated = found.only(execution_id)
    if not rated.standing and not rated.superseded:
        raise NotFound.of("RateExecution", str(execution_id))
    return rated


async def _of_liable(
    tx: Transaction, account_id: AccountId, liable_id: LiableSummaryId
) -> Executions:
    line = await store.find_liable(tx, account_id, liable_id)
    before = await store.superseded_ratables(tx, account_id, liable_id=liable_id)
    if line is None and not before:
        raise _no_liable(account_id, liable_id)
    standing = await store.ratable_of_liable(tx, account_id, line) if line else []
    return Executions(standing=standing, superseded=before)


async def _of_ratable(
    tx: Transaction, account_id: AccountId, ratable_id: RatableSummaryId
) -> Executions:
    line = await store.find_ratable(tx, account_id, ratable_id)
    before = await store.superseded_ratables(tx, account_id, ratable_id=ratable_id)
    if line is None and not before:
        raise _no_ratable(account_id, ratable_id)
    return Executions(standing=[line] if line else [], superseded=before)


async def trace(tx: Transaction, account_id: AccountId, liable_id: LiableSummaryId) -> SummaryTrace:
    """Return all sources of a liable line. Raises LIABLE_SUMMARY_NOT_FOUND."""
    liable = await get_liable(tx, account_id, liable_id)
    wallet_id = liable.wallet_id
    ratables = await store.ratable_of_liable(tx, account_id, liable)
    ids = {ratable.usage_id for ratable in ratables}
    cells = await store.usage_of_ratable(tx, account_id, wallet_id, ids)
    cell_ids = [cell.usage_summary_id for cell in cells]
    drawn = await store.drawn_from(tx, account_id, wallet_id, cell_ids)
    rated: dict[RatableSummaryId, list[CellTrace]] = {}
    for cell in cells:
        paid = tuple(drawn.get(cell.usage_summary_id, ()))
        assert cell.ratable_summary_id is not None, cell
        rated.setdefault(cell.ratable_summary_id, []).append(CellTrace(cell=cell, drawn=paid))
    made = {one.correction_id for one in ratables if one.correction_id is not None}
    corrections = await correction_reads.find_corrections(tx, account_id, made) if made else {}
    return SummaryTrace(
        liable=liable,
        sources=tuple(
            RatableTrace(
                ratable=ratable,
                cells=tuple(rated.get(ratable.usage_id, ())),
                correction=corrections[ratable.correction_id] if ratable.correction_id else None,
            )
            for ratable in ratables
        ),
    )


def _no_ratable(account_id: AccountId, ratable_id: RatableSummaryId) -> NotFound:
    name = f"accounts/{account_id}/ratableSummaries/{ratable_id}"
    return NotFound.of("RatableSummary", name)


def _no_liable(account_id: AccountId, liable_id: LiableSummaryId) -> NotFound:
    name = f"accounts/{account_id}/liableSummaries/{liable_id}"
    return NotFound.of("LiableSummary", name)
