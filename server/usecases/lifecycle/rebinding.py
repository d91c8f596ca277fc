"""Rebind an asset: bind it to another target from a day on, and move what is left of its grants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from server.domain.billing.causes import Cause
from server.domain.calendar import (
    INSTANT,
    Period,
    RatingPeriod,
    freeze_time,
    local_date,
    local_midnight,
    period_after,
    rating_period,
)
from server.domain.errors import FailedPrecondition, InvalidArgument
from server.domain.ids import (
    AccountId,
    AssetId,
    BindingTargetId,
    EntitlementAccountId,
    ResourceId,
    WalletId,
)
from server.domain.modeling.catalog import PolicyIds
from server.domain.modeling.roles import Binding
from server.domain.rating.additions import agreements
from server.domain.selling.activation import DuePeriod, in_turn
from server.domain.selling.bindings import check_kind
from server.domain.selling.commitments import beside_spend
from server.domain.selling.line_refusals import policy_conflict
from server.domain.selling.overages import check_overages, overages_of
from server.domain.selling.rebinding import (
    MovedResource,
    adds_to_it,
    chained,
    check_agreed,
    check_rebindable,
    costs_elsewhere,
    differing,
    is_divisible,
    moved_resource,
    not_on,
    other_calendar,
    other_unit,
    rebound_change,
    target_of,
    target_policies,
)
from server.domain.selling.sales import Asset, AssetResource, Buyer
from server.domain.selling.targets import EntitlementAccount, TargetKey, TargetKind, Wallet
from server.env import new_id
from server.store import jobs
from server.store.access import tenants
from server.store.billing import periods
from server.store.billing.periods import NewPeriod
from server.store.connection import Transaction
from server.store.consumption import recording
from server.store.selling import (
    asset_changes,
    assets,
    binding_targets,
    orders,
    targets,
)
from server.store.selling import overages as stored_overages
from server.store.selling import rebinding as store
from server.store.settlement import ledger, wallets
from server.store.settlement.wallets import StoredWallet
from server.usecases.billing import pending
from server.usecases.billing.closing import calendar_of, refresh_job


@dataclass(frozen=True, slots=True, kw_only=True)
class RebindAsset:
    """An asset, its new target, and the day from which on it is bound to it; today if None.

    Without a `binding`, that of the target is taken.
    """

    account_id: AccountId
    asset_id: AssetId
    binding: Binding | None
    target_asset_id: AssetId | None = None
    target_id: BindingTargetId | None = None
    day: date | None = None
    reason: str = ""


async def rebind_asset(tx: Transaction, command: RebindAsset) -> Asset:
    """Bind an asset to another target from a day on; a repeat changes nothing.

    Raises ASSET_NOT_FOUND, BINDING_TARGET, BINDING_TARGET_NOT_FOUND, INTERVAL_INVALID,
    NOT_SUPPORTED, POLICY_CONFLICT, CURRENCY_MISMATCH, OVERAGE_CONFLICT, REBIND_AGAIN, REBIND_DAY,
    REBIND_ADDITIONS, REBIND_CHAIN, REBIND_CALENDAR, RATE_BASIS_NOT_ALLOWED,
    COMMITMENT_KIND.
    """
    account_id = command.account_id
    # As in an activation: sales and other acts on assets of the account wait.
    buyer = await orders.lock_buyer(tx, account_id)
    asset = await assets.get(tx, account_id, command.asset_id)
    key = await _target_key(tx, command)
    now = await tenants.now(tx)
    today = local_date(buyer.zone, now)
    day = command.day or today
    known = await _known_target(tx, asset, key)
    if known is not None and (known.target_kind, known.target_id) == target_of(asset):
        return asset
    check_rebindable(asset, day, today)
    check_agreed(asset, key[0] if known is None else known.target_kind)
    act = _Rebinding(tx=tx, buyer=buyer, day=day, now=now, asset=asset)
    await act.bind_to(key, known)
    await act.take_effect()
    target = (act.target.target_kind, act.target.target_id)
    change = rebound_change(asset, target, day=day, act_time=now, reason=command.reason)
    await asset_changes.add(tx, account_id, [change])
    await orders.bump_rates(tx, account_id)
    return await assets.get(tx, account_id, asset.id)


async def _target_key(tx: Transaction, command: RebindAsset) -> TargetKey:
    """Return the key of the target that is named.

    Raises BINDING_TARGET, BINDING_TARGET_NOT_FOUND.
    """
    account_id, binding, named = command.account_id, command.binding, command.target_id
    if named is not None:
        # Locked, so that neither a change nor a deletion of the target misses this.
        found = await binding_targets.lock_for_sale(tx, account_id, str(named))
        if binding is not None:
            check_kind(found.kind, binding, "binding")
        return found.kind, str(named)
    if command.target_asset_id is not None:
        if binding not in (None, Binding.ASSET):
            fault = "is an asset, whose binding is ASSET; omit one of both"
            raise InvalidArgument.at("binding_target", "BINDING_TARGET", fault)
        return TargetKind.ASSET, str(command.target_asset_id)
    if binding is Binding.SELF:
        return TargetKind.ASSET, str(command.asset_id)
    if binding is Binding.ACCOUNT:
        return TargetKind.ACCOUNT, ""
    fault = "is required: name an asset or a binding target, or the binding SELF or ACCOUNT"
    raise InvalidArgument.at("binding_target", "BINDING_TARGET", fault)


async def _known_target(tx: Transaction, asset: Asset, key: TargetKey) -> EntitlementAccount | None:
    """Return the target, if something was bound to it; another asset stands for its target.

    Raises ASSET_NOT_FOUND, BINDING_TARGET.
    """
    account_id = asset.account_id
    if key == (TargetKind.ASSET, str(asset.id)):
        # An asset stands for what it is bound to, which is not its own target if it shares one.
        return await targets.find_own(tx, account_id, asset.id)
    found = (await targets.find(tx, account_id, [key])).get(key)
    if found is None and key[0] is TargetKind.ASSET:
        await assets.get(tx, account_id, AssetId(UUID(key[1])))
        fault = "is no anchor; name the asset whose usage it is for"
        raise InvalidArgument.at("binding_target", "BINDING_TARGET", fault)
    return found


@dataclass(slots=True, kw_only=True)
class _Rebinding:
    """The act while it is made: the asset, the wallets before and after, and the new target."""

    tx: Transaction
    buyer: Buyer
    day: date
    now: datetime
    asset: Asset
    old: dict[WalletId, StoredWallet] = field(default_factory=dict)
    held: dict[ResourceId, Wallet] = field(default_factory=dict)
    created: list[Wallet] = field(default_factory=list)
    closing: Sequence[RatingPeriod] = ()
    joined: Sequence[RatingPeriod] = ()
    target: EntitlementAccount = field(init=False)

    @property
    def at(self) -> datetime:
        """The time from which on the asset is bound to the new target."""
        return local_midnight(self.buyer.zone, self.day)

    async def bind_to(self, key: TargetKey, known: EntitlementAccount | None) -> None:
        """Find or make the target and its wallets, lock all, and refuse what is not possible.

        Raises the errors of `rebind_asset`.
        """
        tx, account_id = self.tx, self.asset.account_id
        first = await wallets.get(
            tx, account_id, self.asset.resources[0].wallet_id, with_pending=False
        )
        self.target = known or self._new_target(key, first)
        self.target = self.target.widened(self.day, self.asset.end_date)
        sold = await targets.wallets(tx, account_id, [known.id] if known else [])
        await self._find_wallets({wallet.resource_id: wallet for wallet in sold})
        await self._lock()
        for resource in self.asset.resources:
            args = (tx, account_id, resource.wallet_id)
            self.old[resource.wallet_id] = await wallets.get(*args, with_pending=False)
        await self._check_rates(known)
        await self._check_days()

    def _new_target(self, key: TargetKey, first: StoredWallet) -> EntitlementAccount:
        """Return a target whose periods go on like those of the target before."""
        return EntitlementAccount(
            id=EntitlementAccountId(new_id()),
            target_kind=key[0],
            target_id=key[1],
            zone=first.zone,
            currency_code=first.currency_code,
            anchor=first.anchor,
            billing=first.billing,
            start_date=self.day,
            end_date=self.asset.end_date,
        )

    async def _find_wallets(self, sold: Mapping[ResourceId, Wallet]) -> None:
        """Find the wallets of the target, or make those that it does not have.

        Raises POLICY_CONFLICT.
        """
        # Not those of the key: an asset stands for the target that it is bound to.
        key = self.target.target_kind, self.target.target_id
        named = await _policies_of(self.tx, self.asset.account_id, key)
        for resource in self.asset.resources:
            resource_id, policies = resource.resource_id, resource.policies.wallet
            wallet = sold.get(resource_id)
            if wallet is None:
                if resource_id in named:
                    raise target_policies(resource_id)
                wallet = Wallet(
                    id=WalletId(new_id()),
                    entitlement_account_id=self.target.id,
                    resource_id=resource_id,
                    policies=policies,
                )
                self.created.append(wallet)
            if wallet.policies != policies:
                raise policy_conflict(wallet, policies)
            self.held[resource_id] = wallet

    async def _lock(self) -> None:
        """Lock the periods and the wallets, in this order, and read the asset again.

        Raises REBIND_CHAIN.
        """
        tx, account_id = self.tx, self.asset.account_id
        old = {resource.wallet_id for resource in self.asset.resources}
        there = {wallet.id for wallet in self.held.values()} - {one.id for one in self.created}
        found = await store.find_chained(tx, account_id, old, there)
        if found is not None:
            raise chained(account_id, found, is_old=found in old)
        # Usage that opens a period at this moment is seen, and usage after that sees this act.
        await recording.queue_openers(tx, {(account_id, wallet_id) for wallet_id in old})
        # The period that ends on the day, too: a close of it now would leave the grants there.
        opened = await periods.lock_open(tx, account_id, old | there, self.at - INSTANT)
        self.closing = [period for wallet_id, period in opened if wallet_id in old]
        self.joined = [period for wallet_id, period in opened if wallet_id in there]
        # The final periods at whose end the grants leave are settled again. Marked before wallets
        # are locked, because a correction takes its locks in this order.
        ending = await periods.first_final(tx, account_id, old, self.at - INSTANT)
        keys = {(account_id, wallet_id, start) for wallet_id, start in ending.items()}
        await pending.mark(tx, keys, Cause.REBIND)
        await ledger.lock_heads(tx, account_id, old | there)
        # Issues that were posted until now stay where they are.
        self.asset = await assets.get(tx, account_id, self.asset.id)

    async def _check_rates(self, known: EntitlementAccount | None) -> None:
        """Raise REBIND_ADDITIONS, COMMITMENT_KIND, CURRENCY_MISMATCH or OVERAGE_CONFLICT."""
        tx, account_id = self.tx, self.asset.account_id
        for resource in self.asset.resources:
            sold = self.old[resource.wallet_id].sold
            if sold.additions:
                raise adds_to_it(resource, "packs or commitments")
            if sold.is_shared and any(agreements(sold.own)):
                raise adds_to_it(resource, "rates that were negotiated")
            wallet = self.held[resource.resource_id]
            if wallet not in self.created:
                there = await wallets.get(tx, account_id, wallet.id, with_pending=False)
                if there.is_spend:
                    raise beside_spend(resource.resource_id)
                if there.token_wallet_ids:
                    raise costs_elsewhere(resource)
        units = {} if known is None else await targets.rate_units(tx, account_id, known.id)
        for resource in self.asset.resources:
            unit, terms = units.get(resource.resource_id), resource.terms
            if terms is not None and unit not in (None, terms.unit):
                raise other_unit(resource.resource_id, str(unit), terms.unit)
        after = [
            replace(each, wallet_id=self.held[each.resource_id].id, start_time=self.at)
            for each in self.asset.resources
        ]
        overages = overages_of([replace(self.asset, resources=tuple(after))])
        check_overages(await stored_overages.others(tx, account_id, overages), overages)

    async def _check_days(self) -> None:
        """Raise REBIND_DAY or REBIND_CALENDAR."""
        tx, account_id, zone = self.tx, self.asset.account_id, self.buyer.zone
        ids = [*self.old, *(wallet.id for wallet in self.held.values())]
        closed = max((await periods.closed_ends(tx, account_id, ids)).values(), default=None)
        if closed is not None and self.at < closed:
            raise not_on(
                self.asset, self.day, local_date(zone, closed), "its rating period is final"
            )
        # What leaves in a period that is closed later than that of the new target comes too late.
        early = [one.end for one in self.joined if self._is_closed_before(one)]
        if early:
            why = "the new target's rating period is closed before that of the target before"
            raise not_on(self.asset, self.day, local_date(zone, max(early)), why)
        for resource in self.asset.resources:
            wallet = self.old[resource.wallet_id]
            whole = self._period_of(wallet, self.at)
            is_divided = whole.start != self.at and self.asset.start_date < self.day
            if is_divided and not (is_divisible(resource) and wallet.state.terms.rounding is None):
                raise self._within(resource, whole)
            opened = await self._open_periods(wallet)
            alike = [self._period_at_target(wallet, period.start) for period in opened]
            day = differing(opened, alike, self.at, zone)
            if day is not None:
                raise other_calendar(resource, day)

    def _is_closed_before(self, joined: RatingPeriod) -> bool:
        """Return whether a period of the new target is closed before one that it waits for."""
        if joined.end <= self.at:
            return False
        return any(one.start <= joined.start and one.freeze > joined.freeze for one in self.closing)

    def _within(self, resource: AssetResource, whole: Period) -> FailedPrecondition:
        """Return the refusal of a day within a rating period."""
        first = max(local_date(self.buyer.zone, whole.start), self.asset.start_date)
        why = f"{resource.resource_id} is rated by the whole rating period"
        return not_on(self.asset, self.day, first, why)

    async def _open_periods(self, wallet: StoredWallet) -> list[Period]:
        """Return the rating period at the day, and those after it that exist."""
        found = await periods.existing(self.tx, wallet.account_id, wallet.id, self.at)
        return found or [self._period_of(wallet, self.at)]

    def _period_of(self, wallet: StoredWallet, instant: datetime) -> Period:
        return calendar_of(wallet).containing(instant)

    def _period_at_target(self, wallet: StoredWallet, instant: datetime) -> Period:
        length = wallet.frequency.period
        return rating_period(self.target.zone, self.target.anchor, length, instant)

    async def take_effect(self) -> None:
        """Store the target and its wallets, open their periods, and move the asset."""
        tx, account_id, zone = self.tx, self.asset.account_id, self.buyer.zone
        await targets.save(tx, account_id, [self.target])
        await targets.add_wallets(tx, account_id, self.created)
        moved = [
            moved_resource(resource, self.held[resource.resource_id], zone, self.day)
            for resource in self.asset.resources
        ]
        # Before the periods are opened, so that they are closed after those of the wallets before.
        await store.move(tx, account_id, self.asset.id, moved, self.at)
        await self._open(moved)
        await store.move_usage(tx, account_id, self.asset.id, moved, self.at)
        await periods.mark_moved(tx, account_id, list(self.old), self.at)
        await jobs.add(tx, [refresh_job(account_id, one.wallet_id, self.now) for one in moved])

    async def _open(self, moved: Sequence[MovedResource]) -> None:
        """Open the rating periods of the wallets after, from the day through now."""
        due: list[DuePeriod] = []
        for one in moved:
            wallet = self.old[one.former_id]
            opened = await self._open_periods(wallet)
            due += self._due(one.wallet_id, wallet, max(self.now, opened[-1].start))
        found = in_turn(sorted(due, key=lambda each: (each.wallet_id, each.period.start)), self.now)
        await periods.open_missing(
            self.tx,
            [NewPeriod(self.asset.account_id, o.wallet_id, o.period, o.close_time) for o in found],
        )

    def _due(self, wallet_id: WalletId, old: StoredWallet, until: datetime) -> Iterable[DuePeriod]:
        zone, frequency = self.target.zone, old.frequency
        period = self._period_at_target(old, self.at)
        while period.start <= until:
            close = freeze_time(zone, max(period.end, self.now), frequency.delay)
            # Those of a sale for days that are past are closed one after the other.
            before = [one.freeze for one in self.closing if one.start <= period.start]
            close = max([close, *(each + INSTANT for each in before)])
            yield DuePeriod(wallet_id=wallet_id, period=period, close_time=close)
            period = period_after(zone, self.target.anchor, frequency.period.cadence, period)


async def _policies_of(
    tx: Transaction, account_id: AccountId, key: TargetKey
) -> Mapping[ResourceId, PolicyIds]:
    """Return the policies of a contract or a custom target; other targets have none."""
    if key[0] not in (TargetKind.CONTRACT, TargetKind.CUSTOM):
        return {}
    return (await binding_targets.get(tx, account_id, key[1])).policies
