"""Discovery procedures in force: they say where rates are looked for, and in which order."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict
from usage_management.v1 import procedure_service_pb2 as requests
from usage_management.v1 import rate_service_pb2 as rates

from clients.values import enum_name
from tests.stories.discovery_words import (
    ALL,
    CATALOG,
    DATA,
    EU,
    JANUARY,
    OWN,
    SHIPPED,
    Reason,
    ask,
    explained,
    fault,
    price,
    reasons,
    sold,
    stack,
    tiered,
    use,
)
from tests.stories.procedure_words import INACTIVE
from tests.stories.procedure_words import put as put_in_force
from tests.stories.rate_words import priced, put, shop
from tests.stories.rating.two_servers import Two
from tests.stories.words import Metered, day, figure, line, money, number, refusal


@pytest.mark.capability("M47")
async def test_the_catalog_goes_before_the_asset_where_the_procedure_says_so(sandbox):
    world = await shop(sandbox, Metered(resource="data"))
    await put(world, "base/data", priced("data", "10", end="2024-03-01"))
    asset = await sold(world)
    about = DATA | {"date": day("2024-01-15"), "asset": asset}

    shipped = await ask(world, **about)
    made = await stack(world, "v1", *CATALOG, "ASSET")
    listed = await ask(world, **about)
    unlisted = await ask(world, **about | {"date": day("2024-03-01")})
    alone = await ask(world, asset=asset, **JANUARY)
    nobodys = await ask(world, **about | {"asset": f"{asset[:-12]}{'0' * 12}"})

    assert (price(shipped), enum_name(shipped, "source"), shipped.discovery_procedure_version) == (
        figure(number("7.5")),
        "ASSET",
        SHIPPED,
    )
    assert (price(listed), enum_name(listed, "source"), listed.asset) == (10, "CATALOG", "")
    assert listed.discovery_procedure_version == made.name
    for one in (unlisted, alone):
        assert (figure(one.terms.rate.value), enum_name(one, "source"), one.asset) == (
            figure(number("7.5")),
            "ASSET",
            asset,
        )
        assert one.discovery_procedure_version == made.name
    assert fault(nobodys).reason == "ASSET_NOT_FOUND"


@pytest.mark.capability("M46")
async def test_without_tiers_and_attributes_the_catalog_has_none(sandbox):
    world = await tiered(sandbox)

    found = {"shipped": await ask(world, **ALL, **EU)}
    for rank, sources in enumerate((CATALOG, CATALOG[:2], CATALOG[::2], CATALOG[:1]), 1):
        await stack(world, f"v{rank}", *sources, rank=rank)
        found[f"v{rank}"] = await ask(world, **ALL, **EU)

    assert {name: figure(one.amount) for name, one in found.items()} == {
        "shipped": 800,
        "v1": 800,
        "v2": 1000,
        "v3": 1600,
        "v4": 2000,
    }
    last = found["v4"].terms
    assert (last.base_entry, last.tier_entry, last.attribute_entry) == (
        "rateCards/base/entries/data",
        "",
        "",
    )
    assert (len(last.tiers.tiers), len(last.adjustments)) == (0, 0)
    assert [enum_name(step, "element") for step in found["v4"].waterfall] == ["BASE_RATE", "AMOUNT"]


@pytest.mark.capability("M48")
async def test_of_two_versions_of_a_day_the_higher_rank_finds(sandbox):
    world = await tiered(sandbox)
    await put(world, "base/euro", priced("data", "9", currency="EUR"))
    low = await stack(world, "low", *CATALOG, rank=1)
    high = await stack(
        world,
        "high",
        "CATALOG_RATES",
        rank=2,
        start_date={"year": 2024, "month": 2, "day": 1},
        end_date={"year": 2024, "month": 3, "day": 1},
    )
    await stack(world, "draft", "ASSET", rank=3, active=False)

    found = {}
    for on in ("2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01"):
        answer = await ask(world, **ALL | {"date": day(on)}, **EU)
        found[on] = (answer.discovery_procedure_version, figure(answer.amount))
        same = await ask(world, **ALL | {"date": day(on), "currency_code": "EUR"})
        assert same.discovery_procedure_version == answer.discovery_procedure_version
    await put_in_force(world, high.name, state=INACTIVE)
    after = await ask(world, **ALL | {"date": day("2024-02-01")}, **EU)

    assert found == {
        "2024-01-31": (low.name, 800),
        "2024-02-01": (high.name, 2000),
        "2024-02-29": (high.name, 2000),
        "2024-03-01": (low.name, 800),
    }
    assert (after.discovery_procedure_version, figure(after.amount)) == (low.name, 800)


@pytest.mark.capability("M48")
async def test_where_nothing_is_in_force_nothing_is_found_and_nothing_is_quoted(sandbox):
    world = await shop(sandbox, Metered(resource="data", rate="10"))
    asset = await sold(world)
    spring = {"start_date": {"year": 2024, "month": 2, "day": 1}}
    made = await stack(world, "v1", "ASSET", *CATALOG, **spring)
    about = DATA | {"date": day("2024-01-31")}

    none = await ask(world, **about)
    of_asset = await explained(world, asset=asset, **JANUARY)
    then = await ask(world, **DATA | {"date": day("2024-02-01")})
    quoted = await refusal(world.quote("accounts/ann", line("plan", "2024-01-31")))
    later = await world.quote("accounts/ann", line("plan", "2024-02-01"))
    await put_in_force(world, made.name, state=INACTIVE)
    at_all = await ask(world, **DATA | {"date": day("2024-02-01")})

    for refused in (fault(none), fault(of_asset), fault(at_all), quoted):
        assert refused.reason == "PROCEDURE_NOT_IN_FORCE"
        assert refused.code.name == "FAILED_PRECONDITION"
        assert (refused.facts["procedure"], refused.facts["usage"]) == (OWN, "DISCOVERY")
        assert "ChangeProcedureStates puts one in force" in str(refused)
    assert fault(none).facts["date"] == quoted.facts["date"] == "2024-01-31"
    assert (none.discovery_procedure_version, len(of_asset.rejected_candidates)) == ("", 0)
    assert (price(then), then.discovery_procedure_version) == (10, made.name)
    assert figure(later.lines[0].resources[0].terms.rate.value) == 10


@pytest.mark.capability("M48")
async def test_every_change_of_what_finds_is_seen_at_once_with_its_token(two: Two):
    world, seen = two.here, []
    await put(world, "base/one", priced("data", "2"))
    await put(world, "tiers/one", priced("data", None, ("0", None, "OVERRIDE", "1")))

    async def look() -> None:
        response = await two.ask(
            freshness="AT_LEAST", revision_token=two.here.client.revision_token
        )
        [answer] = response.answers
        version = answer.discovery_procedure_version.removeprefix("procedures/")
        seen.append((version, len(answer.terms.tiers.tiers)))

    await look()
    first = await stack(world, "v1", "CATALOG_RATES", rank=1)
    await look()
    second = await stack(world, "v2", *CATALOG, rank=2)
    await look()
    await put_in_force(world, second.name, state=INACTIVE)
    await look()
    await put_in_force(world, first.name, state=INACTIVE)
    await look()
    await use(world, "procedures/default-discovery")
    await look()

    assert seen == [
        ("default-discovery/versions/v1", 1),
        ("finding/versions/v1", 0),
        ("finding/versions/v2", 1),
        ("finding/versions/v1", 0),
        ("", 0),
        ("default-discovery/versions/v1", 1),
    ]


async def test_a_quote_freezes_what_is_found_and_stays_as_it_was_sold(sandbox):
    world = await sandbox("2024-01-31")
    steps = (("0", None, "5"),)
    await world.product("plan", Metered(resource="data", rate="10", tiers=steps))
    account = await world.account("ann")
    other = await world.account("bob")
    [before] = await world.sell(other, line("plan", "2024-01-01"))
    await stack(world, "v1", "ASSET", "CATALOG_RATES")
    quote = await world.quote(account, line("plan", "2024-01-01"))
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await stack(world, "v2", "ASSET", *CATALOG, rank=1)
    await world.use(asset, "data", "2024-01-10", 4)
    await world.use(before, "data", "2024-01-10", 4)

    found = await ask(world, asset=asset.name, **JANUARY)
    await world.advance("2024-02-10")

    [of_line] = quote.lines[0].resources
    assert (figure(of_line.terms.rate.value), len(of_line.terms.tiers.tiers)) == (10, 0)
    assert (enum_name(found, "source"), len(found.terms.tiers.tiers)) == ("ASSET", 0)
    [owing], [other_owing] = await world.liable(account), await world.liable(other)
    assert (money(owing.amount), money(other_owing.amount)) == (40, 20)


async def test_what_an_asset_was_sold_under_keeps_its_tiers(sandbox):
    world = await shop(sandbox, Metered(resource="data"))
    await put(world, "base/data", priced("data", "10"))
    await put(world, "tiers/data", priced("data", None, ("0", None, "PERCENTAGE", "50")))
    [asset] = await world.sell(await world.account("ann"), line("plan", "2024-01-01"))
    await stack(world, "v1", "ASSET", "CATALOG_RATES")

    own = await ask(world, asset=asset.name, **JANUARY, quantity=number(2))
    listed = await ask(world, **DATA, date=JANUARY["date"], quantity=number(2))

    assert (enum_name(own, "source"), figure(own.amount)) == ("ASSET", 10)
    assert (enum_name(listed, "source"), figure(listed.amount)) == ("CATALOG", 20)


async def test_without_the_catalog_nothing_is_quoted_and_the_answer_says_where_was_looked(
    sandbox,
):
    world = await shop(sandbox, Metered(resource="data", rate="10"))
    asset = await sold(world)
    made = await stack(world, "v1", "TARGET", "ASSET")

    own = await ask(world, asset=asset, **JANUARY)
    too_early = await ask(world, asset=asset, **JANUARY | {"date": day("2023-12-31")})
    listed = await ask(world, **DATA, date=day("2024-01-15"))
    quoted = await refusal(world.quote("accounts/ann", line("plan", "2024-01-15")))
    await stack(world, "v2", "CATALOG_RATES", rank=1)
    unasked = await ask(world, asset=asset, **JANUARY)
    far = await ask(world, **DATA | {"product": "products/none"}, date=day("2024-01-15"))

    assert (enum_name(own, "source"), own.discovery_procedure_version) == ("ASSET", made.name)
    for answer, missing, where in (
        (too_early, "DATE", "TARGET, ASSET"),
        (listed, "PLACE", "TARGET, ASSET"),
        (unasked, "PLACE", "CATALOG_RATES"),
        (far, "PRODUCT", "CATALOG_RATES"),
    ):
        refused = fault(answer)
        assert (refused.reason, refused.facts["missing"]) == ("RATE_NOT_FOUND", missing)
        assert refused.facts["looked_in"] == where
        assert refused.facts["discovery_procedure_version"] == answer.discovery_procedure_version
        name = answer.discovery_procedure_version
        assert refused.message.endswith(f"; {name} looks in {where} only")
    assert quoted.reason == "RATE_NOT_FOUND"


@pytest.mark.capability("M47")
async def test_what_lost_by_its_place_says_so(sandbox):
    world = await shop(sandbox, Metered(resource="data"))
    entry = await put(world, "base/data", priced("data", "10"))
    await put(world, "base/next", priced("data", "11", currency="EUR"))
    await put(world, "tiers/data", priced("data", None, ("0", None, "PERCENTAGE", "50")))
    asset = await sold(world)
    own = asset.rpartition("/")[2]
    about = DATA | {"date": day("2024-01-15"), "asset": asset}
    stacks = {
        "first": (*CATALOG, "ASSET"),
        "without": ("CATALOG_RATES",),
        "assets": ("ASSET",),
        "usual": ("ASSET", "CATALOG_RATES"),
    }

    found = {}
    for rank, (name, sources) in enumerate(stacks.items(), 1):
        await stack(world, name, *sources, rank=rank)
        found[name] = await explained(world, **about)

    def told(name: str) -> set[tuple[str, str]]:
        parts = ((one.asset or one.entry, one.reason) for one in found[name].rejected_candidates)
        return {(thing.rpartition("/")[2], Reason.Name(reason)) for thing, reason in parts}

    assert {name: enum_name(one, "source") for name, one in found.items()} == {
        "first": "CATALOG",
        "without": "CATALOG",
        "assets": "ASSET",
        "usual": "ASSET",
    }
    assert reasons(found["first"]) == {own: "PLACE_LATER", "next": "OTHER_CURRENCY"}
    assert told("without") == {
        (own, "NOT_LOOKED_AT"),
        ("data", "NOT_LOOKED_AT"),
        ("next", "OTHER_CURRENCY"),
    }
    assert [
        (one.entry, Reason.Name(one.reason)) for one in found["assets"].rejected_candidates
    ] == [
        (entry, "NEGOTIATED"),
        ("rateCards/tiers/entries/data", "NOT_LOOKED_AT"),
        ("rateCards/base/entries/next", "OTHER_CURRENCY"),
    ]
    later = found["first"].rejected_candidates[0]
    assert (enum_name(later, "source"), figure(later.rate.value)) == (
        "ASSET",
        figure(number("7.5")),
    )
    version = f"{OWN}/versions/first"
    assert later.explanation == f"{version} looks in ASSET after the place that has an answer"
    tiers = next(
        one
        for one in found["without"].rejected_candidates
        if one.entry.startswith("rateCards/tiers")
    )
    assert tiers.explanation == f"{OWN}/versions/without does not look in CATALOG_TIERS"


async def test_what_adds_to_rates_that_are_not_looked_for_is_refused(sandbox):
    world = await shop(sandbox, Metered(resource="data"))

    tiers = await refusal(stack(world, "v1", "ASSET", "CATALOG_TIERS"))
    attributes = await refusal(stack(world, "v1", "CATALOG_ATTRIBUTES"))
    draft = await stack(world, "v1", "CATALOG_TIERS", "CATALOG_RATES", active=False)
    request = requests.UpdateProcedureVersionRequest(update_mask=FieldMask(paths=["elements"]))
    change = {"name": draft.name, "elements": [{"lookup": {"source": "CATALOG_TIERS"}}]}
    ParseDict(change, request.procedure_version)
    changed = await refusal(world.client.procedures.UpdateProcedureVersion(request))

    for refused, index in ((tiers, 1), (attributes, 0), (changed, 0)):
        assert (refused.code.name, refused.reason) == ("INVALID_ARGUMENT", "PROCEDURE_INVALID")
        assert refused.violations[0].field == f"procedure_version.elements[{index}]"
        assert "adds to a rate of CATALOG_RATES, where nothing looks" in str(refused)


async def test_every_answer_names_the_version_that_looked(sandbox):
    world = await shop(sandbox, Metered(resource="data", rate="10"))
    asset = await sold(world)
    questions = [
        DATA,
        DATA | {"date": day("2024-01-15")},
        DATA | {"date": day("2024-01-15"), "quantity": number(1)},
        {"asset": asset, **JANUARY},
        DATA | {"product": "products/none"},
        DATA | {"product": "none"},
    ]

    request = rates.DiscoverRatesRequest(questions=questions, freshness="FULLY_CONSISTENT")
    first = (await world.client.rates.DiscoverRates(request)).answers
    again = (await world.client.rates.DiscoverRates(request)).answers

    assert [one.discovery_procedure_version for one in first] == [*[SHIPPED] * 5, ""]
    assert "looked_in" not in fault(first[4]).facts
    assert list(first) == list(again)
