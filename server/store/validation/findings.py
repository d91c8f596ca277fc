"""Findings of a validation run, stored with the run and listed by product and rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from asyncpg import Record

from server.domain.ids import ProductId, RunId
from server.domain.validation import Severity
from server.store.connection import Transaction
from server.store.sql import load

SQL = load("validation/findings.sql")


FindingKey = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFinding:
    """One violation of a rule by a product; `position` counts those of the rule from 0."""

    product_id: ProductId
    rule_id: str
    severity: Severity
    position: int
    message: str
    records: tuple[str, ...]

    @property
    def key(self) -> FindingKey:
        """The sort key of the finding within its run."""
        return self.product_id, self.rule_id, self.position


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsQuery:
    """The filters of a list of findings; None for any."""

    severity: Severity | None = None
    rule_id: str | None = None
    product_id: ProductId | None = None


async def count_products(tx: Transaction) -> int:
    """Return the number of products to validate."""
    number: int = await tx.fetchval(SQL["count_products"], tx.tenant_id)
    return number


async def next_products(tx: Transaction, after: str, limit: int) -> list[ProductId]:
    """Return the next products by id, after the last one seen."""
    rows = await tx.fetch(SQL["next_products"], tx.tenant_id, after, limit)
    return [ProductId(row["product_id"]) for row in rows]


async def add(tx: Transaction, run_id: RunId, findings: Sequence[CatalogFinding]) -> None:
    """Insert findings."""
    await tx.executemany(
        SQL["add_finding"],
        [
            (
                tx.tenant_id,
                run_id,
                finding.product_id,
                finding.rule_id,
                finding.position,
                finding.severity,
                finding.message,
                list(finding.records),
            )
            for finding in findings
        ],
    )


async def list_findings(
    tx: Transaction,
    run_id: RunId,
    only: FindingsQuery,
    *,
    after: FindingKey | None,
    limit: int,
) -> list[CatalogFinding]:
    """Return findings of a run by product, rule and position, after the last one seen."""
    product, rule, position = after or (None, None, 0)
    rows = await tx.fetch(
        SQL["list_findings"],
        tx.tenant_id,
        run_id,
        only.severity,
        only.rule_id,
        only.product_id,
        product,
        rule,
        position,
        limit,
    )
    return [_finding(row) for row in rows]


async def forget_old(tx: Transaction, kept: timedelta) -> None:
    """Delete the findings of runs that ended longer ago than `kept`, by the database's clock."""
    await tx.execute(SQL["forget_old"], tx.tenant_id, kept)


def _finding(row: Record) -> CatalogFinding:
    return CatalogFinding(
        product_id=ProductId(row["product_id"]),
        rule_id=row["rule_id"],
        severity=Severity(row["severity"]),
        position=row["position"],
        message=row["message"],
        records=tuple(row["records"]),
    )
