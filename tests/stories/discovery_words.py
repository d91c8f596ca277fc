"""Short words for discovery procedures, and for a shop to look in."""

from typing import Any

from google.protobuf.json_format import ParseDict
from usage_management.v1 import procedure_resources_pb2 as procedures
from usage_management.v1 import procedure_service_pb2 as requests
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from tests.stories.procedure_words import put as put_in_force
from tests.stories.rate_words import adjusted, book, card, priced, put, shop
from tests.stories.words import Metered, day, figure, line, number
from tests.stories.world import World

DATA = {
    "price_book": "priceBooks/book",
    "product": "products/plan",
    "usage_resource": "usageResources/data",
    "currency_code": "USD",
}
Reason = rates.RateCandidate.Reason


OWN = "procedures/finding"
SHIPPED = "procedures/default-discovery/versions/v1"
CATALOG = ("CATALOG_RATES", "CATALOG_TIERS", "CATALOG_ATTRIBUTES")
JANUARY = {"usage_resource": "usageResources/data", "date": day("2024-01-15")}


async def stack(
    world: World, name: str, *sources: str, active: bool = True, **more: Any
) -> procedures.ProcedureVersion:
    """A version of the procedure `finding`, which is made and the default from the first one on."""
    service = world.client.procedures
    usage = {"usage": "PROCEDURE_USAGE_DISCOVERY"}
    made = await service.CreateProcedure(
        requests.CreateProcedureRequest(procedure_id="finding", procedure=usage)
    )
    request = requests.CreateProcedureVersionRequest(parent=OWN, procedure_version_id=name)
    elements = [{"lookup": {"source": source}} for source in sources]
    ParseDict({"elements": elements, **more}, request.procedure_version)
    version = await service.CreateProcedureVersion(request)
    if active:
        await put_in_force(world, OWN, version.name)
        if made.state != types.CATALOG_STATE_ACTIVE:
            await use(world)
    return version


async def use(world: World, name: str = OWN) -> None:
    """Make a procedure the one that finds."""
    request = requests.SetDefaultProcedureRequest(procedure=name)
    await world.client.procedures.SetDefaultProcedure(request)


async def ask(world: World, **question: Any) -> rates.RateAnswer:
    request = rates.DiscoverRatesRequest(questions=[question], freshness="FULLY_CONSISTENT")
    [answer] = (await world.client.rates.DiscoverRates(request)).answers
    return answer


def fault(answer: rates.RateAnswer) -> UsageError:
    assert answer.HasField("status"), answer
    return UsageError.of_status(answer.status)


def price(answer: rates.RateAnswer) -> object:
    assert not answer.HasField("status"), answer
    return figure(answer.terms.rate.value)


async def sold(world: World, rate: str = "7.5") -> str:
    """An asset that was sold at a rate of its own, in place of the catalog's."""
    account = await world.account("ann")
    agreed = quotes.NegotiatedRate(
        usage_resource="usageResources/data",
        rate=types.Rate(value=number(rate), currency_code="USD"),
    )
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[agreed]))
    return str(asset.name)


async def tiered(sandbox: Any) -> World:
    """Data for 10: half of that from 100 on, and for the EU at most."""
    world = await shop(sandbox, Metered(resource="data", dimensions=("region",)))
    await card(world, "places", "ATTRIBUTE")
    await book(world, "all", "base", "tiers", "places")
    await put(world, "base/data", priced("data", "10"))
    steps = (("0", "100", "PERCENTAGE", "0"), ("100", None, "PERCENTAGE", "50"))
    await put(world, "tiers/data", priced("data", None, *steps))
    await put(world, "places/data", adjusted("data", ({"region": "eu"}, "PERCENTAGE", "20")))
    return world


ALL = DATA | {"price_book": "priceBooks/all", "date": day("2024-01-15")}
EU = {"quantity": number(200), "attributes": {"region": "eu"}}


async def explained(world: World, **question: Any) -> rates.RateAnswer:
    """The answer with those that lost."""
    request = rates.DiscoverRatesRequest(
        questions=[question], explain=True, freshness="FULLY_CONSISTENT"
    )
    [answer] = (await world.client.rates.DiscoverRates(request)).answers
    return answer


def reasons(answer: rates.RateAnswer) -> dict[str, str]:
    """Why each lost, by the last part of the names of its entry or its asset."""
    names = [one.asset or one.entry for one in answer.rejected_candidates]
    found = [Reason.Name(one.reason) for one in answer.rejected_candidates]
    assert all(one.explanation for one in answer.rejected_candidates)
    return {name.rpartition("/")[2]: why for name, why in zip(names, found, strict=True)}
