"""A correction says why it was made, what it changed, and what it posted; what waits is shown."""

import asyncio
from decimal import Decimal
from uuid import uuid4

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import summary_service_pb2 as pb

from clients.values import reason_of
from tests.stories.consumption.amend_words import AMENDED, VOIDED, amend, void
from tests.stories.correction_words import corrections, pending
from tests.stories.rate_words import priced, put
from tests.stories.stuck_words import broken, in_quarantine
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, figure, line, refusal, usage
from tests.stories.world import World

LATE = pb.Correction.LATE
BOOK = "server.usecases.billing.corrections._book"


def differences(one: pb.CorrectedLine) -> tuple[Decimal, ...]:
    """The differences of the quantities used, drawn and left over, and of the amount."""
    return tuple(
        map(
            figure,
            (
                one.used_difference,
                one.drawn_difference,
                one.overage_difference,
                one.amount_difference,
            ),
        )
    )


def whole(one: pb.RatableSummary) -> tuple[Decimal, ...]:
    figures = (one.used_quantity, one.drawn_quantity, one.overage_quantity, one.amount)
    return tuple(map(figure, figures))


async def plan(world: World, **more: object) -> tuple[str, str]:
    """Ten calls a month, which roll over once, then two a call; sold on the first of January."""
    words = {"grant": "10", "refresh": "MONTH", "max_rollovers": 1, "rate": "2"}
    await world.product("plan", Metered(resource="calls", **(words | more)))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return account, asset


@pytest.mark.capability("M109.late")
async def test_a_correction_adds_up_to_the_difference_of_balance_and_lines(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.use(asset, "calls", "2024-01-10", 3)
    await world.advance("2024-02-10")
    before = await world.wallet(account, "calls")
    posted = await world.entries(before)
    [first] = await world.ratable(account)
    assert await corrections(world, account) == []
    assert (first.correction, first.corrects) == ("", "")

    await world.use(asset, "calls", "2024-01-12", 12)
    await world.advance("2024-02-11")

    [made] = await corrections(world, account)
    after = await world.wallet(account, "calls")
    assert (list(made.causes), list(made.wallets)) == ([LATE], [after.name])
    assert made.start_time.ToDatetime().month == 1
    assert list(made.wallet_entries) == (await world.entries(after))[len(posted) :]
    moved = sum(figure(one.amount) for one in made.wallet_entries)
    assert moved == figure(after.balance) - figure(before.balance) == -7
    assert {one.kind for one in made.wallet_entries} == {made.wallet_entries[0].CORRECTION}
    [changed] = made.lines
    assert differences(changed) == whole(changed.after) == (12, 7, 5, 10)
    assert not changed.HasField("before")
    assert not changed.after.HasField("net_unit_rate")
    assert (changed.after.correction, changed.after.corrects) == (made.name, first.name)
    assert changed.after.origin_start_time == first.origin_start_time
    assert changed.after in await world.ratable(account)


async def test_what_rolls_over_after_all_is_among_the_entries(sandbox):
    """A late reading is the last one: less was used, and the rest rolls over after all."""
    world = await sandbox("2024-01-31")
    account, asset = await plan(world, method="LATEST", window="RATING_PERIOD")
    await world.use(asset, "calls", "2024-01-05", 10)
    await world.advance("2024-02-10")
    before = await world.wallet(account, "calls")
    posted = await world.entries(before)

    await world.use(asset, "calls", "2024-01-20", 4)
    await world.advance("2024-02-11")

    [made] = await corrections(world, account)
    after = await world.wallet(account, "calls")
    entries = list(made.wallet_entries)
    assert entries == (await world.entries(after))[len(posted) :]
    assert sum(figure(one.amount) for one in entries) == figure(after.balance) - 10 == 6
    [rolled] = [one for one in await world.grants(after) if one.kind == one.ROLLOVER]
    assert [figure(one.amount) for one in entries if one.grant == rolled.name] == [6]
    assert [differences(one) for one in made.lines] == [(-6, -6, 0, 0)]


async def test_a_sale_for_a_time_that_is_past_is_a_cause(sandbox):
    world = await sandbox("2024-01-31")
    words = {"grant": "10", "refresh": "MONTH", "rate": "2"}
    await world.product("plan", Metered(resource="calls", **words))
    account = await world.account("ann")
    sold = line("plan", "2024-01-01", binding="ACCOUNT")
    [asset] = await world.sell(account, sold)
    await world.use(asset, "calls", "2024-01-10", 25)
    await world.advance("2024-02-10")
    await world.sell(account, sold)
    await world.advance("2024-02-11")

    [made] = await corrections(world, account)
    entries = await world.entries(await world.wallet(account, "calls"))
    assert list(made.causes) == [pb.Correction.SALE]
    assert [differences(one) for one in made.lines] == [(0, 10, -10, -20)]
    # What the sale issued is not of the correction.
    assert list(made.wallet_entries) == [one for one in entries if one.kind == one.CORRECTION]
    assert [figure(one.amount) for one in made.wallet_entries] == [-10]


@pytest.mark.capability("M109.void")
@pytest.mark.capability("M109.amend")
async def test_what_was_voided_and_what_was_amended_are_causes(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    days = {"a": 10, "b": 4}
    await world.record(
        [usage(asset, "calls", f"2024-01-{n:02}", n, id_) for id_, n in days.items()]
    )
    await world.advance("2024-02-10")

    [voided] = await void(world, account, "b")
    await world.advance("2024-02-11")
    [amended] = await amend(world, usage(asset, "calls", "2024-01-10", 13, "a"))
    await world.advance("2024-02-12")

    made = await corrections(world, account)
    assert (voided.code, amended.code) == (VOIDED, AMENDED)
    assert [list(one.causes) for one in made] == [[pb.Correction.VOID], [pb.Correction.AMEND]]
    lines = [differences(changed) for one in made for changed in one.lines]
    assert lines == [(-4, 0, -4, -8), (3, 0, 3, 6)]
    assert await corrections(world, account, cause="AMEND") == made[1:]


async def test_usage_of_tokens_is_corrected_with_its_tokens(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {"calls": "10"}, Credits(price="0.2", grant="100", refresh=True))
    await set_up(world, text)
    tiers = [("0", "16", "OVERRIDE", "10"), ("16", None, "OVERRIDE", "5")]
    await put(world, "tiers/calls", priced("calls", None, *tiers, currency="unitsOfMeasure/credit"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 15)
    await world.advance("2024-02-10")

    await world.use(asset, "calls", "2024-01-12", 1)
    await world.advance("2024-03-10")

    [made] = await corrections(world, account)
    lines = {one.after.usage_resource.partition("/")[2]: one for one in made.lines}
    assert sorted(made.wallets) == sorted(one.name for one in await world.wallets(account))
    assert differences(lines["calls"]) == (1, 0, 1, -70)
    assert lines["calls"].after.token_unit == "unitsOfMeasure/credit"
    assert differences(lines["credits"]) == (-70, -20, -50, -10)
    [credit] = [one for one in await world.liable(account) if one.amount.units < 0]
    [source] = (await world.trace(credit)).sources
    assert source.ratable_summary == lines["credits"].after
    assert source.correction.name == source.ratable_summary.correction == made.name
    assert list(source.correction.causes) == [LATE]
    assert not source.correction.lines


async def test_a_line_that_is_replaced_is_shown_as_it_was_and_as_it_is(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world, late="REOPEN", max_rollovers=None)
    await world.use(asset, "calls", "2024-01-10", 11)
    await world.advance("2024-02-10")
    [first] = await world.ratable(account)
    await world.use(asset, "calls", "2024-01-12", 1)
    await world.advance("2024-02-11")
    [second] = await world.ratable(account)
    await world.use(asset, "calls", "2024-01-13", 2)
    await world.advance("2024-02-12")
    [third] = await world.ratable(account)

    made = await corrections(world, account)

    assert first.name == second.name == third.name
    for one, then, now in zip(made, (first, second), (second, third), strict=True):
        [changed] = one.lines
        # The line to be invoiced is linked after the line is made.
        assert (changed.before, changed.after) == (then, now)
        assert (changed.after.correction, changed.after.corrects) == (one.name, "")
    assert [differences(one.lines[0]) for one in made] == [(1, 0, 1, 2), (2, 0, 2, 4)]
    [replaced] = await world.liable(account)
    [source] = (await world.trace(replaced)).sources
    assert source.correction.name == made[1].name


async def test_usage_that_had_no_line_gets_its_first(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.use(asset, "calls", "2024-01-31", 1)
    await world.advance("2024-03-10")
    assert len(await world.ratable(account)) == 1

    await world.use(asset, "calls", "2024-02-12", 25)
    await world.advance("2024-03-11")

    [made] = await corrections(world, account)
    [new] = made.lines
    assert (new.after.corrects, new.HasField("before")) == ("", False)
    assert differences(new) == whole(new.after) == (25, 19, 6, 12)
    assert made.start_time.ToDatetime().month == 2
    assert new.after.start_time.ToDatetime().month == 3
    other = f"{account}/corrections/{uuid4()}"
    missing = world.client.summaries.GetCorrection(pb.GetCorrectionRequest(name=other))
    assert (await refusal(missing)).reason == "CORRECTION_NOT_FOUND"


@pytest.mark.capability("M112.corrections")
async def test_a_correction_that_fails_is_visible_and_retried_and_books_once(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.use(asset, "calls", "2024-01-10", 3)
    await world.advance("2024-02-10")
    ledger = await world.entries(await world.wallet(account, "calls"))
    assert await pending(world, account) == []

    with monkeypatch.context() as patched:
        patched.setattr(BOOK, broken)
        await world.use(asset, "calls", "2024-01-12", 12)
        name = await in_quarantine(world, story_database, "correct_usage")
        await world.use(asset, "calls", "2024-01-13", 1)
        [waiting] = await pending(world, account)
    [listed] = (await world.client.access.ListJobs(access.ListJobsRequest())).jobs
    wallet = await world.wallet(account, "calls")

    assert (waiting.wallet, list(waiting.causes)) == (wallet.name, [LATE])
    assert (waiting.start_time.ToDatetime().month, waiting.job) == (1, name)
    assert waiting.job_state == access.Job.QUARANTINED
    assert "a bug" in waiting.error.message
    assert (listed.name, listed.kind) == (name, access.Job.CORRECT_USAGE)
    # It is not in the ledger, and counts already.
    assert await world.entries(wallet) == ledger
    assert figure(wallet.balance) == 10
    assert await corrections(world, account) == []

    retry = access.RetryJobRequest(name=name)
    await world.client.access.RetryJob(retry)
    await _corrected(world, account)

    [made] = await corrections(world, account)
    after = await world.wallet(account, "calls")
    assert [differences(one) for one in made.lines] == [(13, 7, 6, 12)]
    assert list(made.wallet_entries) == (await world.entries(after))[len(ledger) :]
    assert figure(after.balance) == 10
    again = await refusal(world.client.access.RetryJob(retry))
    assert again.reason == "ITEM_STATE"
    await world.advance("2024-02-11")
    assert await corrections(world, account) == [made]


@pytest.mark.capability("M112.corrections")
async def test_a_correction_that_is_given_up_waits_and_can_be_taken_up_again(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.advance("2024-02-10")
    with monkeypatch.context() as patched:
        patched.setattr(BOOK, broken)
        # Nothing was used in January, so its period is made final by this usage.
        await world.use(asset, "calls", "2024-02-09", 1)
        await world.advance("2024-03-10")
        await world.use(asset, "calls", "2024-01-12", 12)
        name = await in_quarantine(world, story_database, "correct_usage")
    await world.client.access.WaiveJob(access.WaiveJobRequest(name=name))
    await world.use(asset, "calls", "2024-01-13", 1)
    [waiting] = await pending(world, account)
    assert (waiting.job, waiting.job_state) == (name, access.Job.WAIVED)
    assert reason_of(waiting.error) == "INTERNAL"

    await world.client.access.RetryJob(access.RetryJobRequest(name=name))
    await _corrected(world, account)

    [made] = await corrections(world, account)
    january = made.lines[0]
    assert differences(january) == (13, 10, 3, 6)


async def _corrected(world: World, account: str) -> None:
    """Wait until nothing is pending."""
    async with asyncio.timeout(20):
        while await pending(world, account):  # noqa: ASYNC110 - a worker does it in its own time
            await asyncio.sleep(0.02)


async def test_each_change_in_one_go_is_taken_in_by_one_correction(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.use(asset, "calls", "2024-01-10", 3)
    await world.advance("2024-03-10")

    late = [usage(asset, "calls", f"2024-0{month}-12", 12) for month in (2, 1)]
    await world.record(late)
    await world.advance("2024-03-11")

    [made] = await corrections(world, account)
    assert made.start_time.ToDatetime().month == 1
    months = [one.after.origin_start_time.ToDatetime().month for one in made.lines]
    assert months == [1, 2]
