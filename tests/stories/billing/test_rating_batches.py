"""rating batches: lines that a worker prices, and a state that says what became of them."""

import asyncio
from typing import Any

import pytest
from usage_management.v1 import preview_service_pb2 as pb

from clients.pages import pages
from clients.values import reason_of
from tests.stories.preview_words import amounts, lines, preview
from tests.stories.words import Metered, figure, line, number, refusal
from tests.stories.world import World

PENDING, COMPLETE, FAILED = (
    pb.RatingBatch.PENDING,
    pb.RatingBatch.RATING_COMPLETE,
    pb.RatingBatch.FAILED,
)


def asked(*given: pb.PreviewLine, **more: Any) -> pb.RatingBatch:
    """A request with the lines of a preview."""
    own = [pb.RatingLine.FromString(one.SerializeToString()) for one in given]
    return pb.RatingBatch(lines=own, **more)


async def create(
    world: World, account: str, request: pb.RatingBatch, **more: Any
) -> pb.RatingBatch:
    return await world.client.previews.CreateRatingBatch(
        pb.CreateRatingBatchRequest(parent=account, rating_batch=request, **more)
    )


async def rated(world: World, made: pb.RatingBatch) -> pb.RatingBatch:
    """The request when a worker has done it."""
    async with asyncio.timeout(20):
        while made.state == PENDING:
            await asyncio.sleep(0.02)
            made = await world.client.previews.GetRatingBatch(
                pb.GetRatingBatchRequest(name=made.name)
            )
    return made


async def plan(sandbox: Any) -> tuple[World, str, Any]:
    """20 calls are included; the next 100 cost 1, and there is no rate beyond."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="20", tiers=(("0", "100", "1"),)))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-02", 15)
    return world, account, asset


@pytest.mark.capability("M60")
async def test_a_request_is_pending_and_then_complete(sandbox: Any) -> None:
    world, account, asset = await plan(sandbox)
    given = lines(asset, "calls", ("2024-01-05", 10), ("2024-01-06", 4))
    previewed = await preview(world, account, *given)

    made = await create(world, account, asked(*given))
    done = await rated(world, made)
    plain = await rated(world, await create(world, account, asked(*given, skips_waterfall=True)))

    assert (made.state, len(made.results), made.HasField("rate_time")) == (PENDING, 0, False)
    assert (done.state, reason_of(done.error), done.error.message) == (COMPLETE, "", "")
    assert done.lines == made.lines == asked(*given).lines
    assert [figure(one.amount) for one in done.results] == amounts(previewed) == [5, 4]
    assert [figure(one.overage_quantity) for one in done.results] == [5, 4]
    assert [one.currency_code for one in done.results] == ["USD", "USD"]
    assert all(one.waterfall for one in done.results)
    assert done.rate_time.ToDatetime().isoformat().startswith("2024-01-31")
    assert not any(one.waterfall for one in plain.results)
    assert figure((await world.wallet(account, "calls")).balance) == 5


@pytest.mark.capability("M60")
async def test_a_request_that_fails_says_why_by_code_and_text(sandbox: Any) -> None:
    world, account, asset = await plan(sandbox)
    good, beyond = lines(asset, "calls", ("2024-01-05", 10), ("2024-01-06", 200))
    stranger = lines(asset, "sms", ("2024-01-05", 1))[0]

    failed = await rated(world, await create(world, account, asked(good, beyond, stranger)))

    assert failed.state == FAILED
    assert reason_of(failed.error) == "NO_TIER_FOR_QUANTITY"
    assert failed.error.message.startswith("lines[1]: calls cannot be priced")
    assert "1 more" in failed.error.message
    assert figure(failed.results[0].amount) == 5
    assert not failed.results[1].HasField("amount")
    assert figure(failed.results[1].overage_quantity) == 200
    assert "RESOURCE_NOT_ENTITLED" in str(failed.results[2].status)


async def test_asking_twice_with_one_word_is_asking_once(sandbox: Any) -> None:
    world, account, asset = await plan(sandbox)
    given = asked(*lines(asset, "calls", ("2024-01-05", 10)))

    one, other = await asyncio.gather(
        *(create(world, account, given, request_id="price-me-1") for _ in range(2))
    )
    first = await rated(world, one)
    later = await create(world, account, given)
    await world.use(asset, "calls", "2024-01-07", 5)
    again = await world.client.previews.GetRatingBatch(pb.GetRatingBatchRequest(name=one.name))
    listed = [
        found.name
        async for found in pages(
            world.client.previews.ListRatingBatches,
            pb.ListRatingBatchesRequest(parent=account, page_size=1),
        )
    ]

    assert one.name == other.name
    assert again == first  # what was rated is rated, whatever happens afterwards
    assert listed == [later.name, one.name]


async def test_bad_requests_are_refused_and_not_kept(sandbox: Any) -> None:
    world, account, asset = await plan(sandbox)
    good = lines(asset, "calls", ("2024-01-05", 10))[0]
    none, bad = pb.PreviewLine(), pb.PreviewLine()
    none.CopyFrom(good)
    none.quantity.CopyFrom(number(-1))
    bad.CopyFrom(good)
    bad.asset = asset.name.replace("ann", "bob")

    empty = await refusal(create(world, account, asked()))
    negative = await refusal(create(world, account, asked(good, none)))
    other = await refusal(create(world, account, asked(bad)))
    many = await refusal(create(world, account, asked(*[good] * 501)))
    nobody = await refusal(create(world, "accounts/bob", asked(bad)))
    missing = await refusal(
        world.client.previews.GetRatingBatch(
            pb.GetRatingBatchRequest(
                name=f"{account}/ratingBatches/00000000-0000-7000-8000-000000000000"
            )
        )
    )
    listed = await world.client.previews.ListRatingBatches(
        pb.ListRatingBatchesRequest(parent=account)
    )

    assert negative.reason == "QUANTITY_NEGATIVE"
    assert negative.violations[0].field == "rating_batch.lines[1].quantity"
    assert other.reason == "NAME_FORMAT"
    assert (empty.code.name, many.reason) == ("INVALID_ARGUMENT", "TOO_MANY_ITEMS")
    assert nobody.reason == "ACCOUNT_NOT_FOUND"
    assert missing.reason == "RATING_BATCH_NOT_FOUND"
    assert not listed.rating_batches


async def test_what_would_take_too_long_fails_and_says_so(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, account, asset = await plan(sandbox)
    monkeypatch.setattr("server.usecases.intake.rating_batches.MOST_WORK", 2)
    given = lines(asset, "calls", *[("2024-01-05", 1)] * 3)

    failed = await rated(world, await create(world, account, asked(*given)))

    assert (failed.state, reason_of(failed.error)) == (FAILED, "TOO_MANY_ITEMS")
    assert "send 2 lines at once" in failed.error.message
    assert ["TOO_MANY_ITEMS" in str(one.status) for one in failed.results] == [True] * 3
