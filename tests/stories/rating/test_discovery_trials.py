"""Discovery procedures on trial: what a version would find before it is in force."""

from typing import Any

from google.protobuf.json_format import ParseDict
from usage_management.v1 import procedure_service_pb2 as simulation
from usage_management.v1 import rate_service_pb2 as rates

from clients.values import enum_name
from tests.stories.discovery_words import (
    ALL,
    DATA,
    EU,
    JANUARY,
    SHIPPED,
    Reason,
    explained,
    fault,
    sold,
    stack,
    tiered,
)
from tests.stories.rate_words import shop
from tests.stories.words import Metered, day, figure, number, refusal
from tests.stories.world import World


async def tried(
    world: World, what: str | tuple[str, ...], *questions: dict[str, Any], **more: Any
) -> list[rates.RateAnswer]:
    """Return the answers of a version by its name, or of an inline stack."""
    request = simulation.SimulateProcedureRequest(questions=questions, **more)
    if isinstance(what, str):
        request.version = what
    else:
        elements = [{"lookup": {"source": source}} for source in what]
        ParseDict({"elements": elements}, request.inline_version)
    return list((await world.client.procedures.SimulateProcedure(request)).answers)


async def test_a_draft_is_tried_on_questions_before_it_finds(sandbox):
    world = await tiered(sandbox)
    asset = await sold(world)
    past = {"end_date": {"year": 2020, "month": 1, "day": 1}}
    draft = await stack(world, "v1", "CATALOG_RATES", "ASSET", active=False, **past)
    questions = [
        ALL | EU,
        ALL | {"asset": asset},
        {"asset": asset, **JANUARY},
        ALL | {"product": "none"},
        ALL | {"product": "products/none"},
    ]

    found = await tried(world, draft.name, *questions)
    inline = await tried(world, ("CATALOG_RATES", "ASSET"), *questions)
    now = await explained(world, **questions[1])

    assert [enum_name(one, "source") for one in found] == ["CATALOG", "CATALOG", "ASSET", "", ""]
    assert (figure(found[0].amount), enum_name(now, "source")) == (2000, "ASSET")
    assert now.discovery_procedure_version == SHIPPED
    assert [one.discovery_procedure_version for one in found] == [*[draft.name] * 3, "", draft.name]
    lost = {one.asset or one.entry: Reason.Name(one.reason) for one in found[1].rejected_candidates}
    assert lost == {
        asset: "PLACE_LATER",
        "rateCards/tiers/entries/data": "NOT_LOOKED_AT",
        "rateCards/places/entries/data": "NOT_LOOKED_AT",
    }
    assert [fault(one).reason for one in found[3:]] == ["NAME_FORMAT", "RATE_NOT_FOUND"]
    assert [(enum_name(one, "source"), one.terms) for one in inline] == [
        (enum_name(one, "source"), one.terms) for one in found
    ]
    assert {one.discovery_procedure_version for one in inline} == {""}
    assert (
        inline[1]
        .rejected_candidates[0]
        .explanation.startswith("the procedure looks in ASSET after")
    )


async def test_what_cannot_be_tried_on_questions_is_refused(sandbox):
    world = await shop(sandbox, Metered(resource="data"))
    one = DATA | {"date": day("2024-01-15")}
    lines = [{"currency_code": "USD", "quantity": number(1)}]

    rating = await refusal(tried(world, "procedures/negotiable-rating/versions/v1", one))
    both = await refusal(tried(world, SHIPPED, one, lines=lines))
    neither = await refusal(tried(world, SHIPPED))
    wrong = await refusal(tried(world, ("ASSET", "ASSET"), one))
    many = await refusal(tried(world, SHIPPED, *[one] * 101))

    for refused, reason, field in (
        (rating, "PROCEDURE_USAGE", "version"),
        (both, "PROCEDURE_USAGE", "questions"),
        (neither, "FIELD_REQUIRED", "lines"),
        (wrong, "PROCEDURE_INVALID", "inline_version.elements[1]"),
        (many, "TOO_MANY_ITEMS", "questions"),
    ):
        assert (refused.reason, refused.violations[0].field) == (reason, field)
    assert len(await tried(world, SHIPPED, *[one] * 100)) == 100
