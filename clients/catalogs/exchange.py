"""Catalogs of a tenant: exported as a whole, and cut into parts that are applied one by one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import Message
from usage_management.v1 import setup_service_pb2 as pb

from clients.client import UsageClient
from clients.errors import UsageError

MOST_RECORDS = 1_000
MOST_BYTES = 900_000  # of a message, which has at most a mebibyte
MOST_TRIES = 3
DEFAULTS, STATES = "default_procedures", ("drafts", "inactive")
PLACE = re.compile(r"^catalog\.(\w+\[\d+\])")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a catalog, and the places that its records have in the whole."""

    catalog: pb.Catalog
    places: dict[str, str] = field(default_factory=dict)

    def placed(self, path: str) -> str:
        """Return the path in the whole catalog of a field of a request with this part."""
        found = PLACE.match(path)
        if found is None:
            return path.removeprefix("catalog.")
        return self.places.get(found[1], found[1]) + path[found.end() :]


async def export(client: UsageClient) -> tuple[pb.Catalog, list[pb.ExportOmission]]:
    """Return the catalog of the tenant, and what it has and an export leaves out.

    Raises UsageError: CATALOG_CHANGED if it changes again and again meanwhile.
    """
    for _ in range(MOST_TRIES):
        omissions: list[pb.ExportOmission] = []
        catalog, revisions, token = pb.Catalog(), set(), ""
        while True:
            request = pb.ExportCatalogRequest(page_size=MOST_RECORDS, page_token=token)
            page = await client.setup.ExportCatalog(request)
            catalog.MergeFrom(page.catalog)
            omissions += page.omissions
            revisions.add(page.catalog_revision)
            token = page.next_page_token
            if not token:
                break
        if len(revisions) == 1:
            return catalog, omissions
    text = "the catalog changes while it is exported; try again when nobody changes it"
    raise UsageError(grpc.StatusCode.ABORTED, "CATALOG_CHANGED", text)


def parts(catalog: pb.Catalog, most: int = MOST_RECORDS) -> list[Part]:
    """Return a catalog in parts of `most` records, in the order in which they can be applied."""
    if _size(catalog) <= most and catalog.ByteSize() <= MOST_BYTES:
        return [Part(catalog)]
    states = {name: state for state in STATES for name in getattr(catalog, state)}
    found = [Part(pb.Catalog())]
    count = 0
    for group in _groups(catalog):
        count += len(group)
        part = found[-1]
        bytes_ = sum(record.ByteSize() + 100 for _, _, record in group)
        if count > most or part.catalog.ByteSize() + bytes_ > MOST_BYTES:
            count, part = len(group), Part(pb.Catalog())
            found.append(part)
        for name, index, record in group:
            records = getattr(part.catalog, name)
            part.places[f"{name}[{len(records)}]"] = f"{name}[{index}]"
            records.append(record)
            called: str = record.name  # type: ignore[attr-defined] # all kinds of records have one
            state = states.pop(called, None)
            if state is not None:
                getattr(part.catalog, state).append(called)
    last = found[-1].catalog
    last.default_procedures.extend(catalog.default_procedures)
    for name, state in states.items():
        # No record has this name; the service says so.
        getattr(last, state).append(name)
    return found


def _size(catalog: pb.Catalog) -> int:
    return sum(len(group) for group in _groups(catalog))


def _groups(catalog: pb.Catalog) -> Iterator[list[tuple[str, int, Message]]]:
    """Yield the records that are applied together, each with its field and its index there."""
    units = {unit.name: (index, unit) for index, unit in enumerate(catalog.units_of_measure)}
    for index, unit_class in enumerate(catalog.unit_classes):
        default = units.pop(unit_class.default_unit, None)
        # A class needs its default unit, which is of the class.
        own = [("units_of_measure", *default)] if default else []
        yield [("unit_classes", index, unit_class), *own]
    for index, unit in units.values():
        yield [("units_of_measure", index, unit)]
    for kind in pb.Catalog.DESCRIPTOR.fields[2:]:
        if kind.message_type is None:
            continue
        records = list(enumerate(getattr(catalog, kind.name)))
        if kind.name == "usage_resources":
            records.sort(key=lambda item: bool(item[1].token_resource))
        yield from ([(kind.name, index, record)] for index, record in records)
