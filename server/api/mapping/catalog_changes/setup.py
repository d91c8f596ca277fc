"""Messages of guided setup: each record is read by the reader of its create request."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import rate_service_pb2 as rate_rpc
from usage_management.v1 import setup_service_pb2 as pb

from server.api import names
from server.api.names import BadName, Name
from server.api.services.modeling.kinds import (
    AGGREGATION,
    COMMITMENT,
    OVERAGE,
    PRODUCT,
    PRODUCT_GRANT,
    PRODUCT_RESOURCE,
    RATING_FREQUENCY,
    REFRESH,
    RESOURCE,
    ROLLOVER,
    SELLING_MODEL,
    UNIT,
    UNIT_CLASS,
    OnWire,
)
from server.api.services.rating.kinds import PRICE_BOOK, RATE_CARD, RATE_ENTRY
from server.api.validation import validate
from server.api.values import enum_pb, time_pb
from server.domain.errors import InvalidArgument, UsageError, Violation
from server.domain.modeling.setup import MOST_GRANTS, NAMELESS, placed
from server.usecases.catalog_changes.setup_parts import (
    GrantPart,
    ResourcePart,
    SetUp,
    SetupPart,
    SetUpProduct,
)

T = TypeVar("T")
# The reader of a policy requires an id; this one stands for a policy without a name.
ANY_ID = "nameless"


def setup_from_pb(request: pb.SetUpProductRequest) -> SetUpProduct:
    """Return the setup. Raises InvalidArgument with all faults."""
    reading = Reading()
    parts: dict[str, Any] = {
        "unit_classes": reading.all("unit_classes", UNIT_CLASS, request.unit_classes),
        "units": reading.all("units_of_measure", UNIT, request.units_of_measure),
        "aggregations": reading.all(
            "aggregation_policies", AGGREGATION, request.aggregation_policies
        ),
        "frequencies": reading.all(
            "rating_frequency_policies", RATING_FREQUENCY, request.rating_frequency_policies
        ),
        "overages": reading.all("overage_policies", OVERAGE, request.overage_policies),
        "commitments": reading.all("commitment_policies", COMMITMENT, request.commitment_policies),
        "models": reading.all("selling_models", SELLING_MODEL, request.selling_models),
        "refreshes": reading.all("refresh_policies", REFRESH, request.refresh_policies),
        "rollovers": reading.all("rollover_policies", ROLLOVER, request.rollover_policies),
        "resources": reading.all("usage_resources", RESOURCE, request.usage_resources),
        "product": reading.one("product", PRODUCT, request.product),
        "cards": reading.all("rate_cards", RATE_CARD, request.rate_cards),
        "book": None,
    }
    if request.HasField("price_book"):
        parts["book"] = reading.one("price_book", PRICE_BOOK, request.price_book)
    product = request.product.name
    parts["blankets"] = _whole(
        _entry(reading, f"rate_card_entries[{index}]", one, product, "")
        for index, one in enumerate(request.rate_card_entries)
    )
    resources = [
        _resource(reading, f"product_usage_resources[{index}]", one, product)
        for index, one in enumerate(request.product_usage_resources)
    ]
    reading.done()
    return SetUpProduct(
        held=_whole(resources),
        is_plan=request.validate_only,
        allow_invalid=request.allow_invalid,
        **parts,
    )


def setup_to_pb(done: SetUp) -> pb.SetUpProductResponse:
    """Return the steps of a setup of a product."""
    return pb.SetUpProductResponse(steps=steps_to_pb(done), setup_time=time_pb(done.at))


def steps_to_pb(done: SetUp) -> list[pb.SetupStep]:
    """Return the steps of a setup."""
    return [
        pb.SetupStep(
            name=step.name,
            action=enum_pb(pb.SetupStep.Action, step.action),
            fields=step.fields,
            existing=step.existing,
        )
        for step in done.steps
    ]


@dataclass(slots=True)
class Reading:
    """The faults found so far, and the names that are already described."""

    faults: list[Violation] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def done(self) -> None:
        """Raise InvalidArgument if there are faults."""
        if self.faults:
            raise InvalidArgument.of(tuple(self.faults))

    def fault(self, path: str, reason: str, description: str) -> None:
        """Add a fault."""
        self.faults.append(Violation(path, reason, description))

    def all(
        self, path: str, wire: OnWire[Any, Any], messages: Iterable[Any]
    ) -> tuple[SetupPart[Any], ...]:
        """Return the records of a list, without faulty ones."""
        parts = [
            self.one(f"{path}[{index}]", wire, message) for index, message in enumerate(messages)
        ]
        return _whole(parts)

    def one(self, path: str, wire: OnWire[Any, Any], message: Any) -> SetupPart[Any] | None:
        """Return a record with a name of its own; None after a fault."""
        ids = self._ids(path, message.name, wire.name)
        if ids is None:
            return None
        return self.read(path, wire, wire.creation_of(ids, message))

    def nameless(
        self, path: str, wire: OnWire[Any, Any], message: Any, *, is_there: bool
    ) -> SetupPart[Any] | None:
        """Return a policy by its settings; None if it is absent."""
        if not is_there:
            return None
        if message.name:
            self.fault(f"{path}.name", "SETUP_AMBIGUOUS", "the settings identify it; omit it")
        policy = self.read(path, wire, wire.creation_of((ANY_ID,), message))
        return None if policy is None else SetupPart(path, replace(policy.content, id=NAMELESS))

    def read(self, path: str, wire: OnWire[Any, Any], request: Any) -> SetupPart[Any] | None:
        """Return the record of a create request; None after a fault."""
        try:
            validate(request)
            return SetupPart(path, wire.read(request))
        except InvalidArgument as error:
            self.faults.extend(placed(error, path).violations)
            return None
        except UsageError as error:
            raise placed(error, path) from None

    def _ids(self, path: str, name: str, pattern: Name) -> tuple[Any, ...] | None:
        if not name:
            self.fault(f"{path}.name", "FIELD_REQUIRED", "is required")
            return None
        try:
            ids = pattern.parse(name)
        except BadName as error:
            self.fault(f"{path}.name", error.reason, str(error))
            return None
        # Two ids may not differ in case alone.
        if name.lower() in self.seen:
            self.fault(f"{path}.name", "SETUP_AMBIGUOUS", f"{name} is described twice")
        self.seen.add(name.lower())
        return ids


def _resource(
    reading: Reading, path: str, message: pb.ProductResourceSetup, product: str
) -> ResourcePart | None:
    """Return a resource of the product with its grants and rates."""
    own, own_path = message.product_usage_resource, f"{path}.product_usage_resource"
    creation = catalog_rpc.CreateProductUsageResourceRequest(
        parent=product,
        product_usage_resource=own,
        product_usage_resource_id=own.name.partition("/usageResources/")[2],
    )
    part = reading.read(own_path, PRODUCT_RESOURCE, creation)
    if part is None:
        return None
    name = names.PRODUCT_RESOURCE.of(part.content.product_id, part.content.id)
    _same(reading, f"{own_path}.name", own.name, name)
    if name.lower() in reading.seen:
        reading.fault(own_path, "SETUP_AMBIGUOUS", f"{name} is described twice")
    reading.seen.add(name.lower())
    if len(message.grants) > MOST_GRANTS:
        text = f"at most {MOST_GRANTS} grants a resource, got {len(message.grants)}"
        reading.fault(f"{path}.grants", "TOO_MANY_ITEMS", text)
    return ResourcePart(
        path=own_path,
        content=part.content,
        aggregation=_policy(reading, path, "aggregation", AGGREGATION, message),
        rating_frequency=_policy(reading, path, "rating_frequency", RATING_FREQUENCY, message),
        overage=_policy(reading, path, "overage", OVERAGE, message),
        grants=_whole(
            _grant(reading, f"{path}.grants[{index}]", grant, name)
            for index, grant in enumerate(message.grants)
        ),
        entries=_whole(
            _entry(
                reading, f"{path}.rate_card_entries[{index}]", entry, product, own.usage_resource
            )
            for index, entry in enumerate(message.rate_card_entries)
        ),
    )


def _policy(
    reading: Reading,
    path: str,
    word: str,
    wire: OnWire[Any, Any],
    message: pb.ProductResourceSetup,
) -> SetupPart[Any] | None:
    is_there = message.HasField(word)  # type: ignore[arg-type]
    if is_there and getattr(message.product_usage_resource.policies, wire.field):
        text = "is named by product_usage_resource.policies too"
        reading.fault(f"{path}.{word}", "SETUP_AMBIGUOUS", text)
    return reading.nameless(f"{path}.{word}", wire, getattr(message, word), is_there=is_there)


def _grant(
    reading: Reading, path: str, message: pb.ProductGrantSetup, resource: str
) -> GrantPart | None:
    """Return a grant; its resource is the one that contains it."""
    own, own_path = type(message.product_usage_grant)(), f"{path}.product_usage_grant"
    own.CopyFrom(message.product_usage_grant)
    _same(reading, f"{own_path}.product_usage_resource", own.product_usage_resource, resource)
    own.product_usage_resource = resource
    product = resource.partition("/usageResources/")[0]
    if own.name and not own.name.startswith(f"{product}/grants/"):
        reading.fault(f"{own_path}.name", "NAME_FORMAT", f"must be a grant of {product}")
    for word in ("refresh", "rollover"):
        if message.HasField(word) and getattr(own, f"{word}_policy"):
            text = f"is named by product_usage_grant.{word}_policy too"
            reading.fault(f"{path}.{word}", "SETUP_AMBIGUOUS", text)
    part = reading.one(own_path, PRODUCT_GRANT, own)
    refresh = reading.nameless(
        f"{path}.refresh", REFRESH, message.refresh, is_there=message.HasField("refresh")
    )
    rollover = reading.nameless(
        f"{path}.rollover", ROLLOVER, message.rollover, is_there=message.HasField("rollover")
    )
    if part is None:
        return None
    return GrantPart(path=own_path, content=part.content, refresh=refresh, rollover=rollover)


def _entry(
    reading: Reading, path: str, message: rate_rpc.RateCardEntry, product: str, resource: str
) -> SetupPart[Any] | None:
    """Return a rate card entry; it prices the resource that contains it, if any."""
    own = rate_rpc.RateCardEntry()
    own.CopyFrom(message)
    _same(reading, f"{path}.product", own.product, product)
    _same(reading, f"{path}.usage_resource", own.usage_resource, resource)
    own.product, own.usage_resource = product, resource
    return reading.one(path, RATE_ENTRY, own)


def _same(reading: Reading, path: str, given: str, implied: str) -> None:
    """Add a fault if a repeated name differs from the implied one."""
    if given and given != implied:
        text = f"must be {implied}, or absent" if implied else "must be absent"
        reading.fault(path, "NAME_FORMAT", text)


def _whole(parts: Iterable[T | None]) -> tuple[T, ...]:
    return tuple(part for part in parts if part is not None)
