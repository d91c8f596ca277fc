"""The export of a catalog: its records by kind, in the order in which a setup creates them."""

from dataclasses import dataclass
from typing import Any

from server.domain.ids import ProcedureId
from server.domain.modeling.catalog import StoredRecord
from server.domain.rating.procedures.versions import ProcedureUsage
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.records import Kind
from server.store.rating import procedures
from server.usecases.catalog_changes.catalog_setup import KINDS
from server.usecases.modeling.records import as_of_today


@dataclass(frozen=True, slots=True)
class Exported:
    """A record of the catalog: its kind, by its position among the kinds, and its content.

    `newest` is the number of its newest version, which may begin on a later day.
    """

    position: int
    record: StoredRecord[Any]
    newest: int

    @property
    def kind(self) -> Kind[Any]:
        """The kind of the record."""
        return KINDS[self.position]

    @property
    def key(self) -> tuple[int, str, str]:
        """The place in the order of the export; the second id is empty if the kind has one."""
        first, *second = self.kind.key(self.record.content)
        return self.position, first, "".join(second)


async def list_catalog(
    tx: Transaction, after: tuple[int, str, str] | None, limit: int
) -> list[Exported]:
    """Return records of the catalog after the key of the last one seen.

    Policies have the version that is in force today.
    """
    position, *last = after or (0, "", "")
    found: list[Exported] = []
    while position < len(KINDS) and len(found) < limit:
        kind = KINDS[position]
        page = await records.list_records(
            tx,
            kind,
            after=tuple(last[: kind.pattern.count("{}")]),
            limit=limit - len(found),
        )
        shown = await as_of_today(tx, kind, page)
        found += [
            Exported(position, record, stored.version)
            for record, stored in zip(shown, page, strict=True)
        ]
        position, last = position + 1, ["", ""]
    return found


async def default_procedures(tx: Transaction) -> list[ProcedureId]:
    """Return the procedures that are the default of a usage."""
    found = [await procedures.default(tx, usage) for usage in ProcedureUsage]
    return [procedure_id for procedure_id in found if procedure_id is not None]
