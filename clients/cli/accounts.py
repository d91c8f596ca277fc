"""`usage account`: buyers, and what they have bought."""

from typing import Annotated

import typer
from usage_management.v1 import account_service_pb2 as pb
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageClient
from clients.cli.names import ACCOUNT, account_name, day, pair
from clients.cli.sale_screens import asset_table, dated
from clients.cli.session import MISUSED, as_dict, fail, session
from clients.pages import pages
from clients.screens import last, rows, span
from clients.values import enum_name

account = typer.Typer(help="Accounts: the buyers.", no_args_is_help=True)


@account.command("create")
def create_account(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="its id, as in ACME")],
    currency: Annotated[str, typer.Option(metavar="CODE", help="USD; it never changes")],
    time_zone: Annotated[
        str, typer.Option(metavar="ZONE", help="Europe/Berlin, where its days begin; never changes")
    ],
    name: Annotated[str, typer.Option(help="the name for people")] = "",
    billing_every: Annotated[
        str,
        typer.Option(
            metavar="INTERVAL",
            help="its billing period: week, month, quarter, half-year, year, '2 months'",
        ),
    ] = "month",
    billing_day: Annotated[
        int, typer.Option(metavar="DAY", help="the day of the month on which its periods begin")
    ] = 0,
    billing_from: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="or the date from which its periods are counted"),
    ] = None,
    billing_calendar: Annotated[
        bool,
        typer.Option("--billing-calendar", help="or begin them on Mondays, with months, quarters"),
    ] = False,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="a label; repeatable")
    ] = None,
) -> None:
    """Create an account; a repeat changes nothing."""
    now = session(context)
    made = pb.Account(
        display_name=name,
        time_zone=time_zone,
        currency_code=currency,
        billing_anchor_day=billing_day,
        billing_interval=_interval(billing_every),
        billing_anchor_date=day(billing_from) if billing_from else None,
        billing_calendar_aligned=billing_calendar,
        labels=dict(map(pair, label or ())),
    )

    async def work(client: UsageClient) -> None:
        answer = await client.accounts.CreateAccount(
            pb.CreateAccountRequest(account_id=last(account_id), account=made)
        )
        now.show(answer, "", _told(answer))
        now.hint(f"sell {last(answer.name)} --product PRODUCT")

    now.run(work)


@account.command("list")
def list_accounts(context: typer.Context) -> None:
    """List the accounts."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = pb.ListAccountsRequest(page_size=1000)
        found = [one async for one in pages(client.accounts.ListAccounts, request)]
        cells = [
            (last(one.name), one.display_name, one.currency_code, one.time_zone) for one in found
        ]
        now.show(found, "accounts", rows(("account", "name", "currency", "time zone"), cells))

    now.run(work)


@account.command("show")
def show_account(context: typer.Context, account: ACCOUNT) -> None:
    """Show an account, its billing period now, and its assets."""
    now = session(context)
    name = account_name(account)

    async def work(client: UsageClient) -> None:
        answer = await client.accounts.GetAccount(pb.GetAccountRequest(name=name))
        request = assets.ListAssetsRequest(parent=name)
        bought = [one async for one in pages(client.assets.ListAssets, request)]
        if now.as_json:
            now.print_json({"account": as_dict(answer), "assets": [as_dict(one) for one in bought]})
            return
        period = await client.wallets.PeriodAt(wallets.PeriodAtRequest(name=name))
        now.console.print(_told(answer), soft_wrap=True)
        if period.HasField("billing_period"):
            billing = period.billing_period
            told = span(billing.start_time, billing.end_time, answer.time_zone)
            now.console.print(f"billing period now: {told}")
        if bought:
            now.console.print(asset_table(bought))
            now.hint(f"wallet show {last(name)}", f"lines {last(name)}")
        else:
            now.console.print("nothing is sold to it yet")
            now.hint(f"sell {last(name)} --product PRODUCT")

    now.run(work)


def _interval(text: str) -> types.Cadence:
    """Return an interval, such as `quarter` or `2 weeks`. Ends the program if it is none."""
    number, _, unit = text.strip().rpartition(" ")
    units = {_words(name): value for name, value in types.Cadence.Unit.items()}
    value = units.get(unit.lower().removesuffix("s"))
    if not value or not (number or "1").isdecimal():
        fail(MISUSED, f"{text!r} is not an interval, as in month, quarter, '2 weeks'")
    return types.Cadence(unit=value, count=int(number or 1))


def _words(unit: str) -> str:
    return unit.lower().replace("_", "-")


def _told(account: pb.Account) -> str:
    interval = account.billing_interval
    unit = _words(enum_name(interval, "unit"))
    every = unit if interval.count == 1 else f"{interval.count} {unit}s"
    if account.billing_calendar_aligned:
        start = "by the calendar"
    elif account.HasField("billing_anchor_date"):
        start = f"counted from {dated(account.billing_anchor_date)}"
    else:
        start = f"on day {account.billing_anchor_day} of a month"
    shown = f" ({account.display_name})" if account.display_name else ""
    return (
        f"{account.name}{shown}: {account.currency_code}, {account.time_zone};"
        f" billed every {every}, {start}"
    )
