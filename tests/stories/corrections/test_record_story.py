"""One call tells what became of a record: who paid, which lines and invoices have it, and what
corrected its period."""

import asyncio

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from clients.pages import pages
from tests.stories.consumption.amend_words import amend, stored, void
from tests.stories.correction_words import corrections, pending
from tests.stories.stuck_words import broken, in_quarantine
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, figure, line, usage
from tests.stories.world import World

BOOK = "server.usecases.billing.corrections._book"
LINE = summaries.LiableSummary
LATE, VOID, AMEND = (summaries.Correction.Cause.Value(one) for one in ("LATE", "VOID", "AMEND"))


async def plan(world: World, **more: object):
    """Ten calls a month, then two a call; sold on the first of January."""
    words = {"grant": "10", "refresh": "MONTH", "rate": "2"}
    await world.product("plan", Metered(resource="calls", **(words | more)))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return account, asset


async def corrected(world: World, account: str) -> None:
    async with asyncio.timeout(20):
        while await pending(world, account):  # noqa: ASYNC110 - a worker does it in its own time
            await asyncio.sleep(0.02)


def drawn(record: consumption.UsageRecord):
    return [
        (one.grant, figure(one.quantity), figure(one.amount)) for one in record.story.drawn_from
    ]


def causes(record: consumption.UsageRecord):
    return [list(one.causes) for one in record.story.corrections]


@pytest.mark.capability("M109.late")
async def test_a_record_tells_its_story_from_the_open_period_to_the_invoice(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.record([usage(asset, "calls", "2024-01-10", 3, "early")])
    new = await stored(world, account, "early")
    assert new.HasField("story")
    assert (drawn(new), list(new.story.lines), causes(new)) == ([], [], [])

    await world.advance("2024-02-10")
    await world.record([usage(asset, "calls", "2024-01-10", 12, "late")])
    await corrected(world, account)
    await world.advance("2024-03-10")

    [made] = await corrections(world, account)
    [first, second] = [one for one in await world.ratable(account) if one.origin_start_time ==
                       made.start_time]  # fmt: skip
    [grant] = [one for one in await world.grants(await world.wallet(account, "calls"))
               if one.kind == one.SALE]  # fmt: skip
    early, late = [await stored(world, account, one) for one in ("early", "late")]
    assert (early.outcome.late, late.outcome.late) == (False, True)
    # Both are of one day, so that one usage summary has both.
    assert drawn(early) == drawn(late) == [(grant.name, 10, 10)]
    assert early.story == late.story
    assert [one.ratable_summary for one in late.story.lines] == [first.name, second.name]
    assert [one.correction for one in late.story.lines] == ["", made.name]
    bills = [one.liable_summary for one in late.story.lines]
    assert bills == [first.liable_summary, second.liable_summary]
    [told] = late.story.corrections
    assert (told.correction, told.create_time) == (made.name, made.create_time)
    assert causes(late) == [[LATE]]

    marked = summaries.MarkInvoicedRequest(liable_summaries=bills[1:], invoice="INV-7")
    await world.client.summaries.MarkInvoiced(marked)
    late = await stored(world, account, "late")
    states = [(one.liable_state, one.invoice) for one in late.story.lines]
    assert states == [(LINE.READY_FOR_INVOICING, ""), (LINE.INVOICED, "INV-7")]


@pytest.mark.capability("M109.void", "M109.amend")
async def test_each_record_tells_the_corrections_since_it_arrived(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.record([usage(asset, "calls", "2024-01-10", 13, "a")])
    await world.record([usage(asset, "calls", "2024-01-11", 2, "b")])
    await world.advance("2024-02-10")
    before = await stored(world, account, "a")

    await amend(world, usage(asset, "calls", "2024-01-10", 4, "a"))
    await corrected(world, account)
    await world.record([usage(asset, "calls", "2024-01-12", 1, "c")])
    await corrected(world, account)
    await void(world, account, "b")
    await corrected(world, account)
    # A change of another period is no part of the story.
    await world.record([usage(asset, "calls", "2024-02-05", 1, "february")])
    await world.advance("2024-03-10")
    await world.record([usage(asset, "calls", "2024-02-06", 1, "more")])
    await corrected(world, account)

    a, b, c = [await stored(world, account, one) for one in "abc"]
    assert (before.outcome.late, a.outcome.late, a.revision) == (False, True, 2)
    assert causes(a) == causes(b) == [[AMEND], [LATE], [VOID]]
    assert causes(c) == [[LATE], [VOID]]
    assert [(quantity, amount) for _, quantity, amount in drawn(a)] == [(4, 4)]
    assert drawn(b) == []
    assert [(quantity, amount) for _, quantity, amount in drawn(c)] == [(1, 1)]
    assert len(a.story.lines) == 4
    assert len(await corrections(world, account)) == 4


async def test_a_record_tells_that_its_correction_is_pending(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world)
    await world.record([usage(asset, "calls", "2024-01-10", 3, "early")])
    await world.advance("2024-02-10")
    await world.record([usage(asset, "calls", "2024-02-05", 1, "open")])
    rpc = world.client.consumption.ListUsageRecords

    async def waiting() -> dict[str, bool]:
        listed = pages(rpc, consumption.ListUsageRecordsRequest(parent=account))
        found = [one async for one in listed]
        assert not any(one.HasField("story") for one in found)
        flags = {one.name.rpartition("/")[2]: one.correction_pending for one in found}
        whole = [await stored(world, account, one) for one in flags]
        assert [one.correction_pending for one in whole] == list(flags.values())
        return flags

    assert await waiting() == {"early": False, "open": False}
    with monkeypatch.context() as patched:
        patched.setattr(BOOK, broken)
        await world.record([usage(asset, "calls", "2024-01-12", 12, "late")])
        job = await in_quarantine(world, story_database, "correct_usage")
    assert await waiting() == {"early": True, "late": True, "open": False}
    late = await stored(world, account, "late")
    assert (late.outcome.late, drawn(late), causes(late)) == (True, [], [])

    await world.client.access.RetryJob(access.RetryJobRequest(name=job))
    await corrected(world, account)
    assert await waiting() == {"early": False, "late": False, "open": False}
    late = await stored(world, account, "late")
    assert ([quantity for _, quantity, _ in drawn(late)], causes(late)) == ([7], [[LATE]])


async def test_a_line_that_was_replaced_names_the_correction_that_did(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await plan(world, late="REOPEN")
    await world.record([usage(asset, "calls", "2024-01-10", 11, "early")])
    await world.advance("2024-02-10")
    before = await stored(world, account, "early")
    await world.record([usage(asset, "calls", "2024-01-12", 1, "late")])
    await corrected(world, account)
    await world.record([usage(asset, "calls", "2024-01-13", 1, "later")])
    await corrected(world, account)

    after = await stored(world, account, "early")
    made = await corrections(world, account)
    [was], [now] = before.story.lines, after.story.lines
    assert (was.ratable_summary, was.correction) == (now.ratable_summary, "")
    assert now.correction == made[1].name
    assert [one.correction for one in after.story.corrections] == [one.name for one in made]


async def test_usage_that_costs_tokens_tells_what_paid_for_the_tokens(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="1", grant="100")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record([usage(asset, "data", "2024-01-10", 12, "r")])
    await world.advance("2024-02-20")

    record = await stored(world, account, "r")
    [grant] = await world.grants(await world.wallet(account, "credits"))
    lines = {one.name: one for one in await world.ratable(account)}
    assert drawn(record) == [(grant.name, 100, 100)]
    own, tokens = record.story.lines
    assert lines[own.ratable_summary].token_unit == "unitsOfMeasure/credit"
    assert (own.liable_summary, own.liable_state) == ("", LINE.STATE_UNSPECIFIED)
    assert figure(lines[tokens.ratable_summary].amount) == 20
    [bill] = await world.liable(account)
    assert tokens.liable_summary == bill.name
