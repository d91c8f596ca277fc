"""The methods that all kinds of catalog records share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2

from server.api.masks import changeable, overlay, read_mask
from server.api.names import BadName
from server.api.pages import Page
from server.api.reader import RequestReader, named, placed_at, refuse
from server.api.services.modeling.kinds import ALL, BY_FIELD, OnWire
from server.api.transactions import run_list, run_mutation, run_query
from server.api.validation import validate
from server.api.values import enum_pb
from server.domain.batches import BatchOutcome
from server.domain.errors import Violation
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.env import Env
from server.store.connection import Transaction
from server.store.modeling import records as store
from server.usecases.catalog_changes import states
from server.usecases.catalog_changes.clones import Clone
from server.usecases.catalog_changes.succession import (
    Succeeded,
    Succession,
    supersede,
    supersede_of_product,
)
from server.usecases.modeling import edits, records
from server.usecases.modeling.edits import Record

T = TypeVar("T")
M = TypeVar("M", bound=Message)
A = TypeVar("A", bound=Message)
S = TypeVar("S")
# A method of a servicer: itself, the request, gRPC's context.
Method = Callable[[Any, Any, Any], Awaitable[Message]]


def serves_records(
    service: ServiceDescriptor, kinds: Sequence[OnWire[Any, Any]]
) -> Callable[[type[S]], type[S]]:
    """Return a decorator that gives a servicer the five methods of each kind of record.

    Their names come from the protos: `Get`, `Create`, `Update` and `Delete` before the name of the
    message, the method that lists the message, and `Supersede` if the service has it. The servicer
    has its `Env` as `_env`, and keeps the methods that it defines itself.
    """

    def bind(servicer: type[S]) -> type[S]:
        own = vars(servicer).keys()
        for wire in kinds:
            for name, method in _methods(service, wire).items():
                if name not in own:
                    setattr(servicer, name, method)
        return servicer

    return bind


def _methods(service: ServiceDescriptor, wire: OnWire[Any, Any]) -> dict[str, Method]:
    descriptor = wire.message.DESCRIPTOR
    list_name, answer, field = next(
        (method.name, GetMessageClass(method.output_type), field.name)
        for method in service.methods
        for field in method.output_type.fields
        if method.name.startswith("List") and field.message_type is descriptor
    )

    async def list_(self: Any, request: Any, _context: Any) -> Message:
        records, token = await list_records(self._env, request, wire)
        return answer(**{field: records, "next_page_token": token})

    def bound(work: Callable[[Env, Any, OnWire[Any, Any]], Awaitable[Message]]) -> Method:
        return lambda self, request, _context: work(self._env, request, wire)

    supersede_name = f"Supersede{descriptor.name}"
    succeeded = [m.output_type for m in service.methods if m.name == supersede_name]

    async def supersede_(self: Any, request: Any, _context: Any) -> Message:
        return await supersede_record(self._env, request, wire, GetMessageClass(succeeded[0]))

    return ({supersede_name: supersede_} if succeeded else {}) | {
        f"Get{descriptor.name}": bound(get_record),
        list_name: list_,
        f"Create{descriptor.name}": bound(create_record),
        f"Update{descriptor.name}": bound(update_record),
        f"Delete{descriptor.name}": bound(delete_record),
    }


async def get_record(env: Env, request: Any, wire: OnWire[T, M]) -> M:
    """Return the record that `request.name` names. Raises `…_NOT_FOUND`."""
    key = named(request, "name", wire.name)

    async def read(tx: Transaction) -> StoredRecord[T]:
        stored = await store.get(tx, wire.kind, *key)
        [record] = await records.as_of_today(tx, wire.kind, [stored])
        return record

    return wire.write(await run_query(env, read))


async def list_records(env: Env, request: Any, wire: OnWire[T, M]) -> tuple[Sequence[M], str]:
    """Return a page of records by key, of `request.parent` if the kind has one, and the token.

    If there are no records, the parent must exist. Raises `…_NOT_FOUND`.
    """
    reader, parent = RequestReader(request), wire.parent
    if wire.lists_all and request.parent == f"{wire.name.words[0]}/-":
        parent = None
    key = reader.name("parent", parent.name) if parent else ()
    states = (reader.optional_choice("state", CatalogState),) if wire.kind.has_states else ()
    filters = (*states, *(ask(reader) for ask in wire.filters))
    reader.done()

    async def rows(tx: Transaction, page: Page) -> Sequence[StoredRecord[T]]:
        page_rows = await store.list_records(
            tx, wire.kind, *key, after=page.after, limit=page.limit, filters=filters
        )
        if not page_rows and parent is not None:
            await store.get(tx, parent.kind, *key)
        return await records.as_of_today(tx, wire.kind, page_rows)

    return await run_list(
        env,
        request,
        rows,
        lambda record: wire.kind.key(record.content),
        wire.write,
        shape=(str,) * len(wire.name.words),
    )


async def create_record(env: Env, request: Message, wire: OnWire[T, M]) -> M:
    """Create a draft, or return the existing record if it is equal."""
    content = wire.read(request)
    return await run_mutation(
        env, request, wire.message, lambda tx: _create(env, tx, wire, content), wire.write
    )


async def update_record(env: Env, request: Any, wire: OnWire[T, M]) -> M:
    """Update the fields that the mask names, and check the whole record."""
    reader = RequestReader(request)
    own = reader.sub(wire.field)
    key, revision = own.name("name", wire.name), own.etag("etag")
    reader.done()
    merge = merging(wire, key, getattr(request, wire.field), request.update_mask)
    record = Record(kind=wire.kind, key=key, revision=revision)
    return await run_mutation(
        env,
        request,
        wire.message,
        lambda tx: _update(env, tx, wire, record, merge),
        wire.write,
    )


def merging(
    wire: OnWire[T, M], key: tuple[str, ...], given: Message, update_mask: FieldMask
) -> Callable[[StoredRecord[T]], T]:
    """Return a function that applies the masked fields of `given` and checks the whole record."""
    mask = read_mask(update_mask, changeable(wire.message))

    def merge(record: StoredRecord[T]) -> T:
        whole = wire.write(record)
        overlay(mask, given, whole)
        # As a creation, so that an update obeys the same rules of the proto.
        creation = wire.creation_of(key, whole)
        validate(creation)
        return wire.read(creation)

    return merge


async def delete_record(env: Env, request: Any, wire: OnWire[T, M]) -> Empty:
    """Delete a record that nothing refers to."""
    record = record_to_delete(request, wire)
    return await run_mutation(
        env,
        request,
        Empty,
        lambda tx: edits.delete(tx, record),
        lambda _: Empty(),
    )


async def supersede_record(
    env: Env, request: Any, wire: OnWire[T, M], answer: type[Message]
) -> Message:
    """End a record in force on a day, and begin its successor on that day."""
    succession = succession_from_pb(env, request, wire)
    of_product = wire.kind.is_activated_with_product
    act = supersede_of_product if of_product else supersede
    return await run_mutation(
        env, request, answer, lambda tx: act(tx, succession), succeeded_writer(answer, wire)
    )


def succession_from_pb(env: Env, request: Any, wire: OnWire[T, M]) -> Succession[T]:
    """Return the succession that a request asks for. Raises InvalidArgument."""
    reader = RequestReader(request)
    key, revision = reader.name("name", wire.name), reader.etag("etag")
    successor_id = reader.code(f"{wire.field}_id")
    start = reader.date("start_date")
    mask = request.update_mask
    if "start_date" in mask.paths:
        fault = "must not name start_date; the start_date of the request is the successor's"
        reader.fault("update_mask", "FIELD_MASK_INVALID", fault)
    reader.done()
    given = getattr(request, wire.field)
    unchanged = not mask.paths and not request.HasField(wire.field)
    return Succession(
        record=Record(kind=wire.kind, key=key, revision=revision),
        successor_id=successor_id,
        start=start,
        merge=(lambda found: found.content) if unchanged else merging(wire, key, given, mask),
        check=wire.check_in(env.config),
        check_entering=wire.check_entering,
    )


def succeeded_writer(answer: type[A], wire: OnWire[T, M]) -> Callable[[Succeeded[T]], A]:
    """Return a function that writes both records of a succession."""
    return lambda done: answer(
        predecessor=wire.write(done.predecessor), successor=wire.write(done.successor)
    )


def clone_from_pb(request: Any, wire: OnWire[Any, Any]) -> Clone:
    """Return the copy that a request asks for. Raises InvalidArgument."""
    reader = RequestReader(request)
    (source_id,) = reader.name("name", wire.name)
    clone = Clone(
        source_id=source_id,
        id=reader.code(f"{wire.field}_id"),
        display_name=reader.text("display_name"),
    )
    reader.done()
    return clone


def record_to_delete(request: Any, wire: OnWire[T, M]) -> Record[T]:
    """Return the record that a request to delete names. Raises InvalidArgument."""
    reader = RequestReader(request)
    record = Record(
        kind=wire.kind, key=reader.name("name", wire.name), revision=reader.etag("etag")
    )
    reader.done()
    return record


async def change_states(
    env: Env, request: Any, answer: type[M], among: Sequence[OnWire[Any, Any]] = ALL
) -> M:
    """Change the state of records of some kinds; return an outcome for each."""
    reader = RequestReader(request)
    state = reader.choice("state", CatalogState)
    records = {
        name: record_named(reader, f"names[{index}]", name, among)
        for index, name in enumerate(request.names)
    }
    reader.done()
    targets = [record for record in records.values() if record is not None]
    by_kind = {wire.kind.name: wire for wire in among}
    return await run_mutation(
        env,
        request,
        answer,
        lambda tx: states.change_states(tx, targets, state),
        lambda outcomes: answer(
            outcomes=[
                _outcome(by_kind[wire.kind.name], kept, done) for wire, kept, done in outcomes
            ]
        ),
    )


async def create_records(env: Env, request: rpc.CreateRecordsRequest) -> rpc.CreateRecordsResponse:
    """Create records of any kind in one transaction; the path of a fault names the record."""
    contents: list[tuple[OnWire[Any, Any], Any]] = []
    faults: list[Violation] = []
    for index, item in enumerate(request.records):
        field = str(item.WhichOneof("creation"))
        wire = BY_FIELD[field]
        with placed_at(f"records[{index}].{field}", faults):
            contents.append((wire, wire.read(getattr(item, field))))
    refuse(faults)

    async def create_all(tx: Transaction) -> list[Any]:
        outcomes = []
        for index, (wire, content) in enumerate(contents):
            with placed_at(f"records[{index}].{wire.field}"):
                checked = await wire.check_in(env.config)(tx, content)
                kept, done = await records.create_one(tx, wire.kind, checked)
            outcomes.append(_outcome(wire, kept, done))
        for index, (wire, content) in enumerate(contents):
            with placed_at(f"records[{index}].{wire.field}"):
                await wire.check_last(tx, content)
        return outcomes

    return await run_mutation(
        env,
        request,
        rpc.CreateRecordsResponse,
        create_all,
        lambda outcomes: rpc.CreateRecordsResponse(outcomes=outcomes),
    )


def _outcome(wire: OnWire[T, M], kept: StoredRecord[T], done: BatchOutcome) -> dict[str, Any]:
    return {wire.field: wire.write(kept), "outcome": enum_pb(types_pb2.BatchOutcome, done)}


async def _create(env: Env, tx: Transaction, wire: OnWire[T, M], content: T) -> StoredRecord[T]:
    checked = await wire.check_in(env.config)(tx, content)
    kept = await records.create(tx, wire.kind, checked)
    await wire.check_last(tx, content)
    return kept


async def _update(
    env: Env,
    tx: Transaction,
    wire: OnWire[T, M],
    record: Record[T],
    merge: Callable[[StoredRecord[T]], T],
) -> StoredRecord[T]:
    checks = (wire.check_in(env.config), wire.check_active)
    kept = await states.update(tx, record, merge, checks)
    await wire.check_last(tx, kept.content)
    return kept


def record_named(
    reader: RequestReader, path: str, text: str, among: Sequence[OnWire[Any, Any]]
) -> Record[Any] | None:
    """Return the record with that name, of any of the kinds; None after a fault."""
    for wire in among:
        words = text.split("/")[::2]
        if tuple(words) == wire.name.words:
            try:
                return Record(kind=wire.kind, key=wire.name.parse(text))
            except BadName as error:
                reader.fault(path, error.reason, str(error))
                return None
    patterns = ", ".join(wire.name.pattern for wire in among[:4])
    reader.fault(path, "NAME_FORMAT", f"must be the name of a record, as in {patterns}")
    return None
