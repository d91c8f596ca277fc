"""`usage wallet show` and `usage trace`: the truth now, and how an amount came about."""

from typing import Annotated, Any

import typer
from rich.console import Console
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageClient, screens
from clients.cli.session import MISUSED, Session, as_dict, fail, session
from clients.home import program
from clients.pages import pages

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
) -> None:
    """Show an account's wallets, or one wallet with its grants and its ledger."""
    now = session(context)
    full = name if "/" in name else f"accounts/{name}"
    parts = full.split("/")
    if parts[0] != "accounts" or (len(parts) != 2 and parts[2:3] != ["wallets"]):
        fail(MISUSED, f"{name!r} is neither accounts/… nor accounts/…/wallets/…")

    async def work(client: UsageClient) -> None:
        found = await (
            _account(client, full) if len(parts) == 2 else _wallet(client, "/".join(parts[:4]))
        )
        if now.as_json:
            now.print_json(_plain(found))
            return
        _print(now.console, found)

    now.run(work)


def trace(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="LINE", help="accounts/ACME/liableSummaries/… or accounts/ACME")
    ],
) -> None:
    """Explain an invoice-ready line down to its days; given an account, list its lines."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        zone = await zone_of(client, name)
        if "/liableSummaries/" not in name:
            await _list_lines(client, now, name, zone)
            return
        answer = await client.summaries.TraceLiableSummary(
            summaries.TraceLiableSummaryRequest(name=name)
        )
        if now.as_json:
            now.print_json(answer)
        else:
            now.console.print(screens.trace_tree(answer, zone))

    now.run(work)


async def _list_lines(client: UsageClient, now: Session, name: str, zone: str) -> None:
    account = name if "/" in name else f"accounts/{name}"
    request = summaries.ListLiableSummariesRequest(parent=account)
    found = [line async for line in pages(client.summaries.ListLiableSummaries, request)]
    if now.as_json:
        now.print_json(found, "liable_summaries")
        return
    now.console.print(screens.liable_table(found, f"Invoice-ready lines of {account}", zone))
    for line in found:
        now.console.print(f"  {program()} trace {line.name}", style="dim", soft_wrap=True)


async def zone_of(client: UsageClient, name: str) -> str:
    """The time zone of the account that a name belongs to."""
    parts = name.split("/")
    account = f"accounts/{parts[1] if len(parts) > 1 else parts[0]}"
    return (await client.accounts.GetAccount(accounts.GetAccountRequest(name=account))).time_zone


async def _account(client: UsageClient, account: str) -> dict[str, Any]:
    request = wallets.ListWalletsRequest(parent=account)
    found = [one async for one in pages(client.wallets.ListWallets, request)]
    return {"zone": await zone_of(client, account), "of": account, "wallets": found}


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
        "wallet_entries": [one async for one in pages(rpc.ListWalletEntries, entries)],
    }


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: [as_dict(item) for item in value]
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
    if "grants" not in found:
        for one in found["wallets"]:
            console.print(f"  {program()} wallet show {one.name}", style="dim", soft_wrap=True)
        return
    [wallet] = found["wallets"]
    pairs = [(wallet, grant) for grant in found["grants"]]
    console.print(screens.grant_table(pairs, "Grants", zone))
    console.print(screens.entry_table(found["wallet_entries"], "Ledger", zone))
