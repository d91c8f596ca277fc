"""Lines that an invoice has: marked once, and never changed by late usage."""

import asyncio

import pytest
from usage_management.v1 import summary_service_pb2 as rpc

from tests.stories.bill_words import mark
from tests.stories.consumption.amend_words import void
from tests.stories.words import Metered, codes, figure, line, money, refusal, usage

READY, INVOICED = rpc.LiableSummary.READY_FOR_INVOICING, rpc.LiableSummary.INVOICED


async def billed(sandbox, late: str = "NEXT_PERIOD"):
    world = await sandbox("2024-01-31")
    metered = [Metered(resource=name, rate="2", late=late) for name in ("calls", "texts")]
    await world.product("plan", *metered)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for name in ("calls", "texts"):
        await world.use(asset, name, "2024-01-10", 10)
    await world.advance("2024-02-10")
    return world, account, asset


@pytest.mark.capability("M100.invoiced")
async def test_lines_are_marked_all_or_none_and_once(sandbox):
    world, account, _ = await billed(sandbox)
    first, second = [one.name for one in await world.liable(account)]

    [done] = await mark(world, first)
    again = await mark(world, second, first)
    missing = await refusal(mark(world, second, f"{account}/liableSummaries/{'0' * 32}"))
    other = await refusal(mark(world, second, first, invoice="INV-2"))

    assert (done.state, done.invoice) == (INVOICED, "INV-1")
    assert done.invoice_time.ToJsonString() == "2024-02-10T00:00:00Z"
    assert [one.name for one in again] == [second, first]
    assert again[1].invoice_time == done.invoice_time
    assert missing.reason == "ID_FORMAT"
    assert (other.reason, other.facts["invoice"]) == ("ALREADY_INVOICED", "INV-1")
    listed = rpc.ListLiableSummariesRequest(parent=account, state="INVOICED")
    found = (await world.client.summaries.ListLiableSummaries(listed)).liable_summaries
    assert {one.name for one in found} == {first, second}


async def test_one_unknown_line_marks_none(sandbox):
    world, account, _ = await billed(sandbox)
    [first, _] = [one.name for one in await world.liable(account)]
    unknown = f"{account}/liableSummaries/00000000-0000-7000-8000-000000000000"

    refused = await refusal(mark(world, first, unknown))

    assert refused.reason == "LIABLE_SUMMARY_NOT_FOUND"
    assert [one.state for one in await world.liable(account)] == [READY, READY]


@pytest.mark.parametrize("invoice", ["", "  "])
async def test_an_invoice_has_a_reference(sandbox, invoice):
    world, account, _ = await billed(sandbox)
    [first, _] = [one.name for one in await world.liable(account)]

    refused = await refusal(mark(world, first, invoice=invoice))

    assert [(one.field, one.reason) for one in refused.violations] == [
        ("invoice", "FIELD_REQUIRED")
    ]
    [done] = await mark(world, first, invoice=" INV-7 ")
    assert done.invoice == "INV-7"


async def test_two_invoices_at_once_leave_a_line_in_one_of_them(sandbox):
    world, account, _ = await billed(sandbox)
    names = [one.name for one in await world.liable(account)]

    found = await asyncio.gather(
        *(mark(world, *names, invoice=f"INV-{n}") for n in range(8)), return_exceptions=True
    )

    refused = [one for one in found if isinstance(one, BaseException)]
    assert [getattr(one, "reason", one) for one in refused] == ["ALREADY_INVOICED"] * 7
    lines = await world.liable(account)
    assert len({one.invoice for one in lines}) == 1
    assert [one.state for one in lines] == [INVOICED] * 2


async def test_late_usage_does_not_reopen_a_period_that_is_invoiced(sandbox):
    world, account, asset = await billed(sandbox, late="REOPEN")
    names = {one.usage_resource: one.name for one in await world.liable(account)}
    await mark(world, names["usageResources/calls"])

    late = [usage(asset, name, "2024-01-11", 5) for name in ("calls", "texts")]
    outcomes = await world.record(late)
    await world.advance("2024-03-10")

    assert codes(outcomes) == [4, 4]
    assert [one.late.policy for one in outcomes] == [1, 2]
    lines = sorted(await world.liable(account), key=lambda one: one.start_time.seconds)
    calls = [one for one in lines if one.usage_resource == "usageResources/calls"]
    [texts] = [one for one in lines if one.usage_resource == "usageResources/texts"]
    assert [(one.state, money(one.amount)) for one in calls] == [(INVOICED, 20), (READY, 10)]
    assert (texts.state, money(texts.amount), figure(texts.used_quantity)) == (READY, 30, 15)


async def test_only_what_the_caller_has_read_is_invoiced(sandbox):
    world, account, asset = await billed(sandbox, late="REOPEN")
    await world.record([usage(asset, "calls", "2024-01-11", 5, "wrong")])
    await world.advance("2024-02-11")
    read = {one.name: one for one in await world.liable(account)}
    etags = {name: one.etag for name, one in read.items()}

    await void(world, account, "wrong")
    await world.advance("2024-02-12")
    refused = await refusal(mark(world, *read, etags=etags))

    lines = {one.name: one for one in await world.liable(account)}
    [changed] = [name for name in read if lines[name].etag != etags[name]]
    assert (refused.code.name, refused.reason) == ("ABORTED", "ETAG_MISMATCH")
    assert refused.facts == {
        "name": changed,
        "etag": lines[changed].etag,
        "expected_amount": "30 USD",
        "amount": "20 USD",
    }
    assert f"{changed} has changed since it was read: its amount is 20 USD, and was 30 USD" in str(
        refused.message
    )
    assert [one.state for one in lines.values()] == [READY, READY]

    now = {name: one.etag for name, one in lines.items()}
    done = await mark(world, *read, etags=now)
    again = await mark(world, *read, etags=now)

    assert sorted(money(one.amount) for one in done) == [20, 20]
    assert [one.etag for one in done] == [now[one.name] for one in done]
    assert again == done


async def test_an_etag_is_that_of_a_line_of_the_call(sandbox):
    world, account, _ = await billed(sandbox)
    first, second = await world.liable(account)

    strange = await refusal(mark(world, first.name, etags={second.name: second.etag}))
    other = await refusal(mark(world, first.name, second.name, etags={second.name: "other"}))
    only_one = await mark(world, first.name, second.name, etags={second.name: second.etag})

    assert [(one.field, one.reason) for one in strange.violations] == [("etags", "NAME_FORMAT")]
    assert other.reason == "ETAG_MISMATCH"
    assert {"name", "etag", "amount"} == set(other.facts)
    assert [one.state for one in only_one] == [INVOICED, INVOICED]
