"""`usage amend-all`: all records of an account that match, amended in the same way."""

from dataclasses import dataclass
from typing import Annotated

import typer
from google.type.decimal_pb2 import Decimal
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageClient
from clients.cli import names
from clients.cli.corrections import runs
from clients.cli.session import MISUSED, Session, fail, session


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """The change of every record, as the options have it."""

    quantity: str | None
    times: str | None
    unit: str | None
    to_asset: str | None
    to_resource: str | None
    set_label: list[str] | None
    remove_label: list[str] | None

    def of(self, parent: str) -> consumption.UsageRecordChange:
        """Return the change. Ends the program if there is none, or more than one quantity."""
        if not any(getattr(self, name) for name in self.__slots__):
            fail(MISUSED, "what changes? Give --quantity, --times, --unit, --to-asset and so on")
        if self.quantity and self.times:
            fail(MISUSED, "give --quantity or --times, not both")
        change = consumption.UsageRecordChange(
            unit_of_measure=names.named("unitsOfMeasure", self.unit),
            usage_resource=names.named("usageResources", self.to_resource),
            asset=names.asset_name(parent, self.to_asset),
            set_labels=dict(map(names.pair, self.set_label or ())),
            remove_labels=self.remove_label or (),
        )
        if self.quantity:
            change.quantity.CopyFrom(Decimal(value=self.quantity))
        if self.times:
            factor, _, divisor = self.times.partition("/")
            change.quantity_factor.CopyFrom(Decimal(value=factor))
            if divisor:
                change.quantity_divisor.CopyFrom(Decimal(value=divisor))
        return change


def amend_all(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    account: Annotated[str, typer.Option(help="the account: ACME or accounts/ACME")],
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="usage of then or later, to --until")
    ],
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="usage before, from --from")
    ],
    asset: names.ASSET = None,
    resource: names.RESOURCE = None,
    label: runs.LABEL = None,
    quantity: Annotated[str | None, typer.Option(help="the quantity of every record")] = None,
    times: Annotated[
        str | None,
        typer.Option(metavar="FACTOR", help="the factor of the quantity of each: 1/1000, 2.5"),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="the unit of the quantities")] = None,
    to_asset: Annotated[str | None, typer.Option(help="the asset that was used instead")] = None,
    to_resource: Annotated[
        str | None, typer.Option(help="the resource that was used instead")
    ] = None,
    set_label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="a label to set; repeatable")
    ] = None,
    remove_label: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="a label to remove; repeatable")
    ] = None,
    reason: Annotated[str, typer.Option(help="why, for people; kept with the run")] = "",
    dry_run: runs.DRY_RUN = False,
) -> None:
    """Amend all usage of an account that matches, each record once and in the same way.

    It may be undone by another one: --times 1/1000 by --times 1000. What is refused is named.
    """
    now = session(context)
    names.check_times(since, until)
    parent = names.account_name(account)
    change = _Change(
        quantity=quantity,
        times=times,
        unit=unit,
        to_asset=to_asset,
        to_resource=to_resource,
        set_label=set_label,
        remove_label=remove_label,
    )
    run = consumption.AmendRun(
        filter=runs.filter_of(parent, asset, resource, label),
        change=change.of(parent),
        reason=reason,
        dry_run=dry_run,
    )
    now.run(lambda client: _run(client, parent, run, (since, until), now))


async def _run(
    client: UsageClient,
    parent: str,
    run: consumption.AmendRun,
    window: tuple[str, str],
    now: Session,
) -> int:
    zone = await runs.set_window(client, parent, run.filter, window)
    request = consumption.CreateAmendRunRequest(parent=parent, amend_run=run)
    return await runs.follow(
        now,
        zone,
        client.consumption.CreateAmendRun(request),
        lambda name: client.consumption.GetAmendRun(consumption.GetAmendRunRequest(name=name)),
    )
