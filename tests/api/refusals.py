"""Requests that are refused, and what a refusal says."""

from grpc import StatusCode
from usage_management.v1 import account_service_pb2 as accounts

from tests.api.wire import Refusal

NOT_DECIMALS = [
    "NaN", "sNaN", "Infinity", "-inf", "1e5", "1E131072", "1e999999", "1_000", " 1 ", "１２", "٣",
    "+1", ".5", "5.", "1,000", "0x10", "", "9" * 300_000, "-0", "-0.0", "01", "1\n",
]  # fmt: skip


CREATE = "AccountService/CreateAccount"
INVALID = StatusCode.INVALID_ARGUMENT


def account(account_id: str = "new", **fields: object) -> accounts.CreateAccountRequest:
    made = accounts.Account(time_zone="UTC", currency_code="USD")
    for name, value in fields.items():
        setattr(made, name, value)
    return accounts.CreateAccountRequest(account_id=account_id, account=made)


def is_(refusal: Refusal, code: StatusCode, reason: str) -> None:
    assert (refusal.code, refusal.reason) == (code, reason), refusal
    assert refusal.size <= 4096
