"""The quick look agrees with the rules: it is never sure of what they refuse."""

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from protovalidate import Validator
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import wallet_service_pb2 as wallets

from server.api.validation import surely_valid
from server.app import SERVICES

VALIDATOR = Validator()
METHODS = [method for service, _ in SERVICES for method in service.methods]
FULL = [1, 2, 1000, 1001]


@given(st.sampled_from(FULL), st.integers(0, 5))
def test_questions_are_sure_when_they_are_right(count: int, freshness: int):
    request = rates.DiscoverRatesRequest(questions=[rates.RateQuestion()] * count)
    request.freshness = freshness
    is_sure = surely_valid(rates.DiscoverRatesRequest.DESCRIPTOR)(request)

    assert is_sure == (not VALIDATOR.collect_violations(request))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_nobody_is_sure_of_an_empty_request_that_needs_something(method):
    request = GetMessageClass(method.input_type)()

    if VALIDATOR.collect_violations(request):
        assert not surely_valid(method.input_type)(request)


def test_the_hot_methods_are_looked_at_quickly():
    one = rates.DiscoverRatesRequest(questions=[rates.RateQuestion()])
    wallet = wallets.GetWalletRequest(name="accounts/ann/wallets/x")

    assert surely_valid(one.DESCRIPTOR)(one)
    assert surely_valid(wallet.DESCRIPTOR)(wallet)
    assert not surely_valid(consumption.RecordUsageRequest.DESCRIPTOR)(
        consumption.RecordUsageRequest()
    )
