"""Procedures: the check of a version, the version used on a day, and the tenant's defaults."""

from dataclasses import dataclass
from datetime import date

from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import ProcedureId, ProcedureVersionId
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.domain.rating.compiled_rating import (
    CompiledRating,
    RatingVersions,
)
from server.domain.rating.procedures.programs import check
from server.domain.rating.procedures.shipped import SHIPPED, USUAL
from server.domain.rating.procedures.versions import (
    Candidate,
    Procedure,
    ProcedureUsage,
    Version,
    choose,
)
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.rating import procedures as store
from server.store.rating.procedures import PROCEDURE, VERSION

NOT_IN_FORCE = "PROCEDURE_NOT_IN_FORCE"
_WORDS = {
    ProcedureUsage.RATING: "makes amounts of lines; it looks for no rates",
    ProcedureUsage.DISCOVERY: "looks for rates; it makes no amounts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The procedure that is used, its version on that day, and the verdict on every version."""

    procedure_id: ProcedureId
    version: Version | None
    candidates: tuple[Candidate, ...]
    day: date


async def seed(tx: Transaction) -> None:
    """Give a new tenant the shipped procedures."""
    await store.seed(tx, SHIPPED)
    for usage, procedure_id in USUAL.items():
        await store.set_default(tx, usage, procedure_id)


async def check_version(tx: Transaction, wanted: Version) -> Version:
    """Return the version. Raises PROCEDURE_NOT_FOUND, PROCEDURE_INVALID, FORMULA_INVALID."""
    procedure = (await records.get(tx, PROCEDURE, wanted.procedure_id)).content
    check(wanted.elements, procedure.usage, path="procedure_version.elements")
    return wanted


async def set_default(
    tx: Transaction, procedure_id: ProcedureId
) -> tuple[StoredRecord[Procedure], ProcedureId | None]:
    """Make a procedure the default of its usage; returns it and the previous default.

    Raises PROCEDURE_NOT_FOUND, RESOURCE_INACTIVE.
    """
    # Serializes changes of the default, and invalidates the cached rates.
    await tenants.bump_catalog(tx)
    found = await records.get(tx, PROCEDURE, procedure_id)
    if found.state is not CatalogState.ACTIVE:
        name = PROCEDURE.resource_name(procedure_id)
        text = f"{name} is {found.state}; only what is active can be the default"
        raise FailedPrecondition("RESOURCE_INACTIVE", text, {"name": name})
    usage = found.content.usage
    replaced = await store.default(tx, usage)
    await store.set_default(tx, usage, procedure_id)
    return found, replaced


async def resolve(
    tx: Transaction,
    day: date | None,
    *,
    usage: ProcedureUsage | None = None,
    procedure_id: ProcedureId | None = None,
) -> Resolved:
    """Return the version used on `day` or today, of a procedure or of the default.

    Raises PROCEDURE_NOT_FOUND, and PROCEDURE_NOT_IN_FORCE if there is no default.
    """
    asked = procedure_id
    if asked is None:
        assert usage is not None
        asked = await store.default(tx, usage)
    else:
        await records.get(tx, PROCEDURE, asked)
    if asked is None:
        text = f"no procedure is the default for {usage}; SetDefaultProcedure makes one"
        raise FailedPrecondition(NOT_IN_FORCE, text, {"usage": str(usage)})
    on = day or (await tenants.now(tx)).date()
    version, candidates = choose(await store.versions(tx, asked), on)
    return Resolved(procedure_id=asked, version=version, candidates=candidates, day=on)


async def get_version(
    tx: Transaction,
    procedure_id: ProcedureId,
    version_id: ProcedureVersionId,
    usage: ProcedureUsage,
) -> Version:
    """Return a version to simulate, in any state. Raises `…_NOT_FOUND`, PROCEDURE_USAGE."""
    procedure = (await records.get(tx, PROCEDURE, procedure_id)).content
    version = (await records.get(tx, VERSION, procedure_id, version_id)).content
    if procedure.usage is not usage:
        raise _not_for_this(procedure, "version")
    return version


def _not_for_this(procedure: Procedure, path: str) -> InvalidArgument:
    text = f"procedures/{procedure.id} {_WORDS[procedure.usage]}"
    return InvalidArgument.at(path, "PROCEDURE_USAGE", text, usage=str(procedure.usage))


async def versions_of(tx: Transaction, procedure_id: ProcedureId) -> RatingVersions:
    """Return the versions that would rate if a procedure were the default.

    Raises PROCEDURE_NOT_FOUND, PROCEDURE_USAGE.
    """
    procedure = (await records.get(tx, PROCEDURE, procedure_id)).content
    if procedure.usage is not ProcedureUsage.RATING:
        raise _not_for_this(procedure, "procedure")
    found = await store.versions(tx, procedure_id)
    active = [version for version, state in found if state is CatalogState.ACTIVE]
    return RatingVersions(tuple(map(CompiledRating.of, sorted(active, key=lambda one: -one.rank))))
