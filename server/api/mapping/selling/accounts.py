"""Messages of accounts and binding targets."""

from usage_management.v1 import account_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import created_from_reader
from server.api.mapping.modeling.catalog import cadence_from_pb
from server.api.mapping.modeling.resource_policies import overrides_from_reader, overrides_to_pb
from server.api.masks import overlay, read_mask
from server.api.reader import RequestReader
from server.api.validation import validate
from server.api.values import audit_pb, cadence_pb, enum_pb, etag, optional_date_pb
from server.domain.calendar import CadenceUnit
from server.domain.ids import AccountId, BindingTargetId
from server.domain.selling.billing_cycles import MONTH, BillingCycle
from server.domain.selling.targets import TargetKind
from server.store.keys import TimeWindow
from server.store.selling.accounts import Account, KeptAccount
from server.store.selling.binding_targets import BindingTarget
from server.usecases.selling.accounts import UpdateAccount, UpdateBindingTarget

CHANGEABLE = frozenset({"display_name", "labels"})
TARGET_CHANGEABLE = frozenset({"display_name", "kind", "policies"})


def created_from_pb(request: pb.ListAccountsRequest) -> TimeWindow:
    """Return the window of create times of a list. Raises InvalidArgument."""
    reader = RequestReader(request)
    created = created_from_reader(reader)
    reader.done()
    return created


def create_account_from_pb(request: pb.CreateAccountRequest) -> Account:
    """Return an account. Raises InvalidArgument."""
    reader = RequestReader(request)
    account = reader.sub("account")
    content = Account(
        id=AccountId(reader.code("account_id")),
        display_name=account.text("display_name"),
        time_zone=account.zone("time_zone"),
        currency_code=account.currency("currency_code"),
        billing=_billing(account),
        labels=account.labels("labels"),
    )
    reader.done()
    return content


def _billing(account: RequestReader) -> BillingCycle:
    """Return the billing cycle of an account; without an alignment, the usual one."""
    interval = cadence_from_pb(account, "billing_interval") or MONTH
    own: pb.Account = account.message
    day, is_aligned = own.billing_anchor_day or None, own.billing_calendar_aligned
    start = account.optional_date("billing_anchor_date")
    if day is None and start is None and not is_aligned and interval.unit is not CadenceUnit.WEEK:
        day = 1
    cycle = BillingCycle(interval, day=day, counted_from=start)
    several = "give one of an anchor day, an anchor date and the alignment to the calendar"
    fault = several if is_aligned and (day or start) else cycle.fault
    if fault is not None:
        account.fault("billing_interval", "BILLING_CYCLE", fault)
    return cycle


def update_account_from_pb(request: pb.UpdateAccountRequest) -> UpdateAccount:
    """Return the command to update an account. Raises InvalidArgument."""
    reader = RequestReader(request)
    account = reader.sub("account")
    (account_id,) = account.name("name", names.ACCOUNT)
    paths = read_mask(request.update_mask, CHANGEABLE)
    command = UpdateAccount(
        account_id=account_id,
        display_name=account.text("display_name") if "display_name" in paths else None,
        labels=account.labels("labels") if "labels" in paths else None,
        revision=account.etag("etag"),
    )
    reader.done()
    return command


def account_to_pb(account: KeptAccount) -> pb.Account:
    """Return an account."""
    content, billing = account.content, account.content.billing
    return pb.Account(
        name=names.ACCOUNT.of(content.id),
        display_name=content.display_name,
        time_zone=content.time_zone,
        currency_code=content.currency_code,
        billing_interval=cadence_pb(billing.interval),
        billing_anchor_day=billing.day or 0,
        billing_anchor_date=optional_date_pb(billing.counted_from),
        billing_calendar_aligned=billing.day is None and billing.counted_from is None,
        labels=content.labels,
        **audit_pb(account.audit),
        etag=etag(account.revision),
    )


def create_binding_target_from_pb(
    request: pb.CreateBindingTargetRequest,
) -> tuple[AccountId, BindingTarget]:
    """Return an account's id and a binding target. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    own = reader.sub("binding_target")
    content = BindingTarget(
        id=BindingTargetId(reader.code("binding_target_id")),
        display_name=own.text("display_name"),
        kind=own.choice("kind", TargetKind),
        policies=overrides_from_reader(own),
    )
    reader.done()
    return AccountId(account_id), content


def update_binding_target_from_pb(request: pb.UpdateBindingTargetRequest) -> UpdateBindingTarget:
    """Return the command to update a binding target. Raises InvalidArgument."""
    reader = RequestReader(request)
    own = reader.sub("binding_target")
    account_id, target_id = own.name("name", names.BINDING_TARGET)
    reader.done()
    paths = read_mask(request.update_mask, TARGET_CHANGEABLE)
    # As a creation, so that an update obeys the same rules of the proto.
    whole = pb.BindingTarget(kind=pb.BindingTarget.CONTRACT)
    overlay(paths, request.binding_target, whole)
    parent = names.ACCOUNT.of(account_id)
    validate(
        pb.CreateBindingTargetRequest(
            parent=parent, binding_target_id=target_id, binding_target=whole
        )
    )
    command = UpdateBindingTarget(
        account_id=account_id,
        target_id=target_id,
        display_name=own.text("display_name") if "display_name" in paths else None,
        kind=own.choice("kind", TargetKind) if "kind" in paths else None,
        policies=overrides_from_reader(own) if "policies" in paths else None,
        revision=own.etag("etag"),
    )
    reader.done()
    return command


def delete_binding_target_from_pb(
    request: pb.DeleteBindingTargetRequest,
) -> tuple[AccountId, BindingTargetId, int | None]:
    """Return the account, the target and the revision to delete. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, target_id = reader.name("name", names.BINDING_TARGET)
    revision = reader.etag("etag")
    reader.done()
    return AccountId(account_id), BindingTargetId(target_id), revision


def binding_target_to_pb(account_id: AccountId, target: BindingTarget) -> pb.BindingTarget:
    """Return a binding target."""
    return pb.BindingTarget(
        name=names.BINDING_TARGET.of(account_id, target.id),
        display_name=target.display_name,
        kind=enum_pb(pb.BindingTarget.Kind, target.kind),
        policies=overrides_to_pb(target.policies),
        **audit_pb(target.audit),
        etag=etag(target.revision),
    )
