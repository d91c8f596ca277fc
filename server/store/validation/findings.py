"""Findings of a validation run: kept with the run, listed by product and rule."""

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
    """One breach of a rule by a product; `position` counts those of the rule from 0."""

    product_id: ProductId
    rule_id: str
    severity: Severity
    position: int
    message: str
    records: tuple[str, ...]

    @property
    def key(self) -> FindingKey:
        """Its place in the run."""
        return self.product_id, self.rule_id, self.position


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsQuery:
    """Which findings are listed; None for any."""

    severity: Severity | None = None
    rule_id: str | None = None
    product_id: ProductId | None = None


async def count_products(tx: Transaction) -> int:
    """How many products there are to look at."""
    found: int = await tx.fetchval(SQL["count_products"], tx.tenant_id)
    return found


async def next_products(tx: Transaction, after: str, limit: int) -> list[ProductId]:
    """The products after one, by id."""
    rows = await tx.fetch(SQL["next_products"], tx.tenant_id, after, limit)
    return [ProductId(row["product_id"]) for row in rows]


async def add(tx: Transaction, run_id: RunId, findings: Sequence[CatalogFinding]) -> None:
    """Keep what was found."""
    await tx.executemany(
        SQL["add_finding"],
        [
            (
                tx.tenant_id,
                run_id,
                one.product_id,
                one.rule_id,
                one.position,
                one.severity,
                one.message,
                list(one.records),
            )
            for one in findings
        ],
    )


async def list_findings(
    tx: Transaction,
    run_id: RunId,
    asked: FindingsQuery,
    *,
    after: FindingKey | None,
    limit: int,
) -> list[CatalogFinding]:
    """Findings of a run by product, rule and position, after the last one seen."""
    product, rule, position = after or (None, None, 0)
    rows = await tx.fetch(
        SQL["list_findings"],
        tx.tenant_id,
        run_id,
        asked.severity,
        asked.rule_id,
        asked.product_id,
        product,
        rule,
        position,
        limit,
    )
    return [_finding(row) for row in rows]


async def forget_old(tx: Transaction, kept: timedelta) -> None:
    """Forget what was found by runs that ended longer ago, by the database's clock."""
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
