"""Discovery: by a sale's transaction, by a snapshot, by an asset; and what callers are told."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from google.rpc import error_details_pb2 as details
from google.type import date_pb2, decimal_pb2
from usage_management.v1 import rate_service_pb2 as pb

from clients.values import enum_name
from server.api.discovery.answers import discover
from server.domain.errors import Unavailable, UsageError
from server.domain.modeling.catalog import CatalogState
from server.domain.rating.rate_cards import RateCard, RateCardEntry, RateCardType
from server.domain.rating.rate_index import Question
from server.env import new_id
from server.runtime import rate_snapshots
from server.runtime.rate_snapshots import RateSnapshots
from server.store.rating.rate_entries import RATE_ENTRY
from server.store.transaction import transact
from server.usecases.modeling.edits import Record, delete
from server.usecases.rating.discovery import CatalogTermsQuery, catalog_terms
from server.usecases.rating.rate_entry_edits import change_states
from tests.usecases.rate_world import (
    TODAY,
    RateWorld,
    add_tenant,
    begin_call,
    create_card,
    create_entry,
    entry,
    env_of,
    rate_world,
    sell,
    tier,
)

CURRENCIES = ["EUR", "JPY", "GBP", "CHF", "AUD", "NZD", "SEK", "NOK"]
FULLY_CONSISTENT = pb.DiscoverRatesRequest.FULLY_CONSISTENT


@pytest.fixture
async def world(database: str) -> AsyncIterator[RateWorld]:
    async with rate_world(database) as world:
        await world.book()
        yield world


@pytest.fixture
async def snapshots(world: RateWorld) -> RateSnapshots:
    """Snapshots whose poll does not run: what a test sees, it asked for."""
    return RateSnapshots(world.pool)


def question(**more: Any) -> pb.RateQuestion:
    day = more.pop("day", TODAY)
    asked = {
        "price_book": "priceBooks/book",
        "product": "products/plan",
        "usage_resource": "usageResources/sms",
        "currency_code": "USD",
    } | more
    if day is not None:
        asked["date"] = date_pb2.Date(year=day.year, month=day.month, day=day.day)
    return pb.RateQuestion(**asked)


def asset_question(asset: str, **more: Any) -> pb.RateQuestion:
    return question(asset=asset, price_book="", product="", currency_code="", **more)


async def ask(
    world: RateWorld, snapshots: RateSnapshots, *questions: pb.RateQuestion, fresh: bool = True
) -> list[pb.RateAnswer]:
    begin_call(world)
    request = pb.DiscoverRatesRequest(questions=questions)
    if fresh:
        request.freshness = FULLY_CONSISTENT
    env = env_of(world)
    data = await discover(env, snapshots, request)
    return list(pb.DiscoverRatesResponse.FromString(data).answers)


def reason(answer: pb.RateAnswer) -> str:
    [info, *_] = answer.status.details
    found = details.ErrorInfo()
    assert info.Unpack(found)
    assert (found.domain, answer.HasField("terms")) == ("usage-management", False)
    return found.reason


UNITS = {"sms": "USD", "data": "USD"}


async def test_a_sale_sees_the_rates_of_its_own_transaction(world):
    steps = (tier("0", "100", "0.5"), tier("100", None, "0.4"))
    await world.rate("1", per="1000")
    await world.do(create_entry, entry(tiers=steps))

    async def look(tx):
        how = CatalogTermsQuery(price_book_id="book", product_id="plan", units=UNITS, day=TODAY)
        before = await catalog_terms(tx, how)
        await tx.execute("UPDATE rate_card_entries SET state = 'ACTIVE'")
        return before, await catalog_terms(tx, how)

    before, after = await transact(world.pool, world.tenant_id, look)

    assert list(before) == list(after) == ["sms"]
    assert (before["sms"].terms.tiers, after["sms"].terms.tiers) == ((), steps)
    assert after["sms"].terms.rate.per == 1000
    assert after["sms"].terms.base_entry == "base/sms-USD"


async def test_what_is_committed_before_a_call_is_in_its_answer(world, snapshots):
    [none] = await ask(world, snapshots, question())
    await world.rate("0.75", per="1000", is_negotiable=False)
    [stale] = await ask(world, snapshots, question(), fresh=False)
    [found] = await ask(world, snapshots, question())
    again = await ask(world, snapshots, question(), question(), fresh=False)

    assert reason(none) == reason(stale) == "RATE_NOT_FOUND"
    assert (found.terms.rate.value.value, found.terms.rate.per.value) == ("0.75", "1000")
    assert found.terms.base_entry == "rateCards/base/entries/sms-USD"
    assert (enum_name(found, "source"), found.terms.non_negotiable, found.HasField("amount")) == (
        "CATALOG",
        True,
        False,
    )
    assert again == [found, found]


async def test_each_question_has_its_own_answer_in_order(world, snapshots):
    await world.rate("1")
    answers = await ask(
        world,
        snapshots,
        question(currency_code="CHF"),
        question(),
        question(product=""),
        question(product="plans/p"),
        question(price_book="priceBooks/other"),
        question(currency_code="usd"),
        question(currency_code=""),
        question(usage_resource=""),
        question(usage_resource="usageResources/-"),
        question(day=date(1989, 12, 31)),
        question(asset="accounts/acme/assets/7"),
        question(asset=f"accounts/acme/assets/{new_id()}"),
        question(quantity=decimal_pb2.Decimal(value="1e5")),
        question(quantity=decimal_pb2.Decimal(value="-1")),
        question(quantity=decimal_pb2.Decimal(value="0.1234567890123")),
    )

    assert answers[1].terms.rate.value.value == "1"
    assert [reason(a) for i, a in enumerate(answers) if i != 1] == [
        "RATE_NOT_FOUND",
        "FIELD_REQUIRED",
        "NAME_FORMAT",
        "RATE_NOT_FOUND",
        "CURRENCY_UNKNOWN",
        "FIELD_REQUIRED",
        "FIELD_REQUIRED",
        "CODE_FORMAT",
        "DATE_INVALID",
        "ID_FORMAT",
        "ASSET_NOT_FOUND",
        "DECIMAL_FORMAT",
        "QUANTITY_NEGATIVE",
        "DECIMAL_SCALE",
    ]


async def test_a_date_that_is_no_day_is_refused_and_none_is_today(world, snapshots):
    await world.rate("1", start=TODAY, end=date(2024, 1, 16))
    no_day = question()
    no_day.date.day = 32

    today, wrong = await ask(world, snapshots, question(day=None), no_day)

    assert today.terms.rate.value.value == "1"
    assert reason(wrong) == "DATE_INVALID"


async def test_a_quantity_is_priced_with_every_step(world, snapshots):
    steps = (tier("0", "100", "10", "PERCENTAGE"), tier("100", None, "20", "PERCENTAGE"))
    await world.rate("3", per="7")
    await world.do(create_entry, entry(tiers=steps))
    await world.activate()

    [found] = await ask(world, snapshots, question(quantity=decimal_pb2.Decimal(value="100")))

    assert found.amount.value == "34.285714285714285714285714"
    assert [enum_name(step, "element") for step in found.waterfall] == [
        "BASE_RATE",
        "VOLUME_TIER",
        "AMOUNT",
    ]
    assert [step.sequence for step in found.waterfall] == [1, 2, 3]


async def test_an_asset_is_asked_first_on_the_days_of_its_buyer(world, snapshots):
    await world.rate("1")
    asset = await sell(world, "0.5", "2024-01-15")
    other = asset_question(asset, usage_resource="usageResources/data")

    own, too_early, fallback, none, missing = await ask(
        world,
        snapshots,
        asset_question(asset),
        asset_question(asset, day=date(2024, 1, 14)),
        question(asset=asset, day=date(2024, 1, 14)),
        other,
        asset_question(asset.replace("acme", "other")),
    )

    assert (enum_name(own, "source"), own.terms.rate.value.value, own.terms.non_negotiable) == (
        "ASSET",
        "0.5",
        True,
    )
    assert reason(too_early) == reason(none) == "RATE_NOT_FOUND"
    assert (enum_name(fallback, "source"), fallback.terms.rate.value.value) == ("CATALOG", "1")
    assert reason(missing) == "ASSET_NOT_FOUND"


async def test_another_tenant_sees_nothing_of_it(world, snapshots):
    await world.rate("1")
    asset = await sell(world, "0.5")
    await ask(world, snapshots, question())
    other = RateWorld(world.pool, await add_tenant(world.pool))

    of_book, of_asset = await ask(other, snapshots, question(), asset_question(asset))

    assert (reason(of_book), reason(of_asset)) == ("RATE_NOT_FOUND", "ASSET_NOT_FOUND")


async def test_the_poll_swaps_what_changed_within_a_second(world, snapshots):
    await snapshots.start()
    try:
        first = await snapshots.of(world.tenant_id, fresh=False)
        await world.rate("1")
        changed = await world.revision()
        await asyncio.sleep(rate_snapshots.FRESH_SECONDS)
        swapped = await snapshots.of(world.tenant_id, fresh=False)
    finally:
        await snapshots.stop()

    assert (first.revision < changed, swapped.revision) == (True, changed)


async def test_a_copy_nobody_checked_for_a_second_is_checked_by_the_call(
    world, snapshots, monkeypatch
):
    await snapshots.of(world.tenant_id, fresh=False)
    await world.rate("1")
    monkeypatch.setattr(rate_snapshots, "FRESH_SECONDS", 0.0)

    [found] = await ask(world, snapshots, question(), fresh=False)

    assert found.terms.rate.value.value == "1"


async def test_many_who_ask_at_once_load_it_once(world, snapshots, monkeypatch):
    loads = []
    load = rate_snapshots.rows_of_tenant

    async def count(tx, known):
        loads.append(tx.tenant_id)
        return await load(tx, known)

    monkeypatch.setattr(rate_snapshots, "rows_of_tenant", count)
    found = await asyncio.gather(
        *(snapshots.of(world.tenant_id, fresh=i % 2 == 0) for i in range(10))
    )

    assert len(loads) == 1
    assert all(one is found[0] for one in found)


async def test_changes_at_once_with_questions_are_never_missed(world, snapshots):
    """Whoever asks after a change sees it, however many load at the same time."""

    async def change(number: int) -> bool:
        await world.do(create_card, RateCard(id=f"card{number}", type=RateCardType.BASE))
        least = await world.revision()
        return (await snapshots.of(world.tenant_id, fresh=True)).revision >= least

    assert all(await asyncio.gather(*(change(number) for number in range(6))))


async def test_a_store_that_is_gone_is_said_not_hidden(world, snapshots, monkeypatch):
    await snapshots.of(world.tenant_id, fresh=False)
    await world.pool.close()
    monkeypatch.setattr(rate_snapshots, "FRESH_SECONDS", 0.0)

    with pytest.raises(Unavailable):
        await snapshots.of(world.tenant_id, fresh=False)


async def test_a_snapshot_renders_the_terms_of_an_entry_once(world, snapshots):
    await world.rate("1")

    for product in range(5):
        await ask(world, snapshots, question(product=f"products/p{product}"))
    await ask(world, snapshots, question(quantity=decimal_pb2.Decimal(value="1")))

    found = await snapshots.of(world.tenant_id, fresh=True)
    assert (len(found.rendered), len(found.answers)) == (1, 5)


async def test_an_old_copy_is_taken_apart_while_calls_that_hold_it_go_on(world, snapshots):
    await world.rate("1")
    held = await snapshots.of(world.tenant_id, fresh=True)
    await world.do(create_card, RateCard(id="spare", type=RateCardType.BASE))
    new = await snapshots.of(world.tenant_id, fresh=True)
    await asyncio.gather(*snapshots._partings)

    asked = Question("book", "plan", "sms", "USD", TODAY)
    assert held.rates.find(asked).terms == new.rates.find(asked).terms
    assert list(held.rates.parts())


@pytest.mark.parametrize("seed", range(3))
async def test_what_changed_is_read_alone_and_comes_to_the_same_as_all_of_it(
    world, snapshots, seed
):
    """Entries added, made longer, withdrawn, and withdrawn and deleted between two looks."""
    chance = random.Random(seed)
    for number in range(4):
        card = RateCard(id=f"card{number}", type=RateCardType.BASE)
        await world.do(create_card, card)
        await world.rate("1", card_id=card.id, id="first", end=date(2024, 2, 1))
    seen = await snapshots.of(world.tenant_id, fresh=True)
    shared = 0
    for step in range(20):
        entries = {one.key: one for one in _entries(seen)}
        for _ in range(chance.randint(1, 2)):
            await _change(world, chance, entries, step)
        before, seen = seen, await snapshots.of(world.tenant_id, fresh=True)
        whole = await RateSnapshots(world.pool).of(world.tenant_id, fresh=True)
        assert sorted(map(repr, _entries(seen))) == sorted(map(repr, _entries(whole)))
        old = set(map(id, before.rates.parts()))
        shared += sum(id(part) in old for part in seen.rates.parts())
        assert all(id(one) in old for one in before.rates.parts(but_of=seen.rates))
    assert shared > 0


async def _change(world, chance, entries, step) -> None:
    """Something that happens to entries, or on the way."""
    card = f"card{chance.randrange(4)}"
    name = Record(kind=RATE_ENTRY, key=(card, "first"))
    match chance.choice(["add", "withdraw", "delete", "return", "nothing"]):
        case "add":
            await world.rate("2", card_id=card, id=f"s{step}", currency=chance.choice(CURRENCIES))
        case "withdraw":
            with suppress(UsageError):
                await world.do(change_states, [name], CatalogState.INACTIVE)
        case "return":
            with suppress(UsageError):
                await world.do(change_states, [name], CatalogState.ACTIVE)
        case "delete":
            for key in [key for key in entries if key.startswith(f"{card}/s")][:1]:
                gone = Record(kind=RATE_ENTRY, key=(card, key.partition("/")[2]))
                with suppress(UsageError):
                    await world.do(change_states, [gone], CatalogState.INACTIVE)
                    await world.do(delete, gone)
        case "nothing":
            await world.do(create_card, RateCard(id=f"x{step}", type=RateCardType.BASE))


def _entries(snapshot) -> list[RateCardEntry]:
    return [part for part in snapshot.rates.parts() if isinstance(part, RateCardEntry)]
