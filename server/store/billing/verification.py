"""The reads of verification: inconsistencies that the database can find by itself."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from asyncpg import Record

from server.domain.billing.verification import BilledLine, Difference
from server.domain.exact import plain
from server.domain.ids import AccountId, CellId, WalletId
from server.domain.settlement.ledger import Head
from server.domain.settlement.rewinding import ALL_PERIODS, Span
from server.domain.settlement.wallet_states import FinalCell
from server.store.connection import Transaction
from server.store.settlement.ledger import head_of
from server.store.settlement.wallet_rows import decode_cell
from server.store.sql import load

SQL = load("billing/verification.sql")

# For each figure: its name in a difference, the cell's column, and the column computed from
# records.
CELL_FIGURES = (
    ("record count", "record_count", "n"),
    ("sum", "sum_quantity", "total"),
    ("peak", "max_quantity", "largest"),
    ("least", "min_quantity", "smallest"),
    ("latest", "last_quantity", "latest"),
    ("held", "held_quantity", "held"),
)


async def heads(tx: Transaction, account_id: AccountId) -> dict[WalletId, Head]:
    """Return the heads of the ledgers of an account, as its wallets store them."""
    rows = await tx.fetch(SQL["wallets"], tx.tenant_id, account_id)
    return {WalletId(row["wallet_id"]): head_of(row) for row in rows}


async def billed_lines(tx: Transaction, account_id: AccountId) -> list[BilledLine]:
    """Return the invoice-ready lines of an account, without their quantities."""
    prefix = f"accounts/{account_id}/liableSummaries"
    rows = await tx.fetch(SQL["billed_lines"], tx.tenant_id, account_id)
    return [
        BilledLine(name=f"{prefix}/{id_}", **values)
        for id_, values in ((one.pop("liable_summary_id"), one) for one in map(dict, rows))
    ]


async def final_cells(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, span: Span = ALL_PERIODS
) -> list[FinalCell]:
    """Return the cells of a wallet's final periods: of all, or of some."""
    rows = await tx.fetch(SQL["final_cells"], tx.tenant_id, account_id, wallet_id, *span)
    return [
        FinalCell(
            cell=decode_cell(wallet_id, row["cell"]),
            quantity=row["quantity"],
            drawn=row["drawn_quantity"],
            overage=row["overage_quantity"],
        )
        for row in rows
    ]


async def token_quantities(
    tx: Transaction, account_id: AccountId, wallet_id: WalletId, span: Span
) -> dict[CellId, tuple[CellId, Decimal]]:
    """Return the token cells that come from cells of some periods and their tokens, by these."""
    args = (tx.tenant_id, account_id, wallet_id, *span)
    rows = await tx.fetch(SQL["token_quantities"], *args)
    return {
        CellId(row["source_summary_id"]): (CellId(row["usage_summary_id"]), row["sum_quantity"])
        for row in rows
    }


async def count_records(tx: Transaction, account_id: AccountId) -> int:
    """Return the number of usage records of an account."""
    number: int = await tx.fetchval(SQL["count_records"], tx.tenant_id, account_id)
    return number


async def differences(tx: Transaction, account_id: AccountId) -> list[Difference]:
    """Return the differences between records, cells, entries, ratable and liable lines."""
    key = tx.tenant_id, account_id
    prefix = f"accounts/{account_id}"
    differences: list[Difference] = []
    for row in await tx.fetch(SQL["cells_and_records"], *key):
        differences += _cell(f"{prefix}/usageSummaries/{row['usage_summary_id']}", row)
    for row in await tx.fetch(SQL["records_without_cell"], *key):
        name = f"{prefix}/usageRecords/{row['record_id']}"
        differences.append(_finding("usage summary", name, "one", "none"))
    for row in await tx.fetch(SQL["grant_heads"], *key):
        name = f"{prefix}/wallets/{row['wallet_id']}/grants/{row['grant_id']}"
        due = (row["grant_seq"] or 0, row["grant_after"] or Decimal(0))
        is_ = (row["head_seq"], row["balance"])
        differences.append(_finding("head", name, f"{due[0]}: {due[1]}", f"{is_[0]}: {is_[1]}"))
    for row in await tx.fetch(SQL["cells_and_entries"], *key):
        name = f"{prefix}/usageSummaries/{row['usage_summary_id']}"
        differences.append(_finding("drawn quantity", name, row["drawn"], row["drawn_quantity"]))
    for row in await tx.fetch(SQL["moves_that_differ"], *key):
        name = f"{prefix}/wallets/{row['wallet_id']}/grants/{row['grant_id']}"
        differences.append(_finding("moved quantity", name, row["moved_out"], row["moved_in"]))
    for row in await tx.fetch(SQL["ratables_and_cells"], *key):
        name = f"{prefix}/ratableSummaries/{row['ratable_summary_id']}"
        due, is_ = (row["used"], row["overage"]), (row["used_quantity"], row["overage_quantity"])
        figures = "used quantity and overage"
        differences.append(_finding(figures, name, f"{due[0]}, {due[1]}", f"{is_[0]}, {is_[1]}"))
    for row in await tx.fetch(SQL["liables_and_ratables"], *key):
        name = f"{prefix}/liableSummaries/{row['liable_summary_id']}"
        differences.append(_finding("exact amount", name, row["amount"], row["exact_amount"]))
    for row in await tx.fetch(SQL["periods_out_of_turn"], *key):
        name = f"{prefix}/wallets/{row['wallet_id']}"
        text = f"final from {row['start_time'].isoformat()}"
        differences.append(_finding("rating period", name, "final in order", text))
    return differences + await _stopped(tx, account_id)


async def _stopped(tx: Transaction, account_id: AccountId) -> list[Difference]:
    """Return open periods and changed final ones whose jobs were refused or are in quarantine."""
    differences = []
    for row in await tx.fetch(SQL["closes_that_stopped"], tx.tenant_id, account_id):
        name = f"accounts/{account_id}/wallets/{row['wallet_id']}"
        is_ = f"open because jobs/{row['job_id']} is {row['state']} ({row['error']})"
        due = "final; correct the cause and retry the job (RetryJob)"
        what = f"rating period from {row['start_time'].isoformat()}"
        differences.append(_finding(what, name, due, is_))
    for row in await tx.fetch(SQL["corrections_that_stopped"], tx.tenant_id, account_id):
        name = f"accounts/{account_id}/wallets/{row['wallet_id']}"
        is_ = f"not made because jobs/{row['job_id']} is {row['state']} ({row['error']})"
        due = "made; correct the cause and retry the job (RetryJob)"
        what = f"correction from {row['start_time'].isoformat()}"
        differences.append(_finding(what, name, due, is_))
    return differences


def _cell(name: str, row: Record) -> Iterator[Difference]:
    for what, is_, due in CELL_FIGURES:
        if row[is_] != row[due]:
            yield _finding(what, name, row[due], row[is_])


def _finding(what: str, name: str, expected: Any, actual: Any) -> Difference:
    return Difference(what=what, name=name, expected=_text(expected), found=_text(actual))


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
