"""Sales: what of the catalog can be bought on a day.

A product, a resource and a selling model must be active, and the product's resource must be sold on
the day. An index of rates that is given no sales answers whether or not anything can be bought.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from server.domain.errors import FailedPrecondition, NotFound
from server.domain.ids import ProductId, ResourceId, SellingModelId
from server.domain.modeling.catalog import CatalogState

Stretch = tuple[date | None, date | None]
"""The first day of a sale, and the day after the last one; None is unbounded."""


class NotForSale(FailedPrecondition):
    """There may be a rate, and what it prices cannot be bought (RESOURCE_INACTIVE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """Products, resources and selling models that cannot be bought at all times.

    `products` and `resources` are those that are not active. `stretches` are the resources of
    products that are not sold on all days, with the days on which they are. `models` are all
    selling models; without them every selling model counts as active.
    """

    products: Mapping[ProductId, CatalogState] = field(default_factory=dict)
    resources: Mapping[ResourceId, CatalogState] = field(default_factory=dict)
    stretches: Mapping[tuple[ProductId, ResourceId], tuple[Stretch, ...]] = field(
        default_factory=dict
    )
    models: Mapping[SellingModelId, CatalogState] | None = None

    def check_model(self, model_id: SellingModelId) -> None:
        """Raise SELLING_MODEL_NOT_FOUND or RESOURCE_INACTIVE if nothing is sold under a model."""
        if self.models is None:
            return
        state, name = self.models.get(model_id), f"sellingModels/{model_id}"
        if state is None:
            raise NotFound.of("SellingModel", name)
        if state is not CatalogState.ACTIVE:
            raise NotForSale("RESOURCE_INACTIVE", f"{name} is {state}", {"selling_model": model_id})

    def check(self, product_id: ProductId, resource_id: ResourceId, day: date) -> None:
        """Raise RESOURCE_INACTIVE if a product's resource cannot be bought on `day`."""
        product, resource = self.products.get(product_id), self.resources.get(resource_id)
        stretches = self.stretches.get((product_id, resource_id))
        if product is not None:
            text = f"products/{product_id} is {product}"
        elif resource is not None:
            text = f"usageResources/{resource_id} is {resource}"
        elif stretches is not None and not any(_is_in(stretch, day) for stretch in stretches):
            text = f"{resource_id} of {product_id} is not sold on {day}"
        else:
            return
        facts = {"product": product_id, "usage_resource": resource_id, "date": day.isoformat()}
        raise NotForSale("RESOURCE_INACTIVE", text, facts)

    def edges(self, product_id: ProductId, resource_id: ResourceId) -> Iterator[Stretch]:
        """Yield the stretches in which a product's resource is sold, if it is not always."""
        yield from self.stretches.get((product_id, resource_id), ())


ALWAYS = Sales()
"""Everything can be bought on every day."""


def _is_in(stretch: Stretch, day: date) -> bool:
    start, end = stretch
    return (start is None or start <= day) and (end is None or day < end)
