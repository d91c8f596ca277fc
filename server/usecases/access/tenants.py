"""Tenants: the operator's own tenant, which is created first, and the others."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from server.domain.access import Role
from server.domain.errors import AlreadyExists, InvalidArgument, NotFound
from server.domain.ids import TenantId, derive
from server.domain.limits import value_of
from server.domain.modeling.seeds import CLASSES, UNITS
from server.store.access import credentials as credential_store
from server.store.access import tenants as store
from server.store.access.tenants import Tenant
from server.store.connection import Transaction
from server.store.modeling import seeds as seed_store
from server.store.shares import SharedPool
from server.store.transaction import transact
from server.usecases.access import credentials
from server.usecases.access.credentials import CreateCredential
from server.usecases.modeling.currencies import units_of_currency
from server.usecases.rating import procedures

# Tenant ids are derived in this namespace, so creating a tenant twice has the effect of creating it
# once.
SPACE = UUID("6f2b1d0e-7a63-5c0c-9d54-1f0e8a7c2b10")
OPERATOR = "operator"
WINDOW_DAYS = value_of("record.window_days")
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTenant:
    """A tenant to create; with a `clock` it is a sandbox whose clock starts there.

    It starts with the shipped procedures and, unless it is `empty`, with common units and the ISO
    currencies.
    """

    name: str
    display_name: str = ""
    clock: datetime | None = None
    usage_window_days: int = WINDOW_DAYS
    empty: bool = False

    @property
    def tenant_id(self) -> TenantId:
        """The tenant's id; names that differ only in case have the same one."""
        return tenant_id_of(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTenant:
    """New settings of a tenant; None keeps the old one."""

    display_name: str | None = None
    usage_window_days: int | None = None


def tenant_id_of(name: str) -> TenantId:
    """Return the id behind a tenant's name."""
    # In lower case, because names are matched without case.
    return TenantId(derive(SPACE, name.lower()))


async def create_first_tenant(pool: SharedPool) -> str | None:
    """Create the operator's tenant and a first key; return None if it has a usable key already."""
    tenant_id = tenant_id_of(OPERATOR)

    async def work(tx: Transaction) -> str | None:
        await store.add(
            tx,
            name=OPERATOR,
            display_name="Operator",
            clock=None,
            usage_window_days=WINDOW_DAYS,
        )
        # The clock's lock is that of the tenant's row: a concurrent caller waits here, and then
        # finds the key.
        await store.lock_clock(tx)
        if await credential_store.count(tx):
            return None
        first = CreateCredential(display_name="the first operator", roles=(Role.OPERATOR,))
        _, key = await credentials.create(tx, first)
        return key

    return await transact(pool, tenant_id, work)


async def create(tx: Transaction, command: CreateTenant) -> Tenant:
    """Create a tenant, or return the equal one that exists. Raises CODE_TAKEN."""
    if command.clock is not None and command.clock < EARLIEST:
        raise InvalidArgument.at(
            "tenant.clock_start_time", "TIMESTAMP_RANGE", "must be in 1990 or later"
        )
    is_new = await store.add(
        tx,
        name=command.name,
        display_name=command.display_name,
        clock=command.clock,
        usage_window_days=command.usage_window_days,
    )
    # Seeded only once: a tenant may have deleted or changed what it started with.
    if is_new:
        await procedures.seed(tx)
    if is_new and not command.empty:
        await seed_store.add(tx, CLASSES, (*UNITS, *units_of_currency()))
    tenant = await get(tx, command.name)
    pairs = {
        "tenant_id": (tenant.id, command.name),
        "display_name": (tenant.display_name, command.display_name),
        "clock_start_time": (tenant.clock_start_time, command.clock),
        "usage_window_days": (tenant.usage_window_days, command.usage_window_days),
    }
    differing = [name for name, (is_, wanted) in pairs.items() if is_ != wanted]
    if differing:
        names = ", ".join(differing)
        text = f"tenants/{tenant.id} is there and differs in {names}"
        raise AlreadyExists("CODE_TAKEN", text, {"fields": names})
    return tenant


async def update(tx: Transaction, command: UpdateTenant, name: str) -> Tenant:
    """Change settings of the transaction's tenant, called `name` in errors.

    Raises TENANT_NOT_FOUND.
    """
    await store.save(
        tx, display_name=command.display_name, usage_window_days=command.usage_window_days
    )
    return await get(tx, name)


async def get(tx: Transaction, name: str = "-") -> Tenant:
    """Return the transaction's tenant, called `name` in errors. Raises TENANT_NOT_FOUND."""
    tenant = await store.find(tx)
    if tenant is None:
        raise NotFound.of("Tenant", f"tenants/{name}")
    return tenant
