"""Activation: everything that an order creates when it takes effect.

Each line becomes an asset. Its grants go to a target, which has one wallet for each resource. An
existing wallet must have the policies under which the line was sold. All due issues are opened,
however early the line starts, and the rating periods from its start through today are listed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from server.domain.calendar import (
    INSTANT,
    Period,
    PolicyPeriod,
    freeze_time,
    local_date,
    local_midnight,
    period_after,
    rating_period,
)
from server.domain.errors import FailedPrecondition, ResourceExhausted
from server.domain.ids import (
    AssetId,
    EntitlementAccountId,
    EntitlementId,
    ResourceId,
    WalletId,
)
from server.domain.limits import value_of
from server.domain.modeling.roles import Binding, ProductRole
from server.domain.selling.grants import Entitlement, Grant, issues
from server.domain.selling.line_refusals import no_wallet, of_line, policy_conflict
from server.domain.selling.sales import (
    Asset,
    AssetResource,
    Buyer,
    LineGrant,
    LineResource,
    Order,
    SaleLine,
    SoldEntitlement,
)
from server.domain.selling.targets import EntitlementAccount, TargetKey, Wallet, target_key

MOST_WALLETS = value_of("order.wallets")
MOST_DAYS_BACK = value_of("order.back_dated_days")
MOST_ISSUES_BACK = value_of("grant.back_dated_issues")
MOST_PERIODS = value_of("order.periods")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The existing data of the account: targets by key, wallets, and the highest numbers."""

    targets: Mapping[TargetKey, EntitlementAccount] = field(default_factory=dict)
    wallets: tuple[Wallet, ...] = ()
    asset_number: int = 0
    entitlement_number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePeriod:
    """A rating period of a wallet, and the earliest time to close it."""

    wallet_id: WalletId
    period: Period
    close_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Everything that is created. `targets` and `wallets` are all that are affected, by id.

    `grants` are new, oldest first. `refreshes` are the times of each wallet's next issue.
    """

    assets: tuple[Asset, ...]
    targets: tuple[EntitlementAccount, ...]
    wallets: tuple[Wallet, ...]
    grants: tuple[Grant, ...]
    periods: tuple[DuePeriod, ...]
    refreshes: tuple[tuple[WalletId, datetime], ...]


def activate(
    order: Order, buyer: Buyer, before: Before, *, now: datetime, new_id: Callable[[], UUID]
) -> Activation:
    """Return everything that `order` creates at `now`, tenant time.

    Raises POLICY_CONFLICT, BACKDATED_TOO_FAR, LIMIT_ORDER_WALLETS, LIMIT_ORDER_PERIODS.
    """
    plan = _Plan(
        order=order,
        buyer=buyer,
        now=now,
        new_id=new_id,
        entitlement_number=before.entitlement_number,
    )
    plan.targets.update(before.targets)
    for wallet in before.wallets:
        plan.wallets[wallet.entitlement_account_id, wallet.resource_id] = wallet
    lines = zip(order.lines, order.asset_ids, strict=True)
    for position, (line, asset_id) in enumerate(lines):
        with of_line(position):
            bound = line.bound_within(order.asset_ids)
            plan.sell(bound, asset_id, before.asset_number + 1 + position)
    return plan.result()


def next_issue(entitlement: Entitlement, zone: str, now: datetime) -> tuple[int, datetime] | None:
    """Return the index and start of the first issue after `now`, or None."""
    refresh = entitlement.refresh
    index = _next_index(entitlement, zone, now)
    if index is None:
        first = refresh.cadence.index(entitlement.anchor, entitlement.start) if refresh else 0
        return first, local_midnight(zone, entitlement.start)
    until = entitlement.issues_until
    if refresh is None or (until is not None and index >= until):
        return None
    day = refresh.cadence.nth(entitlement.anchor, index)
    if entitlement.end is not None and day >= entitlement.end:
        return None
    return index, local_midnight(zone, day)


def next_due(entitlements: Iterable[Entitlement], zone: str, *, after: datetime) -> datetime | None:
    """Return the start of the first issue after a time, or None."""
    found = (next_issue(entitlement, zone, after) for entitlement in entitlements)
    return min(
        (issue[1] for issue in found if issue is not None and issue[1] > after), default=None
    )


@dataclass(slots=True, kw_only=True)
class _Plan:
    """The activation while it is built, line by line."""

    order: Order
    buyer: Buyer
    now: datetime
    new_id: Callable[[], UUID]
    entitlement_number: int
    assets: list[Asset] = field(default_factory=list)
    targets: dict[TargetKey, EntitlementAccount] = field(default_factory=dict)
    wallets: dict[tuple[EntitlementAccountId, ResourceId], Wallet] = field(default_factory=dict)
    touched: dict[WalletId, Wallet] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    periods: dict[tuple[WalletId, datetime], DuePeriod] = field(default_factory=dict)
    refreshes: set[tuple[WalletId, datetime]] = field(default_factory=set)

    def sell(self, line: SaleLine, asset_id: AssetId, number: int) -> None:
        """Add the asset of one line, and everything that it needs."""
        held = () if line.is_unlinked else self._held(line, asset_id)
        self.assets.append(
            Asset(
                id=asset_id,
                account_id=self.order.account_id,
                number=number,
                order_id=self.order.id,
                product_id=line.product_id,
                quantity=line.quantity,
                start_date=line.start_date,
                end_date=line.end_date,
                resources=held,
                role=line.role,
                linked_id=line.linked_id,
                external_id=line.external_id,
                rate_basis=line.rate_basis,
            )
        )

    def _held(self, line: SaleLine, asset_id: AssetId) -> tuple[AssetResource, ...]:
        sale = _Sale(line, asset_id, self._target(line, asset_id))

        return tuple(self._hold(sale, one) for one in sorted(line.resources, key=_turn))

    def result(self) -> Activation:
        """Return the activation with sorted lists, so that the same order gives the same result."""
        used = {wallet.entitlement_account_id for wallet in self.touched.values()}
        targets = {target.id: target for target in self.targets.values() if target.id in used}
        return Activation(
            assets=tuple(self.assets),
            targets=tuple(targets[key] for key in sorted(targets)),
            wallets=tuple(sorted(self.touched.values(), key=lambda w: w.id)),
            grants=tuple(sorted(self.grants, key=lambda g: (g.start, g.id))),
            periods=in_turn((self.periods[key] for key in sorted(self.periods)), self.now),
            refreshes=tuple(sorted(self.refreshes)),
        )

    def _target(self, line: SaleLine, asset_id: AssetId) -> EntitlementAccount:
        """Return the target of a line, created if necessary and widened to the line's days."""
        key = target_key(line.binding, line.target_id, asset_id)
        known = self.targets.get(key)
        target = known or EntitlementAccount(
            id=EntitlementAccountId(self.new_id()),
            target_kind=key[0],
            target_id=key[1],
            zone=self.buyer.zone,
            currency_code=self.buyer.currency_code,
            anchor=self.buyer.billing.anchor(line.start_date),
            billing=self.buyer.billing.interval,
            start_date=line.start_date,
            end_date=line.end_date,
        )
        wide = target.widened(line.start_date, line.end_date)
        # Several keys can name one target, so each of them gets the wider window.
        for same, one in self.targets.items():
            if one.id == wide.id:
                self.targets[same] = wide
        self.targets[key] = wide
        if line.role is ProductRole.ANCHOR:
            # A later line may be bound to this one.
            self.targets[target_key(Binding.SELF, None, asset_id)] = wide
        return wide

    def _hold(self, sale: "_Sale", resource: LineResource) -> AssetResource:
        """Return the asset's part of one resource; opens its periods and first issues."""
        wallet = self._wallet(sale, resource)
        self._open_periods(sale, wallet)
        zone, line = sale.target.zone, sale.line
        return AssetResource(
            resource_id=resource.resource_id,
            wallet_id=wallet.id,
            policies=resource.policies,
            terms=resource.terms,
            is_fixed=resource.is_fixed,
            start_time=local_midnight(zone, line.start_date),
            end_time=None if line.end_date is None else local_midnight(zone, line.end_date),
            token_wallet_id=self._token_wallet(sale, resource),
            definition_product_id=resource.definition_product_id,
            role=line.role,
            commitment=resource.commitment,
            entitlements=tuple(
                SoldEntitlement(
                    entitlement=self._entitle(sale, wallet, grant, resource.unit_scale),
                    product_id=line.product_id,
                    product_grant_id=grant.product_grant_id,
                    refresh_policy=grant.refresh_policy,
                    rollover_policy=grant.rollover_policy,
                )
                for grant in resource.grants
            ),
        )

    def _token_wallet(self, sale: "_Sale", resource: LineResource) -> WalletId | None:
        spend_id = None if resource.is_spend else sale.line.spend_id
        is_anchor = sale.line.role is ProductRole.ANCHOR
        found = resource.token_resource_id if is_anchor else spend_id
        return None if found is None else self.wallets[sale.target.id, found].id

    def _wallet(self, sale: "_Sale", resource: LineResource) -> Wallet:
        """Return the target's wallet of a resource, created if necessary."""
        key = (sale.target.id, resource.resource_id)
        policies = resource.policies.wallet
        wallet = self.wallets.get(key)
        if wallet is None and sale.line.role is not ProductRole.ANCHOR and not resource.is_spend:
            raise no_wallet(sale.line, resource)
        if wallet is None:
            wallet = Wallet(
                id=WalletId(self.new_id()),
                entitlement_account_id=sale.target.id,
                resource_id=resource.resource_id,
                policies=policies,
            )
            self.wallets[key] = wallet
        if wallet.policies != policies:
            raise policy_conflict(wallet, policies)
        self.touched[wallet.id] = wallet
        if len(self.touched) > MOST_WALLETS:
            raise _limit("LIMIT_ORDER_WALLETS", "wallets", MOST_WALLETS)
        return wallet

    def _open_periods(self, sale: "_Sale", wallet: Wallet) -> None:
        rating, zone = wallet.policies.rating, sale.target.zone
        if rating.period is PolicyPeriod.DAY:
            # Before the periods are made: a sale far in the past would have thousands of them.
            days = (sale.last_day(self.now) - sale.line.start_date).days
            sale.check_back(days, MOST_DAYS_BACK, "days of usage that is rated daily")
        for period in sale.periods(rating.period, self.now):
            # The rating delay of a past period starts now, so that its usage can still be recorded.
            close = freeze_time(zone, max(period.end, self.now), rating.delay)
            due = DuePeriod(wallet_id=wallet.id, period=period, close_time=close)
            self.periods[wallet.id, period.start] = due
        if len(self.periods) > MOST_PERIODS:
            raise _limit("LIMIT_ORDER_PERIODS", "rating periods", MOST_PERIODS)

    def _entitle(
        self, sale: "_Sale", wallet: Wallet, grant: LineGrant, unit_scale: int
    ) -> Entitlement:
        """Return the entitlement of one grant of the line, and open its due issues."""
        self.entitlement_number += 1
        line, zone = sale.line, sale.target.zone
        entitlement = Entitlement(
            id=EntitlementId(self.new_id()),
            wallet_id=wallet.id,
            asset_id=sale.asset_id,
            number=self.entitlement_number,
            quantity=grant.quantity,
            unit_scale=unit_scale,
            start=line.start_date,
            end=line.end_date,
            anchor=line.start_date,
            refresh=grant.refresh,
            validity=grant.validity,
            rollover=grant.rollover,
            spend_cap=grant.spend_cap,
        )
        if grant.refresh is not None:
            count = grant.refresh.cadence.index(entitlement.anchor, sale.last_day(self.now))
            sale.check_back(count, MOST_ISSUES_BACK, "issues")
        self.grants.extend(issues(entitlement, zone, through=self.now))
        after = next_issue(entitlement, zone, self.now)
        if after is not None:
            self.refreshes.add((wallet.id, after[1]))
        return replace(entitlement, next_index=_next_index(entitlement, zone, self.now))


def _turn(resource: LineResource) -> tuple[bool, bool]:
    """Return the sort key: what costs tokens, or counts as spend, comes after their wallet."""
    return not resource.is_spend, resource.token_resource_id is not None


@dataclass(frozen=True, slots=True)
class _Sale:
    """One line, the asset that it becomes, and its target."""

    line: SaleLine
    asset_id: AssetId
    target: EntitlementAccount

    def last_day(self, now: datetime) -> date:
        """Return today, or the line's end if that is earlier."""
        today = local_date(self.target.zone, now)
        return min(today, self.line.end_date or today)

    def check_back(self, count: int, limit: int, what: str) -> None:
        """Raise BACKDATED_TOO_FAR if `count` exceeds the limit."""
        if count > limit:
            line = self.line
            message = (
                f"{line.product_id} from {line.start_date}: more than {limit} {what} in the past"
            )
            facts = {"product": line.product_id, "start_date": str(line.start_date)}
            raise FailedPrecondition("BACKDATED_TOO_FAR", message, {**facts, "limit": str(limit)})

    def periods(self, length: PolicyPeriod, now: datetime) -> Iterator[Period]:
        """Yield the rating periods from the line's start through `now` or its end; at least one."""
        zone, line = self.target.zone, self.line
        anchor = self.target.anchor
        until = now
        if line.end_date is not None:
            until = min(now, local_midnight(zone, line.end_date) - INSTANT)
        period = rating_period(zone, anchor, length, local_midnight(zone, line.start_date))
        yield period
        while period.end <= until:
            period = period_after(zone, anchor, length.cadence, period)
            yield period


def in_turn(periods: Iterable[DuePeriod], now: datetime) -> tuple[DuePeriod, ...]:
    """Return the periods with close times that increase within each wallet."""
    ordered: list[DuePeriod] = []
    for due in periods:
        is_first = not ordered or ordered[-1].wallet_id != due.wallet_id
        before = now if is_first else ordered[-1].close_time
        # Backdated periods would all be due at once; closing them out of order is refused.
        ordered.append(replace(due, close_time=max(due.close_time, before + INSTANT)))
    return tuple(ordered)


def _next_index(entitlement: Entitlement, zone: str, now: datetime) -> int | None:
    """Return the index of the first issue that is not due, or None before the first one."""
    today = local_date(zone, now)
    if today < entitlement.start:
        return None
    if entitlement.refresh is None:
        return 1
    return entitlement.refresh.cadence.index(entitlement.anchor, today) + 1


def _limit(reason: str, what: str, limit: int) -> ResourceExhausted:
    text = f"an order may affect at most {limit} {what}"
    return ResourceExhausted(reason, text, {"limit": str(limit)})
