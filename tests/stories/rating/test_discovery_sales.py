"""Discovery answers for what can be bought: everything else is a status with its reason."""

from typing import Any

from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc

from tests.stories.catalog_words import held, move, product
from tests.stories.discovery_words import DATA, JANUARY, ask, explained, fault, price, reasons, sold
from tests.stories.rate_words import ACTIVE, INACTIVE, add, priced, put, shop
from tests.stories.words import Metered, day
from tests.stories.world import World


async def model(world: World, name: str, *states: int) -> str:
    """A selling model in the last of the states; a draft without any."""
    request = rpc.CreateSellingModelRequest(
        selling_model_id=name, selling_model=catalog.SellingModel(type="EVERGREEN")
    )
    made = (await world.client.catalog.CreateSellingModel(request)).name
    for state in states:
        await move(world, state, made)
    return str(made)


async def refused(world: World, **question: Any) -> tuple[str, str]:
    """The code and the reason of the status of a question."""
    error = fault(await ask(world, **question))
    return error.code.name, error.reason


CLOSED = ("FAILED_PRECONDITION", "RESOURCE_INACTIVE")


async def test_a_resource_is_priced_on_the_days_on_which_it_is_sold(sandbox: Any) -> None:
    """Sold in February and from April on; each question twice, so that kept answers are asked."""
    world = await shop(sandbox)
    await product(world, "spring")
    february = {"start_date": day("2024-02-01"), "end_date": day("2024-03-01")}
    await held(world, "spring", "data", **february)
    request = rpc.CreateProductUsageResourceRequest(
        parent="products/spring",
        product_usage_resource_id="again",
        product_usage_resource=catalog.ProductUsageResource(
            usage_resource="usageResources/data", start_date=day("2024-04-01")
        ),
    )
    await world.client.catalog.CreateProductUsageResource(request)
    await add(world, "base/spring", priced("data", "2", product="spring"))
    await world.activate("spring")
    spring = DATA | {"product": "products/spring"}

    for _ in range(2):
        for on in ("2024-02-01", "2024-02-29", "2024-04-01", "2030-01-01"):
            assert price(await ask(world, **spring, date=day(on))) == 2, on
        for on in ("2024-01-31", "2024-03-01", "2024-03-31"):
            error = fault(await ask(world, **spring, date=day(on)))
            assert (error.code.name, error.reason) == CLOSED, on
            assert error.facts["date"] == on
            assert (error.facts["product"], error.facts["usage_resource"]) == ("spring", "data")
    why = await explained(world, **spring, date=day("2024-03-01"))
    assert reasons(why) == {"spring": "NOT_FOR_SALE"}


async def test_a_withdrawn_product_is_not_for_sale_and_what_was_sold_has_its_rate(
    sandbox: Any,
) -> None:
    world = await shop(sandbox, Metered(resource="data"))
    await put(world, "base/data", priced("data", "10"))
    asset = await sold(world, "7.5")
    before = price(await ask(world, **DATA))
    both = ("products/plan", "products/plan/usageResources/data")
    await move(world, INACTIVE, *both)

    assert before == 10
    assert await refused(world, **DATA) == CLOSED
    assert price(await ask(world, **JANUARY, asset=asset)) == 7.5
    assert price(await ask(world, **DATA, asset=asset)) == 7.5

    await move(world, ACTIVE, *both)
    assert price(await ask(world, **DATA)) == 10


async def test_a_withdrawn_resource_of_a_product_is_not_for_sale(sandbox: Any) -> None:
    world = await shop(sandbox)
    await put(world, "base/data", priced("data", "10"))
    await put(world, "base/sms", priced("sms", "1"))
    assert price(await ask(world, **DATA)) == 10
    await move(world, INACTIVE, "products/plan/usageResources/data")

    assert await refused(world, **DATA) == CLOSED
    assert price(await ask(world, **DATA | {"usage_resource": "usageResources/sms"})) == 1


async def test_a_selling_model_must_exist_and_be_active(sandbox: Any) -> None:
    """Unknown models had the price for all; so had drafts and withdrawn ones."""
    world = await shop(sandbox)
    await put(world, "base/data", priced("data", "10"))
    known = await model(world, "known", ACTIVE)
    draft = await model(world, "draft")
    gone = await model(world, "gone", ACTIVE, INACTIVE)

    assert price(await ask(world, **DATA, selling_model=known)) == 10
    assert await refused(world, **DATA, selling_model=draft) == CLOSED
    assert await refused(world, **DATA, selling_model=gone) == CLOSED
    unknown = {"selling_model": "sellingModels/none"}
    assert await refused(world, **DATA, **unknown) == ("NOT_FOUND", "SELLING_MODEL_NOT_FOUND")
    assert price(await ask(world, **DATA)) == 10

    await move(world, INACTIVE, known)
    assert await refused(world, **DATA, selling_model=known) == CLOSED
