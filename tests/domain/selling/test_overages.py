"""Overage policies of one wallet: two that disagree at some time are refused by name."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from server.domain.errors import FailedPrecondition
from server.domain.ids import PolicyId, ProductId, ResourceId, WalletId
from server.domain.modeling.policies import NO_SOURCE, OveragePolicy, PolicyLevel, PolicySource
from server.domain.selling.overages import SoldOverage, check_overages

CHARGE, FREE, BLOCK = OveragePolicy.CHARGE, OveragePolicy.FREE, OveragePolicy.BLOCK


def sold(
    product: str,
    policy: OveragePolicy,
    start: int = 1,
    end: int | None = None,
    *,
    wallet: int = 1,
    level: PolicyLevel = PolicyLevel.DEFAULT,
) -> SoldOverage:
    """An anchor that is in service on some days of January."""
    source = NO_SOURCE
    if level is not PolicyLevel.DEFAULT:
        source = PolicySource(level=level, id=PolicyId(f"of-{product}"), version=1)
    return SoldOverage(
        wallet_id=WalletId(UUID(int=wallet)),
        product_id=ProductId(product),
        resource_id=ResourceId("calls"),
        policy=policy,
        source=source,
        start=datetime(2024, 1, start, tzinfo=UTC),
        end=None if end is None else datetime(2024, 1, end, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("before", "new"),
    [
        ([], [sold("plan", CHARGE)]),
        ([sold("plan", CHARGE)], [sold("other", CHARGE, level=PolicyLevel.LINE)]),
        ([sold("plan", CHARGE)], [sold("other", FREE, wallet=2)]),
        ([sold("plan", CHARGE, 1, 10)], [sold("other", FREE, 10)]),
        ([sold("plan", CHARGE, 10)], [sold("other", FREE, 1, 10)]),
        ([], [sold("plan", CHARGE, 1, 5), sold("other", FREE, 5, 9), sold("last", BLOCK, 9)]),
    ],
)
def test_policies_that_agree_or_never_meet_are_accepted(before, new):
    check_overages(before, new)


@pytest.mark.parametrize(
    ("before", "new"),
    [
        ([sold("plan", CHARGE)], [sold("other", FREE)]),
        ([], [sold("plan", CHARGE), sold("other", FREE)]),
        ([sold("plan", CHARGE, 1, 10)], [sold("other", FREE, 9, 20)]),
        ([sold("plan", CHARGE, 9, 20)], [sold("other", FREE, 1, 10)]),
        ([sold("same", FREE), sold("plan", CHARGE)], [sold("other", FREE)]),
    ],
)
def test_two_policies_that_meet_and_disagree_are_refused(before, new):
    with pytest.raises(FailedPrecondition) as caught:
        check_overages(before, new)

    assert caught.value.reason == "OVERAGE_CONFLICT"
    assert (caught.value.facts["other_product"], caught.value.facts["product"]) == (
        "plan",
        "other",
    )


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (PolicyLevel.TARGET, "(overagePolicies/of-plan, named by the binding target)"),
        (PolicyLevel.LINE, "(overagePolicies/of-plan, named by the line of the sale)"),
        (
            PolicyLevel.PRODUCT_USAGE_RESOURCE,
            "(overagePolicies/of-plan, named by the product's resource)",
        ),
        (PolicyLevel.USAGE_RESOURCE, "(overagePolicies/of-plan, named by the usage resource)"),
        (PolicyLevel.DEFAULT, "(the default of the service)"),
    ],
)
def test_the_refusal_says_where_a_policy_comes_from(level, said):
    with pytest.raises(FailedPrecondition) as caught:
        check_overages([sold("plan", BLOCK, level=level)], [sold("other", CHARGE)])

    assert f"BLOCK for products/plan {said}" in caught.value.message
    assert "CHARGE for products/other (the default of the service)" in caught.value.message
