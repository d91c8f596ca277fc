"""Mark liable lines as invoiced: the caller's invoice has them, and they do not change any more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from server.domain.errors import Aborted, FailedPrecondition, NotFound
from server.domain.exact import plain
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
    """The liable lines, each with its account, and the reference of the invoice that has them.

    `revisions` are those that the caller has read, of any of the lines.
    """

    lines: tuple[LiableKey, ...]
    invoice: str
    revisions: Mapping[LiableKey, int] = field(default_factory=dict)


async def mark_invoiced(tx: Transaction, command: MarkInvoiced) -> list[LiableSummary]:
    """Mark the lines, all or none, and return them in the order of the command.

    A line that the same invoice has already stays as it is. Raises LIABLE_SUMMARY_NOT_FOUND,
    ALREADY_INVOICED, RATING_FAILED, ETAG_MISMATCH.
    """
    known = await store.lock_liables(tx, command.lines)
    missing = [key for key in command.lines if key not in known]
    if missing:
        # A correction may have made them again while this waited for it: a new statement finds
        # them.
        known |= await store.lock_liables(tx, missing)
    new = []
    for key in command.lines:
        name = _name(key)
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
    if command.revisions:
        _refuse_unseen(command.revisions, (await find_liables(tx, command.revisions)).values())
    if new:
        await store.mark_invoiced(tx, new, command.invoice, await tenants.now(tx))
    found = await find_liables(tx, command.lines)
    return [found[key] for key in command.lines]


def _refuse_unseen(revisions: Mapping[LiableKey, int], found: Iterable[LiableSummary]) -> None:
    """Raise ETAG_MISMATCH if a line is not in the revision that the caller has read."""
    unseen = [line for line in found if revisions[_key(line)] != line.revision]
    if not unseen:
        return
    line = min(unseen, key=_key)
    name, amount = _name(_key(line)), f"{plain(line.amount)} {line.currency_code}"
    facts = {"name": name, "etag": f'"{line.revision}"', "amount": amount}
    text = f"{name} has changed since it was read: its amount is {amount}"
    read = revisions[_key(line)]
    if 0 < read < line.revision:
        before = f"{plain(line.superseded[read - 1].amount)} {line.currency_code}"
        facts["expected_amount"] = before
        text += f", and was {before}"
    more = ""
    if len(unseen) > 1:
        facts["others"] = str(len(unseen) - 1)
        more = f" (others that have changed: {facts['others']})"
    raise Aborted("ETAG_MISMATCH", f"{text}; read it again{more}", facts)


def _key(line: LiableSummary) -> LiableKey:
    return line.account_id, line.liable_summary_id


def _name(key: LiableKey) -> str:
    return f"accounts/{key[0]}/liableSummaries/{key[1]}"
