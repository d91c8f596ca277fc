"""Questions about a target itself: what was agreed for it, and what else it has."""

import pytest
from usage_management.v1 import rate_service_pb2 as rates

from clients import UsageError
from clients.values import enum_name
from tests.stories.discovery_words import CATALOG, ask, explained, price, reasons, stack
from tests.stories.rating.target_words import CREDITS, agreed, contract, sell
from tests.stories.sale_words import bind, linked, plan, to
from tests.stories.token_words import commitment, pack, set_up
from tests.stories.words import day, figure, line, number


async def test_a_target_itself_may_be_asked_about(sandbox):
    world, account, target = await contract(sandbox)
    early, late, _ = await sell(
        world,
        target,
        ("2024-01-01", None, agreed("7")),
        ("2024-01-10", "2024-01-20", agreed("8")),
        ("2024-01-01", None),
    )
    names = {early.name.rpartition("/")[2]: "early", late.name.rpartition("/")[2]: "late"}
    catalog = {
        "price_book": "priceBooks/book",
        "product": "products/plan",
        "currency_code": "USD",
    }
    about = CREDITS | {"binding_target": target}

    seventh = await explained(world, **about, date=day("2024-01-07"), quantity=number(2))
    tenth = await explained(world, **about, date=day("2024-01-10"))
    before = await explained(world, **about, **catalog, date=day("2023-12-31"))
    both = await explained(world, **about, **catalog, date=day("2024-01-10"))
    nothing = await explained(world, **about, date=day("2023-12-31"))
    euros = await explained(world, **about, date=day("2024-01-07"), currency_code="EUR")
    of_account = await explained(world, **CREDITS, binding_target=account, **catalog)

    assert (enum_name(seventh, "source"), seventh.asset, figure(seventh.amount)) == (
        "TARGET",
        early.name,
        14,
    )
    assert (enum_name(tenth, "source"), tenth.asset, figure(tenth.terms.rate.value)) == (
        "TARGET",
        late.name,
        8,
    )
    assert {names.get(one, one): why for one, why in reasons(tenth).items()} == {
        "plan-credits": "NEGOTIATED",
        "early": "STARTED_EARLIER",
    }
    assert (enum_name(before, "source"), figure(before.terms.rate.value)) == ("CATALOG", 10)
    assert {names[one]: why for one, why in reasons(before).items()} == {
        "early": "NOT_IN_FORCE",
        "late": "NOT_IN_FORCE",
    }
    assert (enum_name(both, "source"), both.asset) == ("TARGET", late.name)
    assert (enum_name(of_account, "source"), figure(of_account.terms.rate.value)) == ("CATALOG", 10)
    for answer in (nothing, euros):
        assert not answer.HasField("terms")
        assert "nothing was agreed for it" in answer.status.message
    assert {names.get(one, one): why for one, why in reasons(euros).items()} == {
        "early": "OTHER_CURRENCY",
        "late": "NOT_IN_FORCE",
    }


@pytest.mark.parametrize("asked_at", ["the account", "a custom target"])
async def test_a_pack_of_a_target_and_its_commitments_are_part_of_what_it_has(sandbox, asked_at):
    world = await sandbox("2024-01-31")
    await plan(world)
    account = await world.account("ann")
    if asked_at == "the account":
        target, bound = account, {"binding": "ACCOUNT"}
        [own] = await world.sell(
            account, line("plan", "2024-01-01", negotiated=[agreed("7")], **bound)
        )
        pack_line = line("cheap", "2024-01-05", **bound)
    else:
        target, bound = await bind(world, account, "team", "CUSTOM"), {"binding": "CUSTOM"}
        wish = {"negotiated_rates": [agreed("7")]}
        [own] = await world.sell(account, to(target, "plan", "2024-01-01", **bound, **wish))
        pack_line = to(target, "cheap", "2024-01-05", **bound)
    await set_up(world, pack("cheap", "credits", price="2"))
    text = commitment("promise", "credits", "5", discount="50", kind="QUANTITY_COMMITMENT")
    await set_up(world, text)
    [cheap] = await world.sell(account, pack_line)
    [promise] = await world.sell(account, linked("promise", "2024-01-10", own))
    about = CREDITS | {"binding_target": target}

    found = await explained(world, **about, date=day("2024-01-07"))
    lower = await explained(world, **about, date=day("2024-01-12"), quantity=number(4))

    assert (figure(found.terms.rate.value), found.asset) == (7, own.name)
    assert reasons(found)[cheap.name.rpartition("/")[2]] == "NOT_NEGOTIATED"
    assert figure(lower.amount) == 14
    assert promise.name.rpartition("/")[2] not in reasons(lower)


async def test_a_target_that_is_not_there_is_not_found(sandbox):
    world, account, target = await contract(sandbox)
    await sell(world, target, ("2024-01-01", None, agreed("7")))
    questions = [
        ({"binding_target": f"{account}/bindingTargets/none"}, "BINDING_TARGET_NOT_FOUND"),
        ({"binding_target": "accounts/nobody"}, "ACCOUNT_NOT_FOUND"),
        ({"binding_target": "accounts/nobody/bindingTargets/deal"}, "BINDING_TARGET_NOT_FOUND"),
        ({"binding_target": f"{account}/bindingTargets/"}, "CODE_FORMAT"),
        ({"binding_target": "deal"}, "NAME_FORMAT"),
        ({"binding_target": target, "usage_resource": "usageResources/none"}, "RATE_NOT_FOUND"),
    ]
    request = rates.DiscoverRatesRequest(questions=[CREDITS | one for one, _ in questions])

    answers = (await world.client.rates.DiscoverRates(request)).answers

    found = [UsageError.of_status(one.status).reason for one in answers]
    assert found == [reason for _, reason in questions]
    assert not any(one.HasField("terms") for one in answers)


async def test_a_procedure_may_look_in_the_target_first_or_not_at_all(sandbox):
    """An asset that negotiated 6, one that did not, and 7 agreed for their target on a third."""
    world, _, target = await contract(sandbox)
    third, own, none = await sell(
        world,
        target,
        ("2024-01-02", None, agreed("7")),
        ("2024-01-01", None, agreed("6")),
        ("2024-01-01", None),
    )
    about = CREDITS | {"date": day("2024-01-20")}

    async def found(*sources: str, name: str, rank: int) -> list[tuple[object, str]]:
        await stack(world, name, *sources, rank=rank)
        answers = [await ask(world, **about, asset=one.name) for one in (own, none)]
        answers.append(await ask(world, **about, binding_target=target))
        return [
            (price(one), enum_name(one, "source")) for one in answers if not one.HasField("status")
        ]

    usual = await found("ASSET", "TARGET", *CATALOG, name="usual", rank=1)
    first = await found("TARGET", "ASSET", *CATALOG, name="first", rank=2)
    why_first = reasons(await explained(world, **about, asset=own.name))
    never = await found("ASSET", *CATALOG, name="never", rank=3)
    why_never = reasons(await explained(world, **about, asset=none.name))

    assert usual == [(6, "ASSET"), (7, "TARGET"), (7, "TARGET")]
    assert first == [(7, "TARGET"), (7, "TARGET"), (7, "TARGET")]
    assert why_first[own.name.rpartition("/")[2]] == "PLACE_LATER"
    assert never == [(6, "ASSET"), (10, "ASSET")]
    assert why_never == dict.fromkeys(
        (one.name.rpartition("/")[2] for one in (third, own)), "NOT_LOOKED_AT"
    )
