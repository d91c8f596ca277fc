"""Read a correction: the lines that it changed, each with the difference, and its entries."""

from dataclasses import dataclass
from decimal import Decimal

from server.domain.errors import NotFound
from server.domain.exact import ZERO, exact
from server.domain.ids import AccountId, CorrectionId
from server.store.billing import correction_reads as store
from server.store.billing.correction_reads import PostedEntry, StoredCorrection
from server.store.billing.summary_reads import RatableSummary
from server.store.connection import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedLine:
    """A line that a correction made, the one that it replaced, and the differences of figures."""

    after: RatableSummary
    before: RatableSummary | None
    used: Decimal
    drawn: Decimal
    overage: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeCorrection:
    """A correction with its lines and its entries."""

    correction: StoredCorrection
    lines: tuple[ChangedLine, ...]
    entries: tuple[PostedEntry, ...]


async def get_correction(
    tx: Transaction, account_id: AccountId, correction_id: CorrectionId
) -> WholeCorrection:
    """Return one correction. Raises CORRECTION_NOT_FOUND."""
    found = await store.find_corrections(tx, account_id, [correction_id])
    if correction_id not in found:
        name = f"accounts/{account_id}/corrections/{correction_id}"
        raise NotFound.of("Correction", name)
    before = await store.lines_before(tx, account_id, correction_id)
    lines = await store.lines(tx, account_id, correction_id)
    return WholeCorrection(
        correction=found[correction_id],
        lines=tuple(changed(line, before.get(line.ratable_summary_id)) for line in lines),
        entries=tuple(await store.entries(tx, account_id, correction_id)),
    )


@exact
def changed(after: RatableSummary, before: RatableSummary | None) -> ChangedLine:
    """Return a line with its differences from the one that it replaced, or from nothing."""
    amount = ZERO if after.amount is None else after.amount
    if before is None:
        return ChangedLine(
            after=after,
            before=None,
            used=after.used_quantity,
            drawn=after.drawn_quantity,
            overage=after.overage_quantity,
            amount=amount,
        )
    return ChangedLine(
        after=after,
        before=before,
        used=after.used_quantity - before.used_quantity,
        drawn=after.drawn_quantity - before.drawn_quantity,
        overage=after.overage_quantity - before.overage_quantity,
        amount=amount - (ZERO if before.amount is None else before.amount),
    )
