"""Procedures, their versions, and the default procedure of a tenant."""

import time
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec
from asyncpg import Record

from server.domain.caches import memoize
from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.compiled_discovery import (
    SHIPPED_DISCOVERY_VERSIONS,
    CompiledDiscovery,
    DiscoveryVersions,
)
from server.domain.rating.compiled_rating import CompiledRating, RatingVersions, VersionKey
from server.domain.rating.procedures.versions import Procedure, ProcedureUsage, TimeLimits, Version
from server.store.connection import Transaction
from server.store.modeling.records import Kind
from server.store.rating.procedure_documents import decode_elements, encode_elements
from server.store.sql import load

SQL = load("rating/procedures.sql")


def _procedure(row: Record) -> Procedure:
    return Procedure(
        id=ProcedureId(row["procedure_id"]),
        display_name=row["display_name"],
        usage=ProcedureUsage(row["usage"]),
    )


def _version(row: Record) -> Version:
    return Version(
        procedure_id=ProcedureId(row["procedure_id"]),
        id=ProcedureVersionId(row["version_id"]),
        display_name=row["display_name"],
        rank=row["rank"],
        start_date=row["start_date"],
        end_date=row["end_date"],
        elements=decode_elements(row["elements"]),
        limits=TimeLimits(run=row["run_milliseconds"], element=row["element_milliseconds"]),
    )


PROCEDURE: Kind[Procedure] = Kind(
    name="Procedure",
    pattern="procedures/{}",
    table="procedures",
    columns=(
        "procedure_id",
        "display_name",
        "usage",
    ),
    filters=("usage",),
    key=lambda record: (record.id,),
    to_row=lambda record: (record.id, record.display_name, record.usage),
    from_row=_procedure,
    fields={},
    change_states="ChangeProcedureStates",
    returns_to_draft=False,
)
VERSION: Kind[Version] = Kind(
    name="ProcedureVersion",
    pattern="procedures/{}/versions/{}",
    table="procedure_versions",
    columns=(
        "procedure_id",
        "version_id",
        "display_name",
        "rank",
        "start_date",
        "end_date",
        "run_milliseconds",
        "element_milliseconds",
        "elements",
    ),
    key=lambda record: (record.procedure_id, record.id),
    to_row=lambda record: (
        record.procedure_id,
        record.id,
        record.display_name,
        record.rank,
        record.start_date,
        record.end_date,
        record.limits.run,
        record.limits.element,
        encode_elements(record.elements),
    ),
    from_row=_version,
    fields={"limits": "run_milliseconds, element_milliseconds"},
    change_states="ChangeProcedureStates",
    returns_to_draft=False,
    references=lambda record: [(PROCEDURE, (record.procedure_id,))],
)


async def versions(
    tx: Transaction, procedure_id: ProcedureId
) -> list[tuple[Version, CatalogState]]:
    """Return all versions of a procedure, each with its state."""
    rows = await tx.fetch(SQL["versions"], tx.tenant_id, procedure_id)
    return [(_version(row), CatalogState(row["state"])) for row in rows]


async def rating_versions(tx: Transaction) -> RatingVersions:
    """Return the compiled rating versions of the tenant's default procedure."""
    return decode_versions(await tx.fetchval(SQL["rating_versions"], tx.tenant_id))


class VersionRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A JSON array that the database function `rating_versions` makes."""

    procedure_id: str
    id: str
    rank: int
    start: date | None
    end: date | None
    run_milliseconds: int
    element_milliseconds: int
    elements: msgspec.Raw


_version_rows = msgspec.json.Decoder(tuple[VersionRow, ...])


# Cached by text, so that equal versions are compiled once, also those of different tenants.
@memoize(entries=256, entry_bytes=1_048_576)
def decode_versions(text: str | None) -> RatingVersions:
    """Return the versions compiled from the result of the database function `rating_versions`."""
    if text is None:
        return RatingVersions()
    return RatingVersions(tuple(map(_rater, _version_rows.decode(text))))


async def discovery_versions(tx: Transaction) -> DiscoveryVersions:
    """Return the compiled discovery versions of the tenant."""
    rows = await tx.fetch(SQL["discovery_versions"], tx.tenant_id)
    if not rows:
        # A tenant without a default procedure uses the shipped one.
        return SHIPPED_DISCOVERY_VERSIONS
    versions = tuple(_finder(row) for row in rows if row["version_id"] is not None)
    return DiscoveryVersions(ProcedureId(rows[0]["procedure_id"]), versions)


async def compiled_versions(
    tx: Transaction, keys: Iterable[VersionKey]
) -> dict[VersionKey, CompiledRating]:
    """Return some versions, in any state, compiled without a time limit."""
    names = sorted(set(keys))
    rows = await tx.fetch(
        SQL["some_versions"], tx.tenant_id, [key[0] for key in names], [key[1] for key in names]
    )
    # Verification repeats past ratings; a slow run must not fail it.
    versions = map(_version, rows)
    return {(record.procedure_id, record.id): CompiledRating.of(record) for record in versions}


def _rater(row: VersionRow) -> CompiledRating:
    """Return a compiled version that measures its time limits in processor time."""
    version = Version(
        procedure_id=ProcedureId(row.procedure_id),
        id=ProcedureVersionId(row.id),
        display_name="",
        rank=row.rank,
        start_date=row.start,
        end_date=row.end,
        elements=decode_elements(row.elements),
        limits=TimeLimits(run=row.run_milliseconds, element=row.element_milliseconds),
    )
    # The thread's own processor time, so that a busy machine does not exceed a version's limit.
    return CompiledRating.of(version, time.thread_time_ns)


def _finder(row: Record) -> CompiledDiscovery:
    return CompiledDiscovery.of(
        Version(
            procedure_id=ProcedureId(row["procedure_id"]),
            id=ProcedureVersionId(row["version_id"]),
            display_name="",
            rank=row["rank"],
            start_date=row["start_date"],
            end_date=row["end_date"],
            elements=decode_elements(row["elements"]),
        )
    )


async def default(tx: Transaction, usage: ProcedureUsage) -> ProcedureId | None:
    """Return the default procedure of the tenant for a usage; None if none is set."""
    procedure_id = await tx.fetchval(SQL["default_procedure"], tx.tenant_id, usage)
    return None if procedure_id is None else ProcedureId(procedure_id)


async def set_default(tx: Transaction, usage: ProcedureUsage, procedure_id: ProcedureId) -> None:
    """Set the default procedure of the tenant for a usage."""
    await tx.execute(SQL["set_default"], tx.tenant_id, usage, procedure_id)


async def seed(tx: Transaction, shipped: Sequence[tuple[Procedure, Version]]) -> None:
    """Insert active procedures, each with its version, unless their ids exist."""
    for procedure, version in shipped:
        await tx.execute(SQL["seed_procedure"], tx.tenant_id, *PROCEDURE.to_row(procedure))
        await tx.execute(SQL["seed_version"], tx.tenant_id, *VERSION.to_row(version))
