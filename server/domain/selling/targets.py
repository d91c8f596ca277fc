"""Targets: the objects to which grants are bound, with their calendar, window and wallets."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from server.domain.calendar import Cadence, local_midnight
from server.domain.ids import AssetId, EntitlementAccountId, ResourceId, WalletId
from server.domain.modeling.roles import Binding
from server.domain.modeling.sold_policies import WalletPolicies
from server.domain.selling.billing_cycles import MONTH


class TargetKind(StrEnum):
    """The kind of object to which wallets are bound."""

    ASSET = "ASSET"
    ACCOUNT = "ACCOUNT"
    CONTRACT = "CONTRACT"
    CUSTOM = "CUSTOM"


TargetKey = tuple[TargetKind, str]
"""The key of a binding target: an asset by its id, the account by "", or a target's own id."""


def target_key(binding: Binding, target_id: str | None, asset_id: AssetId | str) -> TargetKey:
    """Return the target key of a line with this binding, which becomes `asset_id`."""
    if binding is Binding.SELF:
        return TargetKind.ASSET, str(asset_id)
    return TargetKind(binding), target_id or ""


def binding_to(target: TargetKey, asset_id: AssetId) -> tuple[Binding, str | None]:
    """Return the binding of an asset to a target, and the id of the target where it has one."""
    kind, target_id = target
    if target == (TargetKind.ASSET, str(asset_id)):
        return Binding.SELF, None
    return Binding(kind), target_id or None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementAccount:
    """One target: an asset by its id, or the account by an empty id, with its calendar and window.

    Its periods are counted from `anchor`, including those before it.
    """

    id: EntitlementAccountId
    target_kind: TargetKind
    target_id: str
    zone: str
    currency_code: str
    anchor: date
    billing: Cadence = MONTH
    start_date: date
    end_date: date | None

    @property
    def service_start(self) -> datetime:
        """The start of its first asset, where its first periods begin."""
        return local_midnight(self.zone, self.start_date)

    def widened(self, start: date, end: date | None) -> "EntitlementAccount":
        """Return it with a window that includes these days too."""
        is_open = self.end_date is None or end is None
        last = None if is_open else max(day for day in (self.end_date, end) if day)
        return replace(self, start_date=min(self.start_date, start), end_date=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """All grants of one resource at one target, and their policies."""

    id: WalletId
    entitlement_account_id: EntitlementAccountId
    resource_id: ResourceId
    policies: WalletPolicies
