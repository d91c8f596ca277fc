"""The life of a quote before it is ordered: changes, approval, expiry, withdrawal, clones."""

from typing import Any

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from clients import UsageClient
from tests.service import Service
from tests.stories.quote_words import (
    act,
    activate,
    beyond,
    grant,
    order,
    rate,
    read,
    state,
    update,
)
from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.sale_words import linked, plan
from tests.stories.token_words import commitment, set_up
from tests.stories.words import Metered, figure, line, number, refusal
from tests.stories.world import World

CALLS = Metered(
    resource="calls",
    grant="1000",
    rate="1",
    tiers=(("0", "100", "1"), ("100", None, "0.80")),
    max_discount="10",
    max_increase="20",
)


async def shop(sandbox: Any, *metered: Metered) -> tuple[World, str]:
    """1,000 calls, then 1 each, and 0.80 from 100 on; at most 10 % off and 20 % more granted."""
    world = await sandbox("2024-01-31T12:00")
    await world.product("plan", *(metered or (CALLS,)))
    return world, await world.account("ann")


def asking(*rates: quotes.NegotiatedRate, grants: Any = (), **more: Any) -> quotes.SaleLine:
    made = line("plan", "2024-01-01", negotiated=rates)
    made.MergeFrom(quotes.SaleLine(negotiated_grants=list(grants), **more))
    return made


def steps(*tiers: tuple[str, str | None, str], kind: str = "OVERRIDE") -> quotes.NegotiatedRate:
    made = types.RateTiers()
    for lower, upper, value in tiers:
        tier = made.tiers.add(
            lower=number(lower), adjustment={"kind": kind, "value": number(value)}
        )
        if upper is not None:
            tier.upper.value = upper
    return quotes.NegotiatedRate(usage_resource="usageResources/calls", tiers=made)


def packed(value: str, per: str) -> quotes.NegotiatedRate:
    made = rate(value)
    made.rate.per.value = per
    made.clear_tiers = True
    return made


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (asking(), []),
        # Each tier is measured: 0.72 instead of 0.80 is 10 % off, 0.71 is more.
        (asking(steps(("0", "100", "1"), ("100", None, "0.72"))), []),
        (
            asking(steps(("0", "100", "1"), ("100", None, "0.71"))),
            [(0, "calls", "DISCOUNT", 10, "11.25")],
        ),
        # The better price begins earlier: 0.80 instead of 1 from 50 on.
        (
            asking(steps(("0", "50", "1"), ("50", None, "0.80"))),
            [(0, "calls", "DISCOUNT", 10, "20")],
        ),
        # 0.80 for all: without the tiers nothing costs less from 100 on, and 20 % less below.
        (asking(packed("80", "100")), [(0, "calls", "DISCOUNT", 10, "20")]),
        (asking(packed("90", "100")), []),
        (asking(steps(("0", None, "1.50"))), []),
        (asking(grants=[grant(1200)]), []),
        (asking(grants=[grant(1201)]), [(0, "calls", "GRANT_INCREASE", 20, "20.1")]),
        (asking(grants=[grant(0)]), []),
        # A quantity that is valid for longer is more, too.
        (
            asking(grants=[grant(1200, validity=types.Cadence(unit="YEAR", count=2))]),
            [(0, "calls", "GRANT_POLICIES", 20, "")],
        ),
        (asking(quantity=number(2), grants=[grant(2000)]), []),
        (
            asking(rate("0"), steps(("0", None, "0")), grants=[grant(5000)]),
            None,
        ),
    ],
)
async def test_terms_beyond_a_limit_of_the_catalog_wait_for_approval(sandbox, asked, found):
    world, account = await shop(sandbox)
    if found is None:
        refused = await refusal(world.quote(account, asked))
        assert refused.reason == "RESOURCE_TWICE"
        return

    quote = await world.quote(account, asked)

    assert beyond(quote) == found
    assert state(quote) == ("WAITING_FOR_APPROVAL" if found else "DRAFT")


async def test_a_flat_amount_and_a_surcharge_are_measured_too(sandbox):
    world, account = await shop(sandbox, Metered(resource="calls", max_discount="10"))
    listed = priced("calls", None, ("0", None, "OVERRIDE", "1"))
    listed.tiers.tiers[0].flat_amount.CopyFrom(number(100))
    listed.max_discount_percent.value = "10"
    await put(world, "tiers/calls", listed)
    cheaper, dearer = steps(("0", None, "1")), steps(("0", None, "2"))
    cheaper.tiers.tiers[0].flat_amount.CopyFrom(number("89.99"))
    dearer.tiers.tiers[0].flat_amount.CopyFrom(number(100))

    found = [await world.quote(account, asking(one)) for one in (cheaper, dearer)]

    assert [beyond(one) for one in found] == [[(0, "calls", "DISCOUNT", 10, "10.01")], []]


async def test_the_discount_of_a_commitment_is_measured_by_what_is_left(sandbox):
    """20 % off are listed; with 28 % off, 72 instead of 80 are paid, which is 10 % less."""
    world = await sandbox("2024-01-31")
    await plan(world)
    listed = commitment("commit", "credits", "1000", kind="QUANTITY_COMMITMENT", discount="20")
    limited = listed.replace(
        "  - name: rateCards/tiers/entries/commit\n",
        "  - name: rateCards/tiers/entries/commit\n    max_discount_percent: 10\n",
    )
    await set_up(world, limited)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    async def quoted(percent: str) -> list[Any]:
        asked = steps(("0", None, percent), kind="PERCENTAGE")
        asked.usage_resource = "usageResources/credits"
        made = linked("commit", "2024-01-01", asset, negotiated_rates=[asked])
        return beyond(await world.quote(account, made))

    assert [await quoted("28"), await quoted("29")] == [
        [],
        [(0, "credits", "DISCOUNT", 10, "11.25")],
    ]


async def test_a_quote_that_waits_is_ordered_once_it_is_approved(sandbox, service: Service) -> None:
    """By an approver, who can do nothing else; a seller cannot approve."""
    world, account = await shop(sandbox)
    quote = await world.quote(account, asking(rate("0.50"), grants=[grant(3000)]))
    approver, name = await _credential(world, service, "APPROVER")
    seller, _ = await _credential(world, service, "RUN_TIME_USER")

    early = await refusal(order(world, quote))
    forbidden = await refusal(
        seller.quotes.ApproveQuote(quotes.ApproveQuoteRequest(name=quote.name))
    )
    selling = await refusal(world_of(approver).quote(account, asking()))
    approved = await act(world_of(approver), "Approve", quote, reason="a good customer")
    again = await refusal(act(world, "Approve", quote))
    [asset] = await activate(world, quote)
    await approver.__aexit__(None, None, None)
    await seller.__aexit__(None, None, None)

    assert (early.code.name, early.reason) == ("FAILED_PRECONDITION", "APPROVAL_REQUIRED")
    assert "ApproveQuote" in early.message
    assert (forbidden.reason, selling.reason) == ("PERMISSION_MISSING", "PERMISSION_MISSING")
    assert state(approved) == "APPROVED"
    assert (approved.decision.reason, approved.decision.decided_by) == ("a good customer", name)
    assert approved.decision.decide_time.ToDatetime().isoformat() == "2024-01-31T12:00:00"
    assert again.reason == "QUOTE_STATE"
    assert figure(asset.resources[0].terms.rate.value) == figure(number("0.50"))
    assert figure(asset.resources[0].entitlements[0].quantity) == 3000


async def test_a_rejected_quote_is_changed_and_needs_no_approval_any_more(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, asking(grants=[grant(3000)]))

    unreasoned = await refusal(act(world, "Reject", quote))
    rejected = await act(world, "Reject", quote, reason="too much")
    refused = await refusal(order(world, quote))
    changed = await update(world, rejected, asking(grants=[grant(1200)]))

    assert unreasoned.reason == "FIELD_REQUIRED"
    assert (state(rejected), rejected.decision.reason) == ("REJECTED", "too much")
    assert refused.reason == "QUOTE_STATE"
    assert "UpdateQuote" in refused.message
    assert state(changed) == "DRAFT"
    assert not changed.HasField("decision")
    assert changed.etag != rejected.etag
    assert await activate(world, changed)


async def test_an_approval_does_not_outlive_a_change_of_the_terms(sandbox):
    world, account = await shop(sandbox)
    quote = await act(world, "Approve", await world.quote(account, asking(grants=[grant(3000)])))

    later = await update(world, quote, expires="2024-02-10")
    more = await update(world, later, asking(grants=[grant(4000)]))
    rejected = await act(world, "Reject", more, reason="no")
    approved = await act(world, "Approve", rejected, reason="well")
    repriced = await act(world, "Reprice", approved)

    assert [state(one) for one in (quote, later, more, approved, repriced)] == [
        "APPROVED",
        "APPROVED",
        "WAITING_FOR_APPROVAL",
        "APPROVED",
        "WAITING_FOR_APPROVAL",
    ]


@pytest.mark.capability("M81.reprice")
async def test_repricing_takes_the_catalog_of_now_and_keeps_what_was_negotiated(sandbox):
    world, account = await shop(sandbox, Metered(resource="calls", grant="1000", rate="1"))
    kept = asking(rate("0.90"), grants=[grant(1500)], attributes={"region": "eu"})
    quote = await world.quote(account, kept, asking())
    await move(world, INACTIVE, "rateCards/base/entries/plan-calls-USD")
    await put(world, "base/dearer", priced("calls", "2"))

    read_again = await read(world, quote)
    repriced = await act(world, "Reprice", quote)
    same = await act(world, "Reprice", repriced)

    assert read_again == quote
    rates_ = [one.resources[0].terms for one in repriced.lines]
    assert [figure(one.rate.value) for one in rates_] == [figure(number("0.90")), 2]
    assert figure(rates_[0].catalog_rate.value) == 2
    assert not rates_[1].HasField("catalog_rate")
    for field in ("negotiated_rates", "negotiated_grants", "attributes", "start_date"):
        assert getattr(repriced.lines[0], field) == getattr(quote.lines[0], field)
    assert list(same.lines) == list(repriced.lines)


async def test_a_quote_expires_by_the_clock_of_the_tenant_and_can_be_prolonged(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, asking())
    quote = await update(world, quote, expires="2024-02-05")
    past = await refusal(update(world, quote, expires="2024-01-31T12:00"))
    await world.advance("2024-02-05")

    expired = await read(world, quote)
    refused = await refusal(order(world, quote))
    listed = [
        await world.client.quotes.ListQuotes(quotes.ListQuotesRequest(parent=account, state=one))
        for one in ("DRAFT", "EXPIRED")
    ]
    again = await update(world, expired, expires="2024-03-01")

    assert (past.reason, past.violations[0].field) == ("INTERVAL_INVALID", "quote.expire_time")
    assert (state(expired), refused.reason) == ("EXPIRED", "QUOTE_EXPIRED")
    assert "UpdateQuote" in refused.message
    assert [len(one.quotes) for one in listed] == [0, 1]
    assert state(again) == "DRAFT"
    assert await activate(world, again)


async def test_a_withdrawn_quote_is_cloned(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, asking(grants=[grant(1200)], external_id="ours"))

    withdrawn = await act(world, "Withdraw", quote, reason="they went away")
    again = await act(world, "Withdraw", quote)
    refused = [
        await refusal(order(world, quote)),
        await refusal(update(world, withdrawn, asking())),
        await refusal(act(world, "Reprice", quote)),
        await refusal(act(world, "Approve", quote)),
    ]
    clone = await act(world, "Clone", quote)

    assert (state(withdrawn), withdrawn.decision.reason) == ("WITHDRAWN", "they went away")
    assert again == withdrawn
    assert [one.reason for one in refused] == ["QUOTE_STATE"] * 4
    assert all("CloneQuote" in one.message for one in refused)
    assert (state(clone), clone.cloned_from) == ("DRAFT", quote.name)
    assert clone.lines[0].negotiated_grants == quote.lines[0].negotiated_grants
    assert clone.lines[0].external_id == ""
    assert await activate(world, clone)


async def test_an_ordered_quote_stays_as_it_is(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, asking())
    await order(world, quote)
    ordered = await read(world, quote)

    refused = [
        await refusal(order(world, quote)),
        await refusal(update(world, ordered, asking())),
        await refusal(act(world, "Withdraw", quote)),
    ]

    assert state(ordered) == "ORDERED"
    assert [one.reason for one in refused] == ["QUOTE_STATE"] * 3
    assert (await act(world, "Clone", quote)).cloned_from == quote.name


async def test_a_stale_etag_changes_nothing(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, asking())
    await update(world, quote, expires="2024-02-10")

    refused = [
        await refusal(update(world, quote, asking(grants=[grant(1200)]))),
        await refusal(act(world, "Withdraw", quote, etag=quote.etag)),
        await refusal(act(world, "Reprice", quote, etag=quote.etag)),
    ]

    assert [one.reason for one in refused] == ["ETAG_MISMATCH"] * 3
    assert (await read(world, quote)).lines == quote.lines


async def test_all_that_a_line_can_have_survives_a_reprice(sandbox):
    """A commitment with its anchor, a target, overriding policies, a selling model."""
    world = await sandbox("2024-01-31")
    await plan(world, grant="10")
    await set_up(
        world, commitment("commit", "credits", "1000", discount="20", kind="QUANTITY_COMMITMENT")
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    bound = quotes.SaleLine(
        product="products/plan", start_date=line("plan", "2024-01-01").start_date
    )
    bound.binding_target = asset.name
    quote = await world.quote(
        account,
        linked("commit", "2024-01-01", asset),
        bound,
        line("plan", "2024-01-01", end="2024-07-01", binding="ACCOUNT"),
    )

    repriced = await act(world, "Reprice", quote)

    assert list(repriced.lines) == list(quote.lines)


def world_of(client: UsageClient) -> World:
    return World(client)


async def _credential(world: World, service: Service, role: str) -> tuple[UsageClient, str]:
    """A client with a credential of its own, and the name of the credential."""
    answer = await world.client.access.CreateCredential(
        access.CreateCredentialRequest(credential={"roles": [role]})
    )
    client = await UsageClient(service.address, answer.key).__aenter__()
    return client, answer.credential.name
