"""`usage status`: stores, schema, what waits, and the clocks of the tenants."""

import asyncio
import os
from contextlib import suppress
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient, UsageError, screens
from clients.cli.session import UNREACHABLE, Session, as_dict, session
from clients.health import SERVING, health
from clients.home import credentials, home, state
from clients.pages import pages
from clients.tables import FittingTable
from clients.tls import Tls

MOST_JOBS = 1_000
MOST_SHOWN = 5
NOT_SHOWN = ("database_url", "redis_url")


def status(context: typer.Context) -> None:
    """Show the stores, the schema, what waits, and the clocks."""
    now = session(context)
    address, key = now.resolve(needs_key=False)
    tls = now.tls(address)
    found = asyncio.run(_look(address, key, credentials().get("operator_key", ""), tls))
    if now.as_json:
        now.print_json(found)
    else:
        _print(now, found)
    raise typer.Exit(0 if found["health"] == SERVING else UNREACHABLE)


async def _look(address: str, key: str, operator_key: str, tls: Tls | None) -> dict[str, Any]:
    kept = {name: value for name, value in state().items() if name not in NOT_SHOWN}
    found: dict[str, Any] = {
        "address": address,
        "health": await health(address, tls=tls),
        "tls": tls is not None,
        "supervisor": _supervisor(kept.pop("pid", None)),
        "stores": kept,
        "waiting": {},
        "tenants": [],
    }
    if found["health"] != SERVING:
        return found
    async with UsageClient(address, key, tls=tls) as client:
        with suppress(UsageError):
            found["waiting"] = await waiting(client)
        with suppress(UsageError):
            found["tenants"] = [
                as_dict(await client.access.GetTenant(access.GetTenantRequest(name="tenants/-")))
            ]
    async with UsageClient(address, operator_key, tls=tls) as client:
        with suppress(UsageError):
            request = access.ListTenantsRequest()
            found["tenants"] = [
                as_dict(tenant) async for tenant in pages(client.access.ListTenants, request)
            ]
    return found


async def waiting(client: UsageClient) -> dict[str, Any]:
    """Jobs of the caller's tenant that are not done, and those that never will be by themselves."""
    own = await client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    listing: dict[str, Any] = {"tenant": own.name.rpartition("/")[2]}
    for name, wanted in (("pending", access.Job.PENDING), ("failed", access.Job.STATE_UNSPECIFIED)):
        request = access.ListJobsRequest(state=wanted, page_size=MOST_JOBS)
        answer = await client.access.ListJobs(request)
        listing[name] = len(answer.jobs)
        listing[f"{name}_and_more"] = bool(answer.next_page_token)
        if answer.jobs and name == "pending":
            oldest = min(answer.jobs, key=lambda job: (job.fire_time.seconds, job.name))
            listing["oldest_due"] = as_dict(oldest)
        if name == "failed":
            listing["failed_jobs"] = [as_dict(job) for job in answer.jobs[:MOST_SHOWN]]
    return listing


def _supervisor(pid: object) -> str:
    if not isinstance(pid, int):
        return "not running"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "not running"
    except PermissionError:
        pass
    return f"process {pid}"


def _print(now: Session, found: dict[str, Any]) -> None:
    table = FittingTable(show_header=False, box=None, padding=(0, 2))
    healthy = found["health"] == SERVING
    table.add_row("service", f"[{'green' if healthy else 'red'}]{found['health'].lower()}[/]")
    table.add_row("address", f"{found['address']}{', over TLS' if found['tls'] else ''}")
    table.add_row("usage up", f"{found['supervisor']} (in {home()})")
    for name, value in found["stores"].items():
        if name != "address":
            table.add_row(name.replace("_", " "), str(value))
    waiting = found["waiting"]
    if waiting:
        more = "+" if waiting["pending_and_more"] else ""
        whose = f", tenant {waiting['tenant']}"
        table.add_row(f"jobs waiting{whose}", f"{waiting['pending']}{more}")
        if oldest := waiting.get("oldest_due"):
            table.add_row("next due", f"{oldest['kind']} at {oldest.get('fire_time', '–')}")
        failed = f"{waiting['failed']}{'+' if waiting['failed_and_more'] else ''}"
        table.add_row(f"jobs failed{whose}", failed if failed == "0" else f"[red]{failed}[/]")
    now.console.print(table)
    print_failed(now.console, waiting.get("failed_jobs", []))
    if found["tenants"]:
        clocks = FittingTable("tenant", "clock", "kind", box=SIMPLE_HEAD)
        for tenant in found["tenants"]:
            kind = "sandbox" if "clock_start_time" in tenant else "real time"
            clocks.add_row(screens.last(tenant["name"]), tenant.get("clock_time", "–"), kind)
        now.console.print(clocks)
    if not healthy:
        now.console.print("Start it with `usage up`.")


def print_failed(console: Console, failed: list[dict[str, Any]]) -> None:
    """The oldest jobs that stopped, and what to do about them."""
    if not failed:
        return
    jobs = FittingTable("job", "kind", "account", "state", "error", box=SIMPLE_HEAD)
    for job in failed:
        account = screens.last(job["account"]) if job.get("account") else "–"
        jobs.add_row(
            job["name"],
            job["kind"],
            account,
            job["state"],
            escape(job.get("error", {}).get("message", "")),
        )
    console.print(jobs)
    console.print(
        "A wallet is not billed while a close of it is failed. Correct the cause and retry the job"
        " (AccessService.RetryJob), or give it up (AccessService.WaiveJob)."
    )
