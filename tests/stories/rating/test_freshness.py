"""A change is seen at once with its token, in every process, and by all a second later."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageError
from clients.values import enum_name
from server.api.revisions import token_of
from server.runtime.token_seal import TokenSeal
from server.usecases.access.tenants import tenant_id_of
from tests.stories.rate_words import ACTIVE, INACTIVE, add, move, priced, put
from tests.stories.rating.two_servers import Two
from tests.stories.words import day, line, refusal

INVALID = "INVALID_ARGUMENT"


async def test_every_change_of_a_rate_is_seen_at_once_with_its_token(two: Two):
    seen, tokens = [await two.price()], [two.here.client.revision_token]

    async def look(change: Awaitable[object]) -> None:
        await change
        seen.append(await two.at_once())
        tokens.append(two.here.client.revision_token)

    first = await add(two.here, "base/one", priced("data", "1"))
    await look(move(two.here, ACTIVE, first.name))
    await look(move(two.here, INACTIVE, first.name))
    await look(put(two.here, "base/two", priced("data", "2")))
    request = rates.UpdateRateCardRequest(rate_card={"name": "rateCards/base"})
    request.rate_card.end_date.CopyFrom(day("2024-01-10"))
    request.update_mask.paths.append("end_date")
    await look(two.here.client.rates.UpdateRateCard(request))

    assert seen == [None, 1, None, 2, None]
    assert tokens == sorted(set(tokens))


async def test_without_a_token_a_change_is_seen_a_second_later(two: Two):
    assert await two.price() is None
    await put(two.here, "base/one", priced("data", "1"))
    await asyncio.sleep(1)

    assert await two.price() == 1


async def test_an_order_has_a_token_and_its_asset_is_seen(two: Two):
    await put(two.here, "base/one", priced("data", "1"))
    account = await two.here.account("ann")
    before = two.here.client.revision_token
    [asset] = await two.here.sell(account, line("plan", "2024-01-01"))
    token = two.here.client.revision_token

    answer = await two.ask(
        question={"asset": asset.name}, freshness="AT_LEAST", revision_token=token
    )

    assert token >= before
    assert (enum_name(answer.answers[0], "source"), answer.revision_token >= token) == (
        "ASSET",
        True,
    )


async def test_a_repeat_has_a_token_and_a_trial_has_none(two: Two):
    entry = await add(two.here, "base/one", priced("data", "1"))
    request = rates.ChangeRateCardEntryStatesRequest(
        names=[entry.name], state=ACTIVE, request_id="once-and-again"
    )
    await two.here.client.rates.ChangeRateCardEntryStates(request)
    trial = rates.ChangeRateCardEntryStatesRequest(
        names=[entry.name], state=INACTIVE, validate_only=True
    )
    await two.there.rates.ChangeRateCardEntryStates(trial)
    none = two.there.revision_token
    await two.there.rates.ChangeRateCardEntryStates(request)
    repeated = two.there.revision_token

    assert (none, repeated) == ("", two.here.client.revision_token)
    assert await two.price(freshness="AT_LEAST", revision_token=repeated) == 1


async def test_what_is_not_there_yet_is_waited_for_as_long_as_the_call_may_last(two: Two):
    now = (await two.ask()).catalog_revision
    tenant_id = tenant_id_of(two.tenant)
    coming = token_of(
        two.seal, tenant_id, now + 2
    )  # the entry comes into force by the second change

    async def waits(seconds: float) -> object:
        return await two.price(freshness="AT_LEAST", revision_token=coming, seconds=seconds)

    started = time.perf_counter()
    late = await refusal(waits(0.5))
    took = time.perf_counter() - started
    waiting = asyncio.create_task(waits(10))
    entry = await add(two.here, "base/one", priced("data", "1"))
    while (await two.ask(freshness="FULLY_CONSISTENT")).catalog_revision < now + 1:
        await two.here.client.rates.CreateRateCard(
            rates.CreateRateCardRequest(rate_card_id="spare", rate_card={"type": "BASE"})
        )
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await move(two.here, ACTIVE, entry.name)

    assert (late.code.name, late.reason) == ("DEADLINE_EXCEEDED", "REVISION_NOT_REACHED")
    assert 0.3 < took < 0.6
    assert await waiting == 1


Bad = Callable[[str], str]
FORGED = TokenSeal((bytes(32),))


@pytest.mark.parametrize(
    "bad",
    [
        lambda _: "random",
        lambda token: token[:-1],
        lambda token: f"{token} ",
        lambda token: token.replace("r1-0", "r1-1"),
        lambda token: token.upper(),
        lambda _: "é" * 2_000,
        lambda token: token_of(FORGED, tenant_id_of("t-nobody"), int(token[3:19], 16)),
        lambda token: token_of(FORGED, tenant_id_of("t-nobody"), 1),
    ],
    ids=["random", "cut", "space", "another number", "case", "long", "another tenant", "forged"],
)
async def test_a_token_is_refused_that_the_tenant_was_not_given(two: Two, bad: Bad):
    token = two.here.client.revision_token

    refused = await refusal(two.ask(freshness="AT_LEAST", revision_token=bad(token)))

    assert (refused.code.name, refused.reason) == (INVALID, "REVISION_TOKEN_INVALID")
    assert refused.facts["field"] == "revision_token"


async def test_a_token_belongs_to_the_freshness_that_reads_it(two: Two):
    token = two.here.client.revision_token

    other = await refusal(two.ask(freshness="FULLY_CONSISTENT", revision_token=token))
    none = await refusal(two.ask(freshness="AT_LEAST"))

    assert (other.code.name, other.reason) == (INVALID, "REVISION_TOKEN_INVALID")
    assert (none.code.name, none.reason) == (INVALID, "FIELD_REQUIRED")
    assert isinstance(none, UsageError)
