"""Short words for the validator: what it is asked, and the rules that are broken."""

from usage_management.v1 import validation_service_pb2 as validation

from tests.stories.words import Metered, day
from tests.stories.world import World

CALLS = Metered(resource="calls", rate="1", grant="100", refresh="MONTH")


async def validate(
    world: World,
    *products: str,
    start: str | None = None,
    end: str | None = None,
    drafts: bool = False,
) -> validation.ValidateProductsResponse:
    request = validation.ValidateProductsRequest(
        products=[f"products/{product}" for product in products], include_drafts=drafts
    )
    if start is not None:
        request.start_date.CopyFrom(day(start))
    if end is not None:
        request.end_date.CopyFrom(day(end))
    return await world.client.validation.ValidateProducts(request)


def broken(product: validation.ProductValidation) -> dict[str, list[list[str]]]:
    """The records of each finding, by the rule that is broken."""
    return {
        result.rule.id: [list(one.records) for one in result.findings] for result in product.results
    }
