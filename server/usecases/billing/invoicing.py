"""Mark liable lines as invoiced: the caller's invoice has them, and they do not change any more."""

from dataclasses import dataclass

from server.domain.errors import FailedPrecondition, NotFound
from server.store.access import tenants
from server.store.billing import summaries as store
from server.store.billing.summary_reads import (
    LiableKey,
    LiableState,
    LiableSummary,
    find_liables,
)
from server.store.connection import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkInvoiced:
    """The liable lines, each with its account, and the reference of the invoice that has them."""

    lines: tuple[LiableKey, ...]
    invoice: str


async def mark_invoiced(tx: Transaction, command: MarkInvoiced) -> list[LiableSummary]:
    """Mark the lines, all or none, and return them in the order of the command.

    A line that the same invoice has already stays as it is. Raises LIABLE_SUMMARY_NOT_FOUND,
    ALREADY_INVOICED, RATING_FAILED.
    """
    known = await store.lock_liables(tx, command.lines)
    missing = [key for key in command.lines if key not in known]
    if missing:
        # A correction may have made them again while this waited for it: a new statement finds
        # them.
        known |= await store.lock_liables(tx, missing)
    new = []
    for key in command.lines:
        account_id, liable_id = key
        name = f"accounts/{account_id}/liableSummaries/{liable_id}"
        if key not in known:
            raise NotFound.of("LiableSummary", name)
        state, invoice = known[key]
        if state == LiableState.FAILED:
            text = f"some of the usage of {name} could not be rated; its amount is not whole"
            raise FailedPrecondition("RATING_FAILED", text, {"name": name})
        if invoice not in (None, command.invoice):
            text = f"{name} is in the invoice {invoice}, not in {command.invoice}"
            facts = {"name": name, "invoice": str(invoice)}
            raise FailedPrecondition("ALREADY_INVOICED", text, facts)
        if invoice is None:
            new.append(key)
    if new:
        await store.mark_invoiced(tx, new, command.invoice, await tenants.now(tx))
    found = await find_liables(tx, command.lines)
    return [found[key] for key in command.lines]
