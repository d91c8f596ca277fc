"""A job that will not end: it stops the clock, is named, is listed, is tried again or given up."""

import asyncio
from uuid import uuid4

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import preview_service_pb2 as previews
from usage_management.v1 import validation_service_pb2 as validation

from clients import UsageError
from clients.values import reason_of
from tests.stories.preview_words import lines
from tests.stories.stuck_words import broken, in_quarantine, stuck_job
from tests.stories.words import Metered, line, moment, stamp

KINDS = ("rate_batch", "validate_catalog")


async def test_a_stuck_job_that_is_given_up_stops_nobody(sandbox, story_database: str):
    world = await sandbox("2024-01-01")
    name = await stuck_job(world, story_database)
    jobs = world.client.access

    waived = await jobs.WaiveJob(access.WaiveJobRequest(name=name))
    done = await world.advance("2024-02-01")
    listed = (await jobs.ListJobs(access.ListJobsRequest())).jobs

    assert waived.state == access.Job.WAIVED
    assert waived.error.message == "a test put it here"  # why it was given up stays readable
    assert done.state == access.Run.DONE
    assert [one.state for one in listed if one.name == name] in ([], [access.Job.WAIVED])
    with pytest.raises(UsageError, match="ITEM_STATE"):
        await jobs.WaiveJob(access.WaiveJobRequest(name=name))


async def test_what_waits_for_a_job_that_is_given_up_fails_and_says_so(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    monkeypatch.setattr("server.usecases.intake.rating_batches.read_inputs", broken)
    monkeypatch.setattr("server.usecases.validation.catalog_run.load_setups", broken)

    [given] = lines(asset, "calls", ("2024-01-05", 3))
    own = previews.RatingLine.FromString(given.SerializeToString())
    request = await world.client.previews.CreateRatingBatch(
        previews.CreateRatingBatchRequest(
            parent=account, rating_batch=previews.RatingBatch(lines=[own])
        )
    )
    run = await world.client.validation.ValidateCatalog(validation.ValidateCatalogRequest())
    names = [await in_quarantine(world, story_database, kind) for kind in KINDS]
    for name in names:
        await world.client.access.WaiveJob(access.WaiveJobRequest(name=name))
    failed = await world.client.previews.GetRatingBatch(
        previews.GetRatingBatchRequest(name=request.name)
    )
    ended = await world.client.access.GetRun(access.GetRunRequest(name=run.name))

    assert request.state == previews.RatingBatch.PENDING
    assert (failed.state, reason_of(failed.error)) == (previews.RatingBatch.FAILED, "JOB_WAIVED")
    assert "a bug" in failed.error.message
    assert ["JOB_WAIVED" in str(one.status) for one in failed.results] == [True]
    assert (ended.state, ended.failed_job) == (access.Run.FAILED, names[1])
    assert "a bug" in ended.error.message
    assert dict(ended.done_counts)["products"] == 1


async def test_of_two_who_move_the_clock_at_once_one_is_told_of_the_other(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", grant="1", refresh="MONTH", rate="1"))
    await world.sell(await world.account("ann"), line("plan", "2024-01-01"))
    # Far enough that the first is still under way when the second is asked for.
    move = access.AdvanceClockRequest(to_time=stamp(moment("2026-01-01")))

    both = await asyncio.gather(
        *(world.client.access.AdvanceClock(move) for _ in range(2)), return_exceptions=True
    )

    [run] = [one for one in both if isinstance(one, access.Run)]
    [refused] = [one for one in both if isinstance(one, UsageError)]
    assert (refused.reason, refused.facts["run"]) == ("RUN_IN_PROGRESS", run.name)
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await world.client.access.GetRun(access.GetRunRequest(name=run.name))
    assert run.state == access.Run.DONE


async def test_a_quarantined_job_stops_the_clock_until_somebody_decides(
    sandbox, story_database: str
):
    world = await sandbox("2024-01-01")
    name = await stuck_job(world, story_database)
    jobs = world.client.access

    run = await jobs.AdvanceClock(access.AdvanceClockRequest(to_time=stamp(moment("2024-02-01"))))
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await jobs.GetRun(access.GetRunRequest(name=run.name))
    [listed] = (await jobs.ListJobs(access.ListJobsRequest())).jobs
    retried = await jobs.RetryJob(access.RetryJobRequest(name=name))
    done = await world.advance("2024-02-01")

    assert (run.state, run.failed_job) == (access.Run.FAILED, name)
    assert "a test put it here" in run.error.message
    assert (listed.name, listed.state, listed.attempt_count) == (name, access.Job.QUARANTINED, 9)
    assert (retried.state, retried.attempt_count) == (access.Job.PENDING, 0)
    assert done.state == access.Run.DONE  # the job too: nothing was to be closed, which is an end
    with pytest.raises(UsageError, match="ITEM_STATE"):
        await jobs.WaiveJob(access.WaiveJobRequest(name=name))
    with pytest.raises(UsageError, match="JOB_NOT_FOUND"):
        await jobs.RetryJob(access.RetryJobRequest(name=f"jobs/{uuid4()}"))
