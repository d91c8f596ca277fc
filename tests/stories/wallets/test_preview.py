"""Previews: what usage would do is what it does when it is recorded, and asking changes nothing."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import preview_service_pb2 as pb

from clients import UsageError
from clients.values import enum_name, reason_of
from tests.stories.preview_words import (
    amounts,
    lines,
    preview,
    reason,
    record_all,
    rows,
)
from tests.stories.rate_words import priced, put
from tests.stories.sale_words import linked
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, figure, line, moment, number, stamp, usage


async def test_each_line_says_what_it_draws_what_is_left_and_what_that_costs(sandbox: Any) -> None:
    world = await sandbox("2024-01-20")
    await world.product("plan", Metered(resource="calls", grant="100", refresh="MONTH", rate="0.5"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-05", 70)
    asked = lines(asset, "calls", ("2024-01-10", 20), ("2024-01-11", 30), ("2024-01-12", 4))

    found = await preview(world, account, *asked)

    wallet = await world.wallet(account, "calls")
    [grant] = await world.grants(wallet)
    assert [figure(one.wallets[0].used_quantity) for one in found] == [20, 30, 4]
    assert [figure(one.wallets[0].overage_quantity) for one in found] == [0, 20, 4]
    assert amounts(found) == [0, 10, 2]
    assert [
        [(d.grant, figure(d.quantity)) for d in one.wallets[0].drawn_from] for one in found
    ] == [[(grant.name, 20)], [(grant.name, 10)], []]
    assert {one.wallets[0].currency_code for one in found} == {"USD"}
    assert found[1].wallets[0].terms.base_entry == "rateCards/base/entries/plan-calls-USD"
    assert figure(found[2].wallets[0].rated_quantity) == 24
    assert figure(found[2].wallets[0].rated_amount) == 12
    assert [enum_name(step, "element") for step in found[2].wallets[0].waterfall]
    assert (figure(wallet.balance), figure(wallet.overage_quantity)) == (30, 0)


async def test_what_is_previewed_is_what_is_charged(sandbox: Any) -> None:
    """The amounts of lines add up to the invoice-ready lines, tiers, grants and order included."""
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(
            resource="calls",
            grant="50",
            rate="2",
            tiers=(("0", "100", "1"), ("100", None, "0.25")),
        ),
        Metered(resource="seats", method="PEAK", rate="3"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-03", 20)
    await world.use(asset, "seats", "2024-01-03", 4)
    asked = [
        *lines(asset, "calls", ("2024-01-20", 60), ("2024-01-02", 35), ("2024-01-25", 70)),
        *lines(asset, "seats", ("2024-01-04", 3), ("2024-01-05", 9)),
    ]

    found = await preview(world, account, *asked)
    await record_all(world, asked)
    await world.advance("2024-02-10")

    # The third line reaches the cheaper tier, which prices all: 135 at 0.25, before 65 at 1.
    assert amounts(found) == [30, 35, Decimal("-31.25"), 0, 15]
    charged = {one.usage_resource: figure(one.exact_amount) for one in await world.liable(account)}
    assert charged["usageResources/calls"] == sum(amounts(found)[:3])
    assert charged["usageResources/seats"] == sum(amounts(found)[3:]) + 12


async def test_graduated_tiers_go_on_where_the_period_stands(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls"))
    steps = (("0", "10", "OVERRIDE", "5"), ("10", "20", "OVERRIDE", "3"))
    await put(world, "base/calls", priced("calls", "1"))
    await put(world, "tiers/calls", priced("calls", None, *steps, mode="GRADUATED"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-15"))
    await world.use(asset, "calls", "2024-01-16", 8)
    asked = lines(asset, "calls", ("2024-01-17", 4), ("2024-01-18", 10))

    found = await preview(world, account, *asked)
    await record_all(world, asked)
    await world.advance("2024-02-10")

    assert amounts(found) == [2 * 5 + 2 * 3, 8 * 3 + 2 * 1]
    [charged] = await world.liable(account)
    assert figure(charged.exact_amount) == sum(amounts(found)) + 40


async def test_a_cap_refuses_the_line_and_those_after_it_are_still_asked(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="100", overage="BLOCK"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-03", 60)
    asked = lines(asset, "calls", ("2024-01-04", 50), ("2024-01-05", 40), ("2024-01-06", 1))

    found = await preview(world, account, *asked)
    outcomes = [
        (await world.record([usage(asset, "calls", f"2024-01-0{4 + n}", quantity)]))[0]
        for n, quantity in enumerate((50, 40, 1))
    ]

    assert ["CAP_REACHED" in reason(one) for one in found] == [True, False, True]
    assert [one.HasField("status") for one in outcomes] == [one.HasField("status") for one in found]
    assert not found[0].wallets


async def test_tokens_are_shown_in_both_wallets(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await set_up(
        world, described("plan", {"data": "10", "sms": "5"}, Credits(price="2", grant="100"))
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-05", 8)
    asked = [
        *lines(asset, "sms", ("2024-01-06", 3)),
        *lines(asset, "data", ("2024-01-07", 4)),
    ]

    found = await preview(world, account, *asked)
    await record_all(world, asked)
    await world.advance("2024-02-10")

    assert amounts(found) == [15, 40]
    assert [one.wallets[0].token_unit for one in found] == ["unitsOfMeasure/credit"] * 2
    tokens = [one.wallets[1] for one in found]
    assert [one.usage_resource for one in tokens] == ["usageResources/credits"] * 2
    assert [figure(one.used_quantity) for one in tokens] == [15, 40]
    assert [figure(one.drawn_from[0].quantity) for one in tokens] == [15, 5]
    assert [figure(one.overage_quantity) for one in tokens] == [0, 35]
    assert amounts(found, 1) == [0, 70]
    assert sum(figure(one.exact_amount) for one in await world.liable(account)) == 70


async def test_what_no_rate_covers_is_named_and_not_free(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    tiers = (("0", "5", "1"),)
    await world.product("plan", Metered(resource="calls", grant="10", tiers=tiers))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    inside, beyond = await preview(
        world, account, *lines(asset, "calls", ("2024-01-05", 12), ("2024-01-06", 4))
    )

    assert (reason_of(inside.wallets[0].error), figure(inside.wallets[0].amount)) == ("", 2)
    assert reason_of(beyond.wallets[0].error) == "NO_TIER_FOR_QUANTITY"
    assert not beyond.wallets[0].HasField("amount")


async def test_bad_lines_have_the_refusals_of_recording_and_spoil_no_other(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    await world.account("bob")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    good = lines(asset, "calls", ("2024-01-05", 1))[0]

    def but(**fields: Any) -> pb.PreviewLine:
        made = pb.PreviewLine()
        made.CopyFrom(good)
        for name, value in fields.items():
            if isinstance(value, str):
                setattr(made, name, value)
            else:
                getattr(made, name).CopyFrom(value)
        return made

    bad = {
        "FIELD_REQUIRED": but(asset=""),
        "NAME_FORMAT": but(asset=asset.name.replace("ann", "bob")),
        "ASSET_NOT_FOUND": but(asset=f"accounts/ann/assets/{'0' * 8}-0000-7000-8000-{'0' * 12}"),
        "RESOURCE_NOT_ENTITLED": but(usage_resource="usageResources/none"),
        "QUANTITY_NEGATIVE": but(quantity=number(-1)),
        "DECIMAL_FORMAT": but(quantity=number("1e3")),
        "UNIT_OF_MEASURE_NOT_FOUND": but(unit_of_measure="unitsOfMeasure/none"),
        "TIMESTAMP_IN_FUTURE": but(usage_time=stamp(moment("2024-02-01"))),
    }

    found = await preview(world, account, *bad.values(), good)

    assert [name in reason(one) for name, one in zip(bad, found, strict=False)] == [True] * len(bad)
    assert amounts(found[-1:]) == [1]
    with pytest.raises(UsageError) as nobody:
        await preview(world, "accounts/nobody", good)
    assert nobody.value.reason == "ACCOUNT_NOT_FOUND"
    with pytest.raises(UsageError) as many:
        await preview(world, account, *[good] * 1_001)
    assert many.value.reason == "TOO_MANY_ITEMS"


async def test_a_line_without_a_time_is_of_now(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    one = lines(asset, "calls", ("2024-01-05", 3))[0]
    one.ClearField("usage_time")

    answer = await world.client.previews.PreviewUsage(
        pb.PreviewUsageRequest(parent=account, lines=[one])
    )

    assert amounts(list(answer.previews)) == [3]
    assert answer.as_of_time.ToDatetime().isoformat().startswith("2024-01-31")


async def test_nothing_is_written(sandbox: Any, story_database: str) -> None:
    """Not one row of one table is added, changed or removed, whatever the lines."""
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(resource="calls", grant="10", refresh="MONTH", rate="1"),
        Metered(resource="people", method="UNIQUE_COUNT", unique_label="user", rate="2"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-05", 5)
    asked = lines(asset, "calls", ("2024-01-30", 3), ("2024-01-02", 30))
    people = lines(asset, "people", ("2024-01-05", 1), ("2024-01-05", 1), ("2024-01-05", 1))
    for one, user in zip(people, "aba", strict=True):
        one.labels["user"] = user
    before = await rows(story_database, world)

    found = await preview(world, account, *asked, *people)

    assert not any(one.HasField("status") for one in found), found
    assert [figure(one.counted_quantity) for one in found] == [3, 30, 1, 1, 0]
    assert amounts(found) == [0, 28, 2, 2, 0]
    assert await rows(story_database, world) == before


async def test_a_commitment_pays_first_at_its_discount(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    costs = {"minutes": "5"}
    await set_up(world, described("plan", costs, Credits(price="0.5", grant="100")))
    await set_up(world, commitment("commit", "credits", "250", discount="10"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.sell(account, linked("commit", "2024-01-01", asset))
    asked = lines(asset, "minutes", ("2024-01-05", 40), ("2024-01-06", 60))

    found = await preview(world, account, *asked)
    await record_all(world, asked)
    await world.advance("2024-02-10")

    first, second = (one.wallets[1] for one in found)
    assert [(figure(d.quantity), figure(d.amount)) for d in first.drawn_from] == [(200, 180)]
    assert len(second.drawn_from) == 2
    charged = [figure(one.exact_amount) for one in await world.liable(account)]
    assert sum(amounts(found, 1)) == sum(charged) > 0
