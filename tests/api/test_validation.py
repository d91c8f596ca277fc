"""The quick look agrees with the rules: it is never sure of what they refuse."""

import pytest
from buf.validate import validate_pb2
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from protovalidate import Validator
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import wallet_service_pb2 as wallets

from server.api.validation import REASONS, surely_valid
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


def rules_of(field) -> set[str]:
    """The names of a field's rules, as violations have them."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    kind = rules.WhichOneof("type")
    if kind is None:
        return set()
    names = {one.name for one, _ in getattr(rules, kind).ListFields()}
    if {"gte", "lte"} <= names:
        names = names - {"gte", "lte"} | {"gte_lte"}
    # Items and values of maps have rules of their own.
    return {f"{kind}.{name}" for name in names - {"items", "keys", "values"}}


def test_every_rule_of_the_protos_has_a_reason():
    seen: set[str] = set()
    asked = [method.input_type for method in METHODS]
    done = set()
    while asked:
        message = asked.pop()
        if message.full_name in done or not message.full_name.startswith("usage_management."):
            continue
        done.add(message.full_name)
        for field in message.fields:
            seen |= rules_of(field)
            asked += [field.message_type] if field.message_type else []

    assert {"string.min_len", "repeated.unique", "repeated.max_items"} <= seen
    assert seen - REASONS.keys() == set()
