"""`usage wallet show`: what is left, what is not final yet, and every movement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageClient, screens
from clients.cli.names import named, only, zone_of
from clients.cli.sale_screens import spend_table
from clients.cli.session import MISUSED, as_dict, fail, session
from clients.home import program
from clients.open_usage import OpenPeriod, open_periods
from clients.pages import pages
from clients.values import decimal_pb, time_pb

wallet = typer.Typer(help="Wallets: what is left, and every movement.", no_args_is_help=True)


@wallet.callback()
def _group() -> None:
    """Wallets: what is left, and every movement."""


@wallet.command("show")
def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="ACCOUNT|WALLET", help="accounts/ACME or one of its wallets")
    ],
    resource: Annotated[
        str | None,
        typer.Option(help="the only wallet of ACCOUNT for this usage resource: its id or its name"),
    ] = None,
) -> None:
    """Show an account's wallets, or one wallet with its grants and its ledger.

    Usage that is not final yet is listed with the time at which it will be.
    """
    now = session(context)
    full = name if "/" in name else f"accounts/{name}"
    parts = full.split("/")
    if parts[0] != "accounts" or (len(parts) != 2 and parts[2:3] != ["wallets"]):
        fail(MISUSED, f"{name!r} is neither accounts/… nor accounts/…/wallets/…")

    async def work(client: UsageClient) -> None:
        one = "/".join(parts[:4]) if len(parts) > 2 else ""
        if resource and not one:
            one = await _wallet_of(client, full, named("usageResources", resource))
        found = await (_wallet(client, one) if one else _account(client, full))
        if now.as_json:
            now.print_json(_plain(found))
            return
        _print(now.console, found)

    now.run(work)


async def _account(client: UsageClient, account: str) -> dict[str, Any]:
    request = wallets.ListWalletsRequest(parent=account)
    found = [one async for one in pages(client.wallets.ListWallets, request)]
    return {
        "zone": await zone_of(client, account),
        "of": account,
        "wallets": found,
        "open_usage": await open_periods(client, account) if found else [],
    }


async def _wallet_of(client: UsageClient, account: str, resource: str) -> str:
    """Return the only wallet of a resource. Raises UsageError."""
    request = wallets.ListWalletsRequest(parent=account, usage_resource=resource)
    found = await only(
        pages(client.wallets.ListWallets, request),
        f"wallets of {account} for {resource}",
        several="name one",
        none="they come with the activation of an order",
        shown=lambda one: f"{one.name}  of {one.target}",
    )
    return str(found.name)


async def _wallet(client: UsageClient, name: str) -> dict[str, Any]:
    rpc = client.wallets
    wallet = await rpc.GetWallet(wallets.GetWalletRequest(name=name))
    grants = wallets.ListGrantsRequest(parent=name)
    entries = wallets.ListWalletEntriesRequest(parent=name, page_size=1000)
    return {
        "zone": await zone_of(client, name),
        "of": name,
        "wallets": [wallet],
        "grants": [one async for one in pages(rpc.ListGrants, grants)],
        "open_usage": await open_periods(client, "/".join(name.split("/")[:2]), name),
        "wallet_entries": [one async for one in pages(rpc.ListWalletEntries, entries)],
    }


def open_dict(period: OpenPeriod) -> dict[str, Any]:
    """Return usage that is not billed yet as JSON; times and numbers as in the protos."""
    key = period.key
    times = {
        "period_start_time": period.start,
        "period_end_time": period.end,
        "final_time": period.final_time,
        "line_time": period.line_time,
    }
    return {
        "wallet": key.wallet,
        "asset": key.asset,
        "usage_resource": key.resource,
        "record_count": str(period.records),
        "sum_quantity": as_dict(decimal_pb(period.quantity)),
        "rated_amounts": {code: f"{value:f}" for code, value in sorted(period.rated.items())},
        **{name: time_pb(at).ToJsonString() for name, at in times.items() if at},
    }


def open_table(found: Sequence[OpenPeriod], title: str, zone: str) -> Table:
    """Return a row for each rating period with usage that is not final."""
    cells = [
        (
            screens.last(one.key.resource),
            f"{one.records:,}",
            screens.grouped(one.quantity),
            period_text(one, zone),
            moment(one.final_time, zone),
        )
        for one in found
    ]
    columns = ("resource", "records", "sum", "period", "final at")
    return screens.rows(columns, cells, title, right="records sum")


def period_text(period: OpenPeriod, zone: str) -> str:
    """Return a rating period as people write it."""
    if period.end is None:
        return moment(period.start, zone)
    return screens.span(time_pb(period.start), time_pb(period.end), zone)


def moment(at: datetime | None, zone: str) -> str:
    """Return an instant in a zone; a dash for none."""
    return screens.when(time_pb(at), zone) if at else screens.NOTHING


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: [open_dict(item) if isinstance(item, OpenPeriod) else as_dict(item) for item in value]
        for key, value in found.items()
        if isinstance(value, list)
    }


def _print(console: Console, found: dict[str, Any]) -> None:
    zone = found["zone"]
    if not found["wallets"]:
        console.print(f"{found['of']} has no wallets; they come with the activation of an order.")
        return
    moment = screens.when(found["wallets"][0].as_of_time, zone)
    title = f"At {moment} ({zone})"
    console.print(screens.wallet_table(found["wallets"], title, zone))
    spend = [one for wallet in found["wallets"] for one in wallet.committed_spend]
    if spend:
        console.print(spend_table(spend, zone))
    if found["open_usage"]:
        console.print(open_table(found["open_usage"], f"Not final yet ({zone})", zone))
    if "grants" not in found:
        account = screens.last(found["of"])
        resources = [one.usage_resource for one in found["wallets"]]
        for one in found["wallets"]:
            is_only = resources.count(one.usage_resource) == 1
            short = f"{account} --resource {screens.last(one.usage_resource)}"
            command = f"{program()} wallet show {short if is_only else one.name}"
            console.print(f"  {command}", style="dim", soft_wrap=True)
        return
    [wallet] = found["wallets"]
    pairs = [(wallet, grant) for grant in found["grants"]]
    console.print(screens.grant_table(pairs, "Grants", zone))
    console.print(screens.entry_table(found["wallet_entries"], "Ledger", zone))
