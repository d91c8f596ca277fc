"""Figures of a whole rating period: monthly active users, the last value, an average of a month."""

import pytest
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as rpc

from tests.stories.words import Metered, figure, line, refusal, usage

# (day, quantity, user): four days of use by three users.
READINGS = (
    ("2024-01-02", 30, "ann"),
    ("2024-01-10", 20, "bob"),
    ("2024-01-20", 10, "ann"),
    ("2024-01-30", 5, "eve"),
)
DAILY = {"UNIQUE_COUNT": 4, "LATEST": 65, "MINIMUM": 65, "AVERAGE": 65, "PEAK": 30}
WHOLE = {"UNIQUE_COUNT": 3, "LATEST": 5, "MINIMUM": 5, "AVERAGE": 16.25, "PEAK": 30}


@pytest.mark.parametrize("method", WHOLE)
@pytest.mark.parametrize(("window", "figures"), [("DAY", DAILY), ("RATING_PERIOD", WHOLE)])
async def test_a_window_may_be_the_rating_period(sandbox, method, window, figures):
    """R28: on a monthly bill, whatever the order of arrival."""
    world = await sandbox("2024-01-31")
    unique = {"unique_label": "user"} if method == "UNIQUE_COUNT" else {}
    late = "NEXT_PERIOD" if method in ("UNIQUE_COUNT", "PEAK") else "REJECT"
    users = Metered(
        resource="users", rate="1", scale=2, method=method, window=window, late=late, **unique
    )
    await world.product("plan", users)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    for day, quantity, user in reversed(READINGS):
        await world.record([usage(asset, "users", day, quantity, user=user)])
    live = await world.wallet(account, "users")
    await world.advance("2024-02-10")

    [liable] = await world.liable(account)
    assert figure(liable.used_quantity) == figures[method]
    assert figure(live.used_quantity) == figures[method]


@pytest.mark.capability("M33.names")
@pytest.mark.parametrize("method", ["SUM", "COUNT"])
async def test_what_adds_up_has_no_window_of_the_rating_period(sandbox, method):
    world = await sandbox("2024-01-31")
    request = rpc.CreateAggregationPolicyRequest(
        aggregation_policy_id="whole",
        aggregation_policy=policies.AggregationPolicy(method=method, period="RATING_PERIOD"),
    )

    refused = await refusal(world.client.policies.CreateAggregationPolicy(request))

    assert refused.reason == "POLICY_NOT_ALLOWED"
    assert refused.violations[0].field == "aggregation_policy.period"
    assert "use DAY" in refused.message
