"""Messages of previews."""

from datetime import datetime
from typing import Any

from usage_management.v1 import preview_service_pb2 as pb
from usage_management.v1 import summary_service_pb2 as summaries

from server.api import names
from server.api.errors import failure_status, status_of
from server.api.mapping.consumption.recording import late_usage_to_pb, usage_of, usage_time
from server.api.mapping.rating.terms import step_to_pb, terms_to_pb, unit_pb
from server.api.values import decimal_pb, optional_decimal_pb
from server.domain.consumption.recording import Usage, kept
from server.domain.errors import InvalidArgument, UsageError
from server.domain.ids import AccountId, RecordId
from server.domain.wallets.preview import Effect
from server.store.settlement.wallets import StoredWallet
from server.usecases.intake.preview import AT_PRESENT, Previewed, PreviewInputs, PreviewUsage


def preview_usage_from_pb(account_id: AccountId, request: pb.PreviewUsageRequest) -> PreviewUsage:
    """Return the lines of a preview; a faulty line is its refusal, with paths within it."""
    lines = (_read(account_id, index, line) for index, line in enumerate(request.lines))
    return PreviewUsage(account_id, tuple(lines))


def preview_to_pb(inputs: PreviewInputs, previewed: Previewed) -> pb.UsagePreview:
    """Return the effects of a line on wallets."""
    if previewed.error is not None:
        return pb.UsagePreview(status=status_of(previewed.error))
    assert previewed.item is not None, previewed
    assert previewed.place is not None, previewed
    late = kept(previewed.place).late
    return pb.UsagePreview(
        counted_quantity=decimal_pb(previewed.item.quantity),
        late=None if late is None else late_usage_to_pb(late),
        wallets=[_wallet(inputs.wallets[effect.wallet_id], effect) for effect in previewed.effects],
    )


def line_usage(account_id: AccountId, index: int, line: Any) -> Usage:
    """Return the usage that a line describes. Raises InvalidArgument."""
    # Sorts after every record of the same time, and lines in their order: `~` is the last printable
    # ASCII character.
    usage = usage_of(line, RecordId(f"~~~{index:04}"), _time)
    if usage.account_id != account_id:
        raise InvalidArgument.at("asset", "NAME_FORMAT", "must be an asset of the parent")
    return usage


def _read(account_id: AccountId, index: int, line: pb.PreviewLine) -> Usage | UsageError:
    try:
        return line_usage(account_id, index, line)
    except InvalidArgument as error:
        return error


def _time(line: Any) -> datetime:
    return usage_time(line) if line.HasField("usage_time") else AT_PRESENT


def _wallet(wallet: StoredWallet, effect: Effect) -> pb.WalletPreview:
    made = pb.WalletPreview(
        wallet=names.WALLET.of(wallet.account_id, wallet.id),
        usage_resource=names.RESOURCE.of(wallet.resource_id),
        unit_of_measure=names.UNIT.of(wallet.unit_id),
        used_quantity=decimal_pb(effect.used),
        drawn_from=[
            summaries.DrawnFrom(
                grant=names.GRANT.of(wallet.account_id, wallet.id, debit.grant_id),
                quantity=decimal_pb(debit.quantity),
                amount=decimal_pb(debit.amount),
            )
            for debit in effect.debits
        ],
        overage_quantity=decimal_pb(effect.overage),
        amount=optional_decimal_pb(effect.amount),
        error=failure_status(effect.failure or ""),
    )
    if effect.unit is not None:
        made.MergeFrom(pb.WalletPreview(**unit_pb(effect.unit)))
    if effect.line is not None:
        line = effect.line
        made.rated_quantity.CopyFrom(decimal_pb(line.overage))
        if line.amount is not None:
            made.rated_amount.CopyFrom(decimal_pb(line.amount))
        if line.terms is not None:
            made.terms.CopyFrom(terms_to_pb(line.terms))
        made.waterfall.extend(map(step_to_pb, line.steps))
    return made
