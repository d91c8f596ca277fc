"""Previews of quotes: the cost of usage before anything is ordered."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import preview_service_pb2 as previews
from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories.bill_words import owed
from tests.stories.bindings.binding_words import unbound
from tests.stories.quote_words import activate, grant, order, rate
from tests.stories.sale_words import linked, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import Metered, figure, line, moment, number, refusal, stamp
from tests.stories.world import World

CALLS = Metered(
    resource="calls",
    grant="100",
    refresh="MONTH",
    rate="2",
    tiers=(("0", "50", "2"), ("50", None, "1")),
)


def asked(
    resource: str, quantity: object, *, line: int = 0, at: str | None = None
) -> previews.PreviewQuoteLine:
    return previews.PreviewQuoteLine(
        line=line,
        usage_resource=f"usageResources/{resource}",
        quantity=number(quantity),
        usage_time=stamp(moment(at)) if at else None,
    )


async def preview(
    world: World, quote: quotes.Quote, *lines: previews.PreviewQuoteLine, at: str | None = None
) -> previews.PreviewQuoteResponse:
    return await world.client.previews.PreviewQuote(
        previews.PreviewQuoteRequest(
            quote=quote.name, lines=lines, as_of_time=stamp(moment(at)) if at else None
        )
    )


async def shop(sandbox: Any, *metered: Metered) -> tuple[World, str]:
    world = await sandbox("2024-01-10")
    await world.product("plan", *(metered or (CALLS,)))
    return world, await world.account("ann")


async def test_a_quote_shows_what_usage_would_cost_and_then_costs_that(sandbox):
    """180 of 200 granted, 60 over: by volume 60 at 1; under negotiated terms as well."""
    world, account = await shop(sandbox)
    wanted = line("plan", "2024-01-01", negotiated=[rate("1.50")])
    wanted.negotiated_grants.append(grant(120))
    quote = await world.quote(account, wanted)

    found = await preview(world, quote, asked("calls", 100), asked("calls", 80))
    nothing = await world.wallets(account)
    [asset] = await activate(world, quote)
    await world.use(asset, "calls", "2024-01-10", 180)
    await world.advance("2024-02-10")

    [first], [second] = (one.wallets for one in found.previews)
    assert (figure(first.overage_quantity), figure(first.amount)) == (0, 0)
    assert (figure(second.overage_quantity), figure(second.amount)) == (60, 60)
    assert (figure(found.amount), found.currency_code) == (60, "USD")
    assert (first.wallet, first.drawn_from[0].grant) == ("", "")
    assert nothing == []
    assert await owed(world, account) == {"calls": (60, 60)}


async def test_a_quote_of_a_later_start_is_previewed_at_its_start(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, line("plan", "2024-01-01"), line("plan", "2024-06-01"))

    now = await preview(world, quote, asked("calls", 110))
    later = await preview(world, quote, asked("calls", 110, line=1))
    second = await preview(world, quote, asked("calls", 110, line=1), at="2024-07-15")
    past = await refusal(preview(world, quote, asked("calls", 1), at="2024-01-09"))

    dates = [one.as_of_time.ToDatetime().date().isoformat() for one in (now, later, second)]
    assert dates == ["2024-01-10", "2024-06-01", "2024-07-15"]
    # 100 a month are included, and none rolls over.
    assert [figure(one.amount) for one in (now, later, second)] == [20, 20, 20]
    assert (past.reason, past.violations[0].field) == ("INTERVAL_INVALID", "as_of_time")


async def test_a_pack_is_previewed_with_the_wallet_that_it_adds_to(sandbox):
    """X3: 4,000 of the anchor, of which 3,900 are used, and 2,000 of the pack."""
    world = await sandbox("2024-01-10")
    await set_up(world, described("plan", {}, Credits(price="1", grant="4000"), category="USAGE"))
    await set_up(world, pack("more", "credits", grant="2000"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "credits", "2024-01-05", 3900)

    quote = await world.quote(
        account, to(asset.name, "more", "2024-01-10"), line("plan", "2024-01-01")
    )
    alone = await preview(world, quote, asked("credits", 4100, line=1))
    refused = await preview(world, quote, asked("credits", 10, line=0))

    assert figure(alone.amount) == 100
    # A pack has no usage of its own.
    assert refused.previews[0].HasField("status")
    assert not refused.HasField("amount")


async def test_tokens_and_a_commitment_are_previewed(sandbox):
    """10 minutes cost 50 tokens; 20 % off takes 40 of the commitment, which has 32: 10 are left."""
    world = await sandbox("2024-01-10")
    await set_up(world, described("plan", {"minutes": "5"}, Credits(price="0.50")))
    await set_up(world, commitment("commit", "credits", "32", discount="20"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    new = await world.quote(account, line("plan", "2024-01-01"))
    bound = await world.quote(account, linked("commit", "2024-01-01", asset))
    found = await preview(world, new, asked("minutes", 10))
    await activate(world, bound)
    real = await world.client.previews.PreviewUsage(
        previews.PreviewUsageRequest(
            parent=account,
            lines=[
                previews.PreviewLine(
                    asset=asset.name, usage_resource="usageResources/minutes", quantity=number(10)
                )
            ],
        )
    )

    [minutes, credits_] = found.previews[0].wallets
    assert (figure(minutes.amount), minutes.token_unit) == (50, "unitsOfMeasure/credit")
    assert figure(credits_.amount) == figure(found.amount) == 25
    assert figure(real.previews[0].wallets[1].amount) == Decimal("4")


async def test_a_line_that_is_wrong_has_its_own_status(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, line("plan", "2024-01-01"))

    found = await preview(
        world,
        quote,
        asked("calls", 110),
        asked("calls", 1, line=1),
        asked("none", 1),
        asked("calls", -1),
        asked("calls", 1, at="2024-01-11"),
    )

    reasons = [one.status.message for one in found.previews]
    assert reasons[0] == ""
    assert all(reasons[1:]), reasons
    assert not found.HasField("amount")


@pytest.mark.parametrize("state", ["ordered", "beyond", "withdrawn product"])
async def test_quotes_in_other_states(sandbox, state):
    world, account = await shop(
        sandbox, Metered(resource="calls", grant="100", rate="2", max_increase="10")
    )
    wanted = line("plan", "2024-01-01")
    wanted.negotiated_grants.append(grant(200))
    quote = await world.quote(account, wanted if state == "beyond" else line("plan", "2024-01-01"))

    if state == "beyond":
        # The cost helps to decide on the approval.
        assert figure((await preview(world, quote, asked("calls", 210))).amount) == 20
        return
    if state == "ordered":
        await order(world, quote)
        refused = await refusal(preview(world, quote, asked("calls", 1)))
        assert (refused.reason, "PreviewUsage" in refused.message) == ("QUOTE_STATE", True)
        return
    none = await refusal(
        preview(world, quotes.Quote(name=f"{quote.name[:-4]}0000"), asked("calls", 1))
    )
    assert none.reason == "QUOTE_NOT_FOUND"


async def test_a_preview_keeps_nothing_and_does_not_move_the_clock(sandbox):
    world, account = await shop(sandbox)
    quote = await world.quote(account, line("plan", "2024-01-01"))
    for _ in range(3):
        await preview(world, quote, asked("calls", 110), at="2025-01-01")

    answer = await world.client.quotes.GetQuote(quotes.GetQuoteRequest(name=quote.name))
    [asset] = await activate(world, quote)

    assert answer == quote
    assert len(await world.wallets(account)) == 1
    wallet = await world.wallet(account, "calls")
    assert wallet.as_of_time.ToDatetime().date().isoformat() == "2024-01-10"
    assert figure(wallet.balance) == 100
    assert asset


@pytest.mark.capability("M67.line")
async def test_a_preview_counts_what_is_bound_to_a_line_of_the_quote(sandbox):
    """500 of the plan and 100 of the pack that is bound to it pay for 600 of 650."""
    world = await sandbox("2024-01-10")
    await set_up(world, described("plan", {}, Credits(price="10", grant="500"), category="USAGE"))
    await set_up(world, pack("booster", "credits", grant="100"))
    account = await world.account("ann")
    added = unbound("booster", "2024-01-10", binding_line=0)
    quote = await world.quote(account, line("plan", "2024-01-10"), added)

    found = await preview(world, quote, asked("credits", 650))

    assert (figure(found.amount), found.currency_code) == (500, "USD")
    assert await world.wallets(account) == []
