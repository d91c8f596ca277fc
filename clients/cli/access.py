"""`usage tenant`, `usage credential` and `usage clock`: who may call, and what time it is."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.console import Console
from usage_management.v1 import access_service_pb2 as pb

from clients import UsageClient
from clients.cli.names import named, stamp
from clients.cli.session import REFUSED, session
from clients.pages import pages
from clients.screens import last, rows, when

POLL_SECONDS = 0.1
OWN_TENANT = "tenants/-"
WINDOW = FieldMask(paths=["usage_window_days"])

tenant = typer.Typer(help="Tenants, mostly with an operator's key.", no_args_is_help=True)
credential = typer.Typer(help="Keys of a tenant, and their roles.", no_args_is_help=True)
clock = typer.Typer(help="The clock of the tenant.", no_args_is_help=True)

TENANT = Annotated[
    str | None,
    typer.Option(help="the tenant, with an operator's key; that of the key if not given"),
]


class Role(StrEnum):
    """A role of a credential."""

    ADMIN = "admin"
    DESIGNER = "designer"
    RATE_MANAGER = "rate-manager"
    RUN_TIME_USER = "run-time-user"
    WALLET_USER = "wallet-user"
    COLLECTOR = "collector"
    OPERATOR = "operator"


@tenant.command("create")
def create_tenant(
    context: typer.Context,
    tenant_id: Annotated[str, typer.Argument(metavar="TENANT", help="its id")],
    clock_start: Annotated[
        str | None,
        typer.Option(
            "--clock",
            metavar="TIME",
            help="make it a sandbox, whose clock starts then and is moved by `usage clock`",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="the name for people")] = "",
    empty_catalog: Annotated[
        bool, typer.Option("--empty-catalog", help="without the usual units and currencies")
    ] = False,
) -> None:
    """Create a tenant; a repeat changes nothing."""
    now = session(context)
    made = pb.Tenant(
        display_name=name, clock_start_time=stamp(clock_start) if clock_start else None
    )

    async def work(client: UsageClient) -> None:
        request = pb.CreateTenantRequest(
            tenant_id=last(tenant_id), tenant=made, empty_catalog=empty_catalog
        )
        answer = await client.access.CreateTenant(request)
        now.show(answer, "", f"{answer.name}: {_clock(answer)}")
        now.hint(f"credential create --tenant {last(answer.name)} --role admin")

    now.run(work, as_operator=True)


@tenant.command("list")
def list_tenants(context: typer.Context) -> None:
    """List all tenants."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = pb.ListTenantsRequest()
        found = [one async for one in pages(client.access.ListTenants, request)]
        cells = [(last(one.name), one.display_name, _clock(one)) for one in found]
        now.show(found, "tenants", rows(("tenant", "name", "clock"), cells))

    now.run(work, as_operator=True)


@tenant.command("window")
def set_window(
    context: typer.Context,
    days: Annotated[
        int, typer.Argument(min=1, max=3650, help="the greatest age of usage that is recorded")
    ],
    tenant: TENANT = None,
) -> None:
    """Set how old usage may be when it is recorded, amended or previewed; 400 days if never set."""
    now = session(context)
    wanted = pb.Tenant(name=named("tenants", tenant) or OWN_TENANT, usage_window_days=days)

    async def work(client: UsageClient) -> None:
        request = pb.UpdateTenantRequest(tenant=wanted, update_mask=WINDOW)
        answer = await client.access.UpdateTenant(request)
        now.show(answer, "", f"{answer.name}: usage of the last {answer.usage_window_days} days")

    now.run(work, as_operator=tenant is not None)


@credential.command("create")
def create_credential(
    context: typer.Context,
    role: Annotated[list[Role], typer.Option(help="what it may do; repeatable")],
    tenant: TENANT = None,
    name: Annotated[str, typer.Option(help="the name for people")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="when it ends; never if not given")
    ] = None,
) -> None:
    """Create a credential, and print its key, which cannot be read again.

    Only the key is on standard output, as in `export USAGE_KEY=$(usage credential create …)`.
    """
    now = session(context)
    made = pb.Credential(
        display_name=name,
        roles=[pb.Credential.Role.Value(one.name) for one in role],
        tenant=named("tenants", tenant),
        expire_time=stamp(expires) if expires else None,
    )

    async def work(client: UsageClient) -> None:
        answer = await client.access.CreateCredential(pb.CreateCredentialRequest(credential=made))
        about = f"{answer.credential.name}, {', '.join(role)}"
        if not now.as_json:
            Console(stderr=True, highlight=False).print(about, style="dim", soft_wrap=True)
        now.show(answer, "", answer.key)

    now.run(work, as_operator=tenant is not None)


@credential.command("revoke")
def revoke_credential(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CREDENTIAL", help="its id or its name")],
    tenant: TENANT = None,
) -> None:
    """Revoke a credential; it stops working within seconds."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = pb.RevokeCredentialRequest(
            name=named("credentials", name), tenant=named("tenants", tenant)
        )
        answer = await client.access.RevokeCredential(request)
        now.show(answer, "", f"{answer.name} is revoked since {when(answer.revoke_time)} UTC")

    now.run(work, as_operator=tenant is not None)


@clock.command("show")
def show_clock(context: typer.Context) -> None:
    """Show the time by which periods end; a sandbox's is moved by `clock advance`."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        answer = await client.access.GetTenant(pb.GetTenantRequest(name=OWN_TENANT))
        now.show(answer, "", f"{answer.name}: {_clock(answer)}")

    now.run(work)


@clock.command("advance")
def advance_clock(
    context: typer.Context,
    to: Annotated[
        str, typer.Argument(metavar="TIME", help="2026-02-05, its beginning in UTC, or with a time")
    ],
) -> None:
    """Advance the clock of a sandbox, and wait for all that falls due; exit 1 if it stops."""
    now = session(context)

    async def work(client: UsageClient) -> int:
        run = await client.access.AdvanceClock(pb.AdvanceClockRequest(to_time=stamp(to)))
        with Console(stderr=True).status("the clock moves on"):
            while run.state == pb.Run.RUNNING:
                await asyncio.sleep(POLL_SECONDS)
                run = await client.access.GetRun(pb.GetRunRequest(name=run.name))
        counts = sorted(run.done_counts.items())
        done = ", ".join(f"{count} × {kind.replace('_', ' ')}" for kind, count in counts)
        now.show(run, "", f"clock at {when(run.clock_current_time)} UTC; done: {done or 'nothing'}")
        if run.state == pb.Run.DONE:
            return 0
        if not now.as_json:
            now.console.print(
                f"stopped at {run.failed_job}: {run.error.message}\n  `usage status` lists it.",
                style="red",
                markup=False,
                soft_wrap=True,
            )
        return REFUSED

    now.run(work)


def _clock(tenant: pb.Tenant) -> str:
    kind = "sandbox" if tenant.HasField("clock_start_time") else "real time"
    return f"{when(tenant.clock_time)} UTC, {kind}"
