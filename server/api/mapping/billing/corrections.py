"""Messages of corrections and of what waits for one, and the filters of their lists."""

from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import summary_service_pb2 as pb

from server.api import names
from server.api.errors import job_status
from server.api.mapping.billing.summaries import correction_to_pb, ratable_to_pb
from server.api.mapping.filters import created_from_reader, id_of_account
from server.api.mapping.wallets.wallets import entry_to_pb
from server.api.reader import RequestReader
from server.api.values import decimal_pb, enum_pb, time_pb
from server.domain.billing.causes import Cause
from server.domain.ids import AccountId, WalletId
from server.store.billing.correction_reads import CorrectionFilter, WaitingWallet
from server.usecases.billing.correction_reads import ChangedLine, WholeCorrection


def list_corrections_from_pb(
    request: pb.ListCorrectionsRequest,
) -> tuple[AccountId, CorrectionFilter]:
    """Return the account and the filters of a list of corrections. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    only = CorrectionFilter(
        wallet_id=_wallet_from_reader(reader, account_id),
        cause=reader.optional_choice("cause", Cause),
        created=created_from_reader(reader),
    )
    reader.done()
    return AccountId(account_id), only


def list_pending_from_pb(
    request: pb.ListPendingCorrectionsRequest,
) -> tuple[AccountId, CorrectionFilter]:
    """Return the account and the filters of what waits. Raises InvalidArgument."""
    reader = RequestReader(request)
    (account_id,) = reader.name("parent", names.ACCOUNT)
    only = CorrectionFilter(
        wallet_id=_wallet_from_reader(reader, account_id),
        cause=reader.optional_choice("cause", Cause),
    )
    reader.done()
    return AccountId(account_id), only


def whole_correction_to_pb(account_id: str, whole: WholeCorrection) -> pb.Correction:
    """Return a correction with its lines and entries."""
    made = correction_to_pb(account_id, whole.correction)
    made.lines.extend(_line_to_pb(account_id, line) for line in whole.lines)
    made.wallet_entries.extend(entry_to_pb(account_id, *posted) for posted in whole.entries)
    return made


def pending_to_pb(account_id: str, waiting: WaitingWallet) -> pb.PendingCorrection:
    """Return a wallet that waits for a correction, with the state of the job."""
    job = waiting.job
    return pb.PendingCorrection(
        wallet=names.WALLET.of(account_id, waiting.wallet_id),
        causes=[enum_pb(pb.Correction.Cause, cause) for cause in waiting.causes],
        start_time=time_pb(waiting.start_time),
        create_time=time_pb(waiting.create_time),
        job=names.JOB.of(job.job_id) if job else "",
        job_state=enum_pb(access.Job.State, job.state) if job else access.Job.STATE_UNSPECIFIED,
        error=job_status(job.error) if job else None,
    )


def _wallet_from_reader(reader: RequestReader, account_id: str) -> WalletId | None:
    wallet_id = id_of_account(reader, "wallet", names.WALLET, account_id)
    return None if wallet_id is None else WalletId(wallet_id)


def _line_to_pb(account_id: str, line: ChangedLine) -> pb.CorrectedLine:
    return pb.CorrectedLine(
        after=ratable_to_pb(account_id, line.after),
        before=ratable_to_pb(account_id, line.before) if line.before else None,
        used_difference=decimal_pb(line.used),
        drawn_difference=decimal_pb(line.drawn),
        overage_difference=decimal_pb(line.overage),
        amount_difference=decimal_pb(line.amount),
    )
