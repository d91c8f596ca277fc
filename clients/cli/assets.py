"""`usage asset` and `usage details`: agreed terms beside the catalog's, and what changed them."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table
from usage_management.v1 import asset_service_pb2 as pb
from usage_management.v1 import catalog_service_pb2 as catalog
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import usage_details_service_pb2 as rpc

from clients import UsageClient
from clients.cli.names import RESOURCE, account_name, day, named, only, stamp
from clients.cli.quotes import asset_acts
from clients.cli.quotes.reprice_all import reprice_all
from clients.cli.sale_screens import dated, price_text
from clients.cli.session import session
from clients.pages import pages
from clients.screens import NOTHING, last, number, rows, when
from clients.values import enum_name

asset = typer.Typer(
    help="Assets: their terms beside the catalog's, their history, links, repricing.",
    no_args_is_help=True,
)

asset.command("link")(asset_acts.link)
asset.command("reprice")(asset_acts.reprice)
asset.command("reprice-all")(reprice_all)
asset.command("rebind")(asset_acts.rebind)

ASSET = Annotated[
    str,
    typer.Argument(
        metavar="ASSET|ACCOUNT", help="accounts/ACME/assets/…, or ACME if it has only one"
    ),
]
SUBJECT = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="a quote, an order, an asset or a binding target by its name, or ACME"
    ),
]
ON = Annotated[str | None, typer.Option(metavar="DAY", help="as of this day; today if not given")]
TARGET = Annotated[
    bool, typer.Option("--target", help="also of the assets that share the wallets of an asset")
]
# What is agreed, what the catalog has, and if a quote may change it.
Row = tuple[str, str, str, str]


@asset.command("show")
def show_asset(
    context: typer.Context,
    name: ASSET,
    on: ON = None,
    resource: RESOURCE = None,
    target: TARGET = False,
) -> None:
    """Show the agreed rates, grants and policies of an asset beside those of the catalog."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        parent = await _asset_name(client, name)
        found = await _details(client, parent, on, resource, target=target)
        now.show(found, "usage_details", *map(detail_table, found))
        now.hint(f"asset history {parent}")

    now.run(work)


@asset.command("history")
def show_history(
    context: typer.Context,
    name: ASSET,
    on: Annotated[
        str | None, typer.Option(metavar="DAY", help="only what applies on this day or before")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="only what was done until then")
    ] = None,
    resource: RESOURCE = None,
) -> None:
    """Show every change of the rates, grants and policies of an asset: who, when and why."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        request = pb.ListAssetChangesRequest(
            parent=await _asset_name(client, name),
            effective_date=day(on) if on else None,
            as_of_time=stamp(as_of) if as_of else None,
            usage_resource=named("usageResources", resource),
        )
        found = [one async for one in pages(client.assets.ListAssetChanges, request)]
        shown = [part for one in found for part in (change_title(one), change_table(one))]
        now.show(found, "asset_changes", *shown)

    now.run(work)


def details(
    context: typer.Context, name: SUBJECT, on: ON = None, resource: RESOURCE = None
) -> None:
    """Show the agreed terms of a quote, an order, an asset or a target beside the catalog's."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        found = await _details(client, account_name(name), on, resource)
        now.show(found, "usage_details", *map(detail_table, found))

    now.run(work)


def detail_table(detail: rpc.UsageDetail) -> Table:
    """Return the terms of one resource, beside those of the catalog where these differ."""
    columns = (last(detail.resource.usage_resource), "agreed", "catalog", "negotiable")
    return rows(columns, [*_about(detail), *_rate_rows(detail), *_grant_rows(detail)])


def change_title(change: pb.AssetChange) -> str:
    """Return who did what, when and why."""
    parts = [
        f"{enum_name(change, 'act').lower().replace('_', ' ')} of {last(change.asset)}",
        f"from {dated(change.effective_date)}",
        f"on {when(change.act_time)} by {change.created_by or 'the service'}",
    ]
    if change.reason:
        parts.append(f"because: {change.reason}")
    if change.HasField("approval"):
        approval = change.approval
        why = f": {approval.reason}" if approval.reason else ""
        parts.append(f"approved by {approval.decided_by}{why}")
    return ", ".join(parts)


def change_table(change: pb.AssetChange) -> Table:
    """Return the fields of a change with their values before and after."""
    cells = [
        (last(one.usage_resource), one.field, one.before or NOTHING, one.after or NOTHING)
        for one in change.field_changes
    ]
    return rows(("resource", "field", "value before", "value after"), cells)


def _about(detail: rpc.UsageDetail) -> Iterator[Row]:
    subject = last(detail.asset) or f"line {detail.line + 1}"
    yield "product", f"{last(detail.product)}, {subject}", "", ""
    yield "days", f"{dated(detail.start_date)} → {dated(detail.end_date)}", "", ""
    target = last(detail.binding_target or detail.linked_asset)
    binding = "linked" if detail.linked_asset else enum_name(detail, "binding").lower()
    yield "binding", f"{binding} {target}".strip(), "", ""
    charge = enum_name(detail, "overage_charge").lower().replace("_", " ")
    if detail.rate_basis == quotes.RATE_BASIS_FOLLOW_CATALOG:
        held = ", which has a gap: the last terms hold" if detail.resource.terms.catalog_gap else ""
        yield "rates", f"follow the catalog{held}", "", ""
    yield "charged beyond grants", charge, "", ""
    yield "granted", f"{number(detail.granted_quantity)} {last(detail.unit_of_measure)}", "", ""


def _rate_rows(detail: rpc.UsageDetail) -> Iterator[Row]:
    terms = detail.resource.terms
    may = _may(terms.non_negotiable)
    listed = terms.catalog_rate if terms.rate_negotiated else terms.rate
    yield "rate", price_text(terms.rate), price_text(listed), may
    listed_tiers = terms.catalog_tiers if terms.tiers_negotiated else terms.tiers
    if terms.tiers.tiers or listed_tiers.tiers:
        yield "tiers", _tiers(terms.tiers), _tiers(listed_tiers), may
    if detail.target_rate_order:
        yield "order at the target", str(detail.target_rate_order), "", ""
    listed_fields = terms.catalog_custom_fields or terms.custom_fields
    for key, value in sorted(terms.custom_fields.items()):
        yield key, value, listed_fields.get(key, NOTHING), ""


def _grant_rows(detail: rpc.UsageDetail) -> Iterator[Row]:
    for grant in detail.resource.grants:
        name, may = last(grant.product_usage_grant), _may(grant.non_negotiable)
        is_other = grant.HasField("catalog_quantity")
        listed = grant.catalog_quantity if is_other else grant.quantity
        yield f"grant {name}", number(grant.quantity), number(listed), may
        yield from _grant_policies(grant, name, may)
    for field, policy in detail.ListFields():
        if isinstance(policy, rpc.UsageDetailPolicy):
            own = _policy(policy.policy, policy.version, policy.level)
            other = _policy(policy.catalog_policy, policy.catalog_version, policy.catalog_level)
            listed_text = other if policy.catalog_level else own
            may = _may(policy.non_negotiable)
            yield field.name.replace("_", " "), own, listed_text, may


def _grant_policies(grant: quotes.SaleLineGrant, name: str, may: str) -> Iterator[Row]:
    for field in ("refresh", "rollover"):
        own = last(getattr(grant, f"{field}_policy"))
        listed = last(getattr(grant, f"catalog_{field}_policy")) if grant.negotiated else own
        if own or listed:
            yield f"{field} of {name}", own or NOTHING, listed or NOTHING, may
    listed_validity = grant.catalog_validity if grant.negotiated else grant.validity
    if grant.validity.count or listed_validity.count:
        yield f"validity of {name}", _cadence(grant.validity), _cadence(listed_validity), may


def _policy(name: str, version: int, level: int) -> str:
    if not name:
        return "of the wallet" if level == catalog.POLICY_LEVEL_TARGET else "the default"
    return f"{last(name)}, version {version}"


def _cadence(cadence: types.Cadence) -> str:
    return f"{cadence.count} {enum_name(cadence, 'unit').lower()}" if cadence.count else NOTHING


def _tiers(tiers: types.RateTiers) -> str:
    texts = []
    for one in tiers.tiers:
        kind, value = enum_name(one.adjustment, "kind").lower(), number(one.adjustment.value)
        texts.append(f"from {number(one.lower)}: {kind} {value}")
    return "; ".join(texts) or NOTHING


def _may(is_fixed: bool) -> str:
    return "no" if is_fixed else "yes"


async def _details(
    client: UsageClient, parent: str, on: str | None, resource: str | None, *, target: bool = False
) -> list[rpc.UsageDetail]:
    request = rpc.ListUsageDetailsRequest(
        parent=parent,
        effective_date=day(on) if on else None,
        usage_resource=named("usageResources", resource),
        target=target,
    )
    return [one async for one in pages(client.usage_details.ListUsageDetails, request)]


async def _asset_name(client: UsageClient, name: str) -> str:
    """Return the name of an asset, or of the only one of an account. Raises UsageError."""
    if "/assets/" in name:
        return name
    account = account_name(name)
    found = await only(
        pages(client.assets.ListAssets, pb.ListAssetsRequest(parent=account)),
        f"assets of {account}",
        several="name one",
        none=f"`usage sell {last(account)}` creates one",
    )
    return str(found.name)
