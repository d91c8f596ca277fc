"""`usage asset link`, `reprice` and `rebind`: acts on assets that are sold."""

from typing import Annotated

import typer
from rich.table import Table
from usage_management.v1 import asset_service_pb2 as pb
from usage_management.v1.catalog_resources_pb2 import Product

from clients import UsageClient
from clients.cli.names import ACCOUNT, account_name, asset_name, day, named
from clients.cli.sale_screens import rate_text
from clients.cli.session import session
from clients.screens import last, rows
from clients.values import enum_name

DRY_RUN = Annotated[
    bool, typer.Option("--dry-run", help="say what would change, and change nothing")
]

# The binding is that of the target which is named.
NAMED = Product.GrantBinding.GRANT_BINDING_UNSPECIFIED


def link(
    context: typer.Context,
    commitment: Annotated[str, typer.Argument(help="accounts/ACME/assets/…")],
    anchor: Annotated[str, typer.Argument(help="the asset whose usage it pays for: id or name")],
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="from this day on; its start if not given"),
    ] = None,
    dry_run: DRY_RUN = False,
) -> None:
    """Link a commitment that was sold alone to the asset whose usage it pays for."""
    now = session(context)

    async def work(client: UsageClient) -> None:
        account = commitment.partition("/assets/")[0]
        made = await client.assets.LinkCommitment(
            pb.LinkCommitmentRequest(
                name=commitment,
                anchor=asset_name(account, anchor),
                start_date=day(start) if start else None,
                validate_only=dry_run,
            )
        )
        done = "would be linked" if dry_run else "is linked"
        now.show(made, "", f"{made.name} {done} to {made.linked_asset}")

    now.run(work)


def reprice(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: ACCOUNT,
    start: Annotated[str, typer.Option("--from", metavar="DAY", help="the day of the catalog")],
    asset: Annotated[
        list[str] | None,
        typer.Option(help="only this asset: its id or its name; repeatable"),
    ] = None,
    product: Annotated[str | None, typer.Option(help="only of this product")] = None,
    price_book: Annotated[
        str | None, typer.Option(help="another price book than that of the order")
    ] = None,
    reason: Annotated[str, typer.Option(help="the reason; it is kept in the history")] = "",
    dry_run: DRY_RUN = False,
) -> None:
    """Move sold assets to the rates of the catalog of a day, from that day on."""
    now = session(context)
    parent = account_name(account)

    async def work(client: UsageClient) -> None:
        answer = await client.assets.RepriceAssets(
            pb.RepriceAssetsRequest(
                parent=parent,
                assets=[asset_name(parent, one) for one in asset or ()],
                product=named("products", product),
                price_book=named("priceBooks", price_book),
                start_date=day(start),
                reason=reason,
                validate_only=dry_run,
            )
        )
        now.show(answer, "", _table(answer))

    now.run(work)


def rebind(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="accounts/ACME/assets/…")],
    target: Annotated[
        str,
        typer.Argument(help="`self`, `account`, or the name of an asset or a binding target"),
    ],
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="from this day on; today if not given"),
    ] = None,
    reason: Annotated[str, typer.Option(help="the reason; it is kept in the history")] = "",
    dry_run: DRY_RUN = False,
) -> None:
    """Bind an asset to another target from a day on, with what is left of its grants."""
    now = session(context)
    word = target.upper()
    binding = Product.GrantBinding.Value(word) if word in ("SELF", "ACCOUNT") else NAMED

    async def work(client: UsageClient) -> None:
        made = await client.assets.RebindAsset(
            pb.RebindAssetRequest(
                name=name,
                binding=binding,
                binding_target="" if binding != NAMED else target,
                start_date=day(start) if start else None,
                reason=reason,
                validate_only=dry_run,
            )
        )
        now.show(made, "", _rebound(made, is_dry=dry_run))

    now.run(work)


def _rebound(made: pb.Asset, *, is_dry: bool) -> Table:
    target = made.binding_target or enum_name(made, "binding").lower()
    cells = [(last(one.usage_resource), last(one.wallet)) for one in made.resources]
    table = rows(("resource", "wallet"), cells)
    table.title = f"{made.name} {'would be' if is_dry else 'is'} bound to {target}"
    return table


def _table(answer: pb.RepriceAssetsResponse) -> Table:
    cells = [
        (
            last(one.asset),
            last(one.usage_resource),
            enum_name(one, "outcome").lower().replace("_", " "),
            rate_text(one.before),
            rate_text(one.after),
        )
        for one in answer.resources
    ]
    return rows(("asset", "resource", "outcome", "before", "after"), cells)
