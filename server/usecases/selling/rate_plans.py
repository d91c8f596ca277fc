"""Rate plans: the rate of each resource of an asset on a day."""

from dataclasses import dataclass
from datetime import date

from server.domain.calendar import local_date
from server.domain.ids import AccountId, AssetId, ProcedureId
from server.domain.selling.rate_plans import Metering, PlanLine, planned
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.rating.procedures import rating_versions
from server.store.selling import accounts, assets
from server.store.settlement import wallets
from server.usecases.rating.procedures import versions_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePlan:
    """The resources of an asset, by name, on a day."""

    day: date
    lines: tuple[PlanLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRatePlan:
    """An asset and a day (today if None), and the procedure (the default if None)."""

    account_id: AccountId
    asset_id: AssetId
    day: date | None = None
    procedure_id: ProcedureId | None = None


async def get(tx: Transaction, command: GetRatePlan) -> RatePlan:
    """Return the plan; `tx` should read one snapshot.

    Raises ASSET_NOT_FOUND, PROCEDURE_NOT_FOUND, PROCEDURE_USAGE.
    """
    account_id, asset_id, day = command.account_id, command.asset_id, command.day
    asset = await assets.get(tx, account_id, asset_id)
    if command.procedure_id is None:
        versions = await rating_versions(tx)
    else:
        versions = await versions_of(tx, command.procedure_id)
    if day is None:
        account = await accounts.get(tx, account_id)
        day = local_date(account.content.time_zone, await tenants.now(tx))
    lines = []
    for held in sorted(asset.resources, key=lambda resource: resource.resource_id):
        wallet = await wallets.get(tx, account_id, held.wallet_id)
        metering = Metering(
            zone=wallet.zone,
            anchor=wallet.anchor,
            service_start=wallet.service_start,
            length=wallet.frequency.period,
        )
        segments = wallet.state.rates.get(asset_id, ())
        lines.append(planned(held, segments, metering, versions, day))
    return RatePlan(day=day, lines=tuple(lines))
