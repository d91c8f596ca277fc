"""Messages of previews."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from usage_management.v1 import preview_service_pb2 as pb
from usage_management.v1 import summary_service_pb2 as summaries

from server.api import names
from server.api.errors import failure_status, status_of
from server.api.mapping.consumption.recording import late_usage_to_pb, usage_of, usage_time
from server.api.mapping.rating.terms import step_to_pb, terms_to_pb, unit_pb
from server.api.reader import RequestReader
from server.api.values import decimal_pb, optional_decimal_pb
from server.domain.consumption.recording import Usage, kept
from server.domain.errors import InvalidArgument, UsageError
from server.domain.exact import ZERO, exact
from server.domain.ids import AccountId, AssetId, RecordId
from server.domain.wallets.preview import Effect
from server.store.settlement.wallets import StoredWallet
from server.usecases.intake.preview import AT_PRESENT, Previewed, PreviewInputs, PreviewUsage
from server.usecases.intake.quote_preview import PreviewQuote


def preview_usage_from_pb(account_id: AccountId, request: pb.PreviewUsageRequest) -> PreviewUsage:
    """Return the lines of a preview; a faulty line is its refusal, with paths within it."""
    lines = (_read(account_id, index, line) for index, line in enumerate(request.lines))
    return PreviewUsage(account_id, tuple(lines))


def preview_quote_from_pb(request: pb.PreviewQuoteRequest) -> PreviewQuote:
    """Return a quote and the lines of its preview. Raises InvalidArgument."""
    reader = RequestReader(request)
    account_id, quote_id = reader.name("quote", names.QUOTE)
    as_of = reader.optional_time("as_of_time")
    reader.done()
    return PreviewQuote(
        account_id=account_id,
        quote_id=quote_id,
        lines=tuple(
            (line.line, partial(_of_quote, account_id, index, line))
            for index, line in enumerate(request.lines)
        ),
        as_of=as_of,
    )


def quote_preview_to_pb(inputs: PreviewInputs, previewed: Previewed) -> pb.UsagePreview:
    """Return the effects of a line on wallets, which are rolled back and so have no names."""
    made = preview_to_pb(inputs, previewed)
    for wallet in made.wallets:
        wallet.wallet = ""
        for drawn in wallet.drawn_from:
            drawn.grant = ""
    return made


@exact
def total_of(previews: Iterable[pb.UsagePreview], currency_code: str) -> Decimal | None:
    """Return the sum of the amounts in a currency; None if a line has no amount."""
    total = ZERO
    for made in previews:
        if made.HasField("status") or any(one.HasField("error") for one in made.wallets):
            return None
        amounts = (one.amount.value for one in made.wallets if one.currency_code == currency_code)
        total = sum(map(Decimal, filter(None, amounts)), total)
    return total


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


def _of_quote(
    account_id: AccountId, index: int, line: pb.PreviewQuoteLine, asset_id: AssetId
) -> Usage | UsageError:
    whole = pb.PreviewLine(
        asset=names.ASSET.of(account_id, asset_id),
        usage_resource=line.usage_resource,
        unit_of_measure=line.unit_of_measure,
        labels=line.labels,
    )
    if line.HasField("quantity"):
        whole.quantity.CopyFrom(line.quantity)
    if line.HasField("usage_time"):
        whole.usage_time.CopyFrom(line.usage_time)
    return _read(account_id, index, whole)


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
