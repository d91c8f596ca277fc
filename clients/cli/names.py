"""Names, times and pairs as people type them, and the only item that fits if none is named."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import grpc
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_service_pb2 as catalog
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageClient, UsageError
from clients.asset_lookup import AssetLookup
from clients.cli.session import MISUSED, fail
from clients.intake.cells import used_asset
from clients.pages import pages
from clients.screens import last
from clients.values import date_pb, time, time_pb

MOST_LISTED = 10

ACCOUNT = Annotated[str, typer.Argument(metavar="ACCOUNT", help="ACME or accounts/ACME")]
PRICE_BOOK = Annotated[
    str | None, typer.Option(help="the price book: its id or its name; the only one if not given")
]
RESOURCE = Annotated[
    str | None, typer.Option(help="only of this usage resource: its id or its name")
]
ASSET = Annotated[str | None, typer.Option(help="only of this asset: its id or its name")]
PRODUCT_FILTER = Annotated[
    str | None, typer.Option("--product", help="only of this product: its id or its name")
]
SINCE = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="only what begins then or later")
]
UNTIL = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="only what begins before")
]


def named(collection: str, text: str | None) -> str:
    """Return the name of an id or a name; empty for nothing."""
    if not text or "/" in text:
        return text or ""
    return f"{collection}/{text}"


def account_name(text: str) -> str:
    """Return the name of an account."""
    return text if text.startswith("accounts/") else f"accounts/{text}"


def asset_name(account: str, text: str | None) -> str:
    """Return the name of an asset of an account; empty for nothing."""
    if not text or text.startswith("accounts/"):
        return text or ""
    return f"{account}/assets/{last(text)}"


def used_asset_name(account: str, text: str | None) -> str:
    """Return the name of the asset of usage, which may be an external id; empty for nothing."""
    return asset_name(account, used_asset(text) if text and "/" not in text else text)


def record_name(text: str, account: str | None) -> str:
    """Return the name of a usage record. Ends the program if nobody says whose it is."""
    if text.startswith("accounts/"):
        return text
    if account is None:
        fail(MISUSED, f"{text}: whose record is it? Add --account ACME")
    return f"{account_name(account)}/usageRecords/{text}"


def pair(text: str) -> tuple[str, str]:
    """Return both sides of NAME=VALUE. Ends the program if it is not."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        fail(MISUSED, f"{text!r} is not of the form NAME=VALUE")
    return key, value


def stamp(text: str, zone: str = "UTC") -> Timestamp:
    """Return an instant, which has to say its offset; a day alone begins in a time zone."""
    try:
        moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00")
    except ValueError:
        fail(MISUSED, f"{text!r} is not a time, as in 2026-01-31T12:00:00Z")
    if "T" not in text:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    if moment.tzinfo is None:
        fail(MISUSED, f"{text!r} has no offset; write it as in 2026-01-31T12:00:00Z")
    return time_pb(moment)


def check_times(*texts: str | None) -> None:
    """End the program if a time is none, before anything is asked for."""
    for text in texts:
        if text:
            stamp(text)


async def limit(client: UsageClient, request: Any, since: str | None, until: str | None) -> None:
    """Set the times of a request for an account, where days begin in its time zone."""
    if not (since or until):
        return
    zone = await zone_of(client, request.parent)
    if since:
        request.start_time.CopyFrom(stamp(since, zone))
    if until:
        request.end_time.CopyFrom(stamp(until, zone))


def day(text: str) -> date_pb2.Date:
    """Return a day. Ends the program if it is none."""
    try:
        return date_pb(date.fromisoformat(text))
    except ValueError:
        fail(MISUSED, f"{text!r} is not a day, as in 2026-01-31")


async def only(
    items: AsyncIterator[Any],
    what: str,
    *,
    several: str,
    none: str,
    shown: Callable[[Any], str] = lambda item: item.name,
) -> Any:
    """Return the only item. Raises UsageError that lists several, or says what to do for one.

    `what` is its kind in the plural; the others are advice for both cases.
    """
    found = [item async for item in items]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(grpc.StatusCode.NOT_FOUND, "NOTHING_FITS", f"there are no {what}; {none}")
    raise UsageError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "SEVERAL_FIT",
        f"{len(found)} {what} fit; {several}:{_listed([shown(item) for item in found])}",
    )


async def only_price_book(client: UsageClient) -> str:
    """Return the name of the only price book. Raises UsageError."""
    found = await only(
        pages(client.rates.ListPriceBooks, rates.ListPriceBooksRequest()),
        "price books",
        several="name one with --price-book",
        none="`usage setup` creates one",
    )
    return str(found.name)


async def only_product(client: UsageClient) -> str:
    """Return the name of the only active product. Raises UsageError."""
    request = catalog.ListProductsRequest(state=types.CATALOG_STATE_ACTIVE)
    found = await only(
        pages(client.catalog.ListProducts, request),
        "active products",
        several="name one with --product",
        none="`usage setup` creates one",
    )
    return str(found.name)


async def metering_asset(client: UsageClient, account: str, resource: str, at: datetime) -> str:
    """Return the only asset of an account that meters a resource. Raises UsageError."""
    key = (last(account), last(resource))
    lookup = AssetLookup(client, "name one with --asset")
    await lookup.load([key])
    return lookup.name(key, at)


async def zone_of(client: UsageClient, name: str) -> str:
    """Return the time zone of the account that a name belongs to."""
    parts = name.split("/")
    account = f"accounts/{parts[1] if len(parts) > 1 else parts[0]}"
    found = await client.accounts.GetAccount(accounts.GetAccountRequest(name=account))
    return str(found.time_zone)


async def clock_time(client: UsageClient) -> datetime:
    """Return the time by the clock of the caller's tenant, in UTC."""
    request = access.GetTenantRequest(name="tenants/-")
    return time((await client.access.GetTenant(request)).clock_time)


def _listed(names: Sequence[str]) -> str:
    lines = list(names[:MOST_LISTED])
    if len(names) > MOST_LISTED:
        lines.append(f"… and {len(names) - MOST_LISTED} more")
    return "".join(f"\n    {line}" for line in lines)
