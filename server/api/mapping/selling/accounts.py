"""Messages of accounts and binding targets."""

from usage_management.v1 import account_service_pb2 as pb

from server.api import names
from server.api.mapping.filters import created_from_reader
from server.api.mapping.modeling.resource_policies import overrides_from_reader, overrides_to_pb
from server.api.masks import read_mask
from server.api.reader import RequestReader
from server.api.values import audit_pb, enum_pb, etag
from server.domain.ids import AccountId, BindingTargetId
from server.domain.selling.targets import TargetKind
from server.store.keys import TimeWindow
from server.store.selling.accounts import Account, KeptAccount
from server.store.selling.binding_targets import BindingTarget
from server.usecases.selling.accounts import UpdateAccount

CHANGEABLE = frozenset({"display_name", "labels"})


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
        billing_anchor_day=request.account.billing_anchor_day or 1,
        billing_months=request.account.billing_months or 1,
        labels=account.labels("labels"),
    )
    reader.done()
    return content


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
    content = account.content
    return pb.Account(
        name=names.ACCOUNT.of(content.id),
        display_name=content.display_name,
        time_zone=content.time_zone,
        currency_code=content.currency_code,
        billing_anchor_day=content.billing_anchor_day,
        billing_months=content.billing_months,
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


def binding_target_to_pb(account_id: AccountId, target: BindingTarget) -> pb.BindingTarget:
    """Return a binding target."""
    return pb.BindingTarget(
        name=names.BINDING_TARGET.of(account_id, target.id),
        display_name=target.display_name,
        kind=enum_pb(pb.BindingTarget.Kind, target.kind),
        policies=overrides_to_pb(target.policies),
        **audit_pb(target.audit),
    )
