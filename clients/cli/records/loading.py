"""`usage loading`: times in which usage of any age is accepted, and corrections wait."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from usage_management.v1 import consumption_service_pb2 as pb

from clients import UsageClient, screens
from clients.cli.names import ACCOUNT, account_name, asset_name, check_times, only, stamp, zone_of
from clients.cli.session import MISUSED, Session, fail, session
from clients.pages import pages
from clients.screens import last, short, when

loading = typer.Typer(no_args_is_help=True)

LOADING = Annotated[
    str,
    typer.Argument(
        metavar="LOADING|ACCOUNT", help="accounts/ACME/loadings/…, or ACME if only one is open"
    ),
]
UNTIL = Annotated[
    str,
    typer.Option("--until", metavar="TIME", help="when it ends by itself: within 31 days from now"),
]


@loading.callback()
def _group() -> None:
    """Loadings: usage of any age is accepted, and corrections wait until they end."""


@loading.command("start")
def start(
    context: typer.Context,
    account: ACCOUNT,
    until: UNTIL,
    asset: Annotated[
        str | None, typer.Option(help="only of this asset: its id or its name")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="only of the assets of this order: its id or its name")
    ] = None,
) -> None:
    """Declare that usage of an account is being loaded, until the loading is ended or its time.

    All that it changes of final periods becomes one correction when the loading ends.
    """
    now = session(context)
    check_times(until)
    if asset and order:
        fail(MISUSED, "give --asset or --order, not both")
    parent = account_name(account)
    request = pb.StartLoadingRequest(parent=parent)
    if asset:
        request.asset = asset_name(parent, asset)
    if order:
        request.order = f"{parent}/orders/{last(order)}"

    async def work(client: UsageClient) -> None:
        zone = await zone_of(client, parent)
        request.until_time.CopyFrom(stamp(until, zone))
        _show(now, await client.consumption.StartLoading(request), zone)

    now.run(work)


@loading.command("extend")
def extend(context: typer.Context, name: LOADING, until: UNTIL) -> None:
    """Prolong a loading that is open."""
    now = session(context)
    check_times(until)

    async def work(client: UsageClient) -> None:
        chosen = await _one(client, name)
        zone = await zone_of(client, chosen)
        request = pb.ExtendLoadingRequest(name=chosen, until_time=stamp(until, zone))
        _show(now, await client.consumption.ExtendLoading(request), zone)

    now.run(work)


@loading.command("end")
def end(context: typer.Context, name: LOADING) -> None:
    """End a loading: the corrections that wait for it alone are due. A repeat changes nothing."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        chosen = await _one(client, name)
        ended = await client.consumption.EndLoading(pb.EndLoadingRequest(name=chosen))
        zone = await zone_of(client, chosen)
        now.show(ended, "", loading_table([ended], f"Ended ({zone})", zone))
        now.hint(f"corrections {last(_account(chosen))}")

    now.run(work)


@loading.command("list")
def list_loadings(context: typer.Context, account: ACCOUNT) -> None:
    """List the loadings of an account, also those that have ended, newest first."""
    now = session(context)
    parent = account_name(account)

    async def work(client: UsageClient) -> None:
        request = pb.ListLoadingsRequest(parent=parent, page_size=1000)
        found = [one async for one in pages(client.consumption.ListLoadings, request)]
        zone = await zone_of(client, parent)
        table = loading_table(found, f"Loadings of {parent} ({zone})", zone)
        now.show(found, "loadings", table if found else f"nothing of {parent} was loaded")
        now.hint(*(f"loading end {one.name}" for one in found if _is_open(one)))

    now.run(work)


def loading_table(found: Sequence[pb.Loading], title: str, zone: str) -> Table:
    """Return a row for each loading, with what is loaded and when it ends or ended."""
    cells = [
        (
            short(one.name),
            _loaded(one),
            when(one.create_time, zone),
            when(one.until_time, zone),
            "open" if _is_open(one) else when(one.end_time, zone),
        )
        for one in found
    ]
    return screens.rows(("loading", "assets", "since", "until", "ended"), cells, title)


def _show(now: Session, one: pb.Loading, zone: str) -> None:
    now.show(one, "", loading_table([one], f"Loading ({zone})", zone))
    now.hint(f"loading end {one.name}")


def _loaded(one: pb.Loading) -> str:
    """Return what is loaded, in words."""
    if one.order:
        return short(one.order)
    return ", ".join(map(short, one.assets)) or "all assets"


def _is_open(one: pb.Loading) -> bool:
    return not one.HasField("end_time")


def _account(name: str) -> str:
    return "/".join(name.split("/")[:2])


async def _one(client: UsageClient, name: str) -> str:
    """Return the loading of a name, or the only open one of an account. Raises UsageError."""
    if "/loadings/" in name:
        return name
    parent = account_name(name)
    request = pb.ListLoadingsRequest(parent=parent, page_size=1000)
    listed = pages(client.consumption.ListLoadings, request)
    found = await only(
        (one async for one in listed if _is_open(one)),
        f"open loadings of {parent}",
        several="name one",
        none=f"`usage loading start {last(parent)}` starts one",
    )
    return str(found.name)
