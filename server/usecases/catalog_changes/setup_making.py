"""The records of a setup, created in a transaction, with the step of each."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from server.domain.errors import AlreadyExists, UsageError
from server.domain.ids import PolicyId
from server.domain.modeling.catalog import StoredRecord, differences
from server.domain.modeling.setup import P, SetupStep, chosen, decide, placed
from server.domain.rating.rate_cards import CardSize
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.records import Kind
from server.usecases.catalog_changes.setup_days import with_end_of_succession
from server.usecases.catalog_changes.setup_parts import SetupPart
from server.usecases.modeling.records import as_of_today, create

T = TypeVar("T")

PAGE = 1_000


@dataclass(slots=True)
class Making:
    """The records created so far in a transaction, and the step of each by its name."""

    tx: Transaction
    most: CardSize
    steps: dict[str, SetupStep] = field(default_factory=dict)
    # The records that were there before, by name.
    found: dict[str, StoredRecord[Any]] = field(default_factory=dict)

    async def all(
        self,
        kind: Kind[T],
        parts: Iterable[SetupPart[T]],
        make: Callable[[Transaction, T], Awaitable[StoredRecord[T]]],
        *,
        is_shared: bool = True,
    ) -> None:
        """Create records of one kind of the catalog."""
        for part in parts:
            key = kind.key(part.content)
            there = await records.find(self.tx, kind, *key)
            name = kind.resource_name(*key)
            if there is not None and kind.is_versioned:
                [now] = await as_of_today(self.tx, kind, [there])
                if now is not there and not differences(now.content, part.content):
                    # A version that begins on a later day changes nothing today.
                    self.keep(part, name, there, is_shared=is_shared)
                    continue
            making = make(self.tx, await with_end_of_succession(self.tx, kind, part.content))
            await self._take(part, name, there, making, is_shared=is_shared)

    async def check(
        self, part: SetupPart[T], check: Callable[[Transaction, T], Awaitable[T]]
    ) -> None:
        """Check a record that could not be checked when it was created."""
        try:
            await check(self.tx, part.content)
        except UsageError as error:
            raise placed(error, part.path) from None

    async def policies(self, kind: Kind[P], parts: Iterable[SetupPart[P]]) -> None:
        """Create policies, which have no checks of their own."""
        await self.all(kind, parts, lambda tx, one: create(tx, kind, one))

    async def nameless(self, kind: Kind[P], part: SetupPart[P], named: PolicyId | None) -> P:
        """Return the policy with these settings, created if there is none; see `chosen`."""
        policy = chosen(part.content, await self._known(kind), named=named)
        if kind.resource_name(policy.id) not in self.steps:
            await self.policies(kind, [SetupPart(part.path, policy)])
        return policy

    async def find(self, kind: Kind[T], content: T) -> T | None:
        """Return the existing content under the id of `content`, or None."""
        found = await records.find(self.tx, kind, *kind.key(content))
        return None if found is None else found.content

    def keep(
        self,
        part: SetupPart[Any],
        name: str,
        there: StoredRecord[Any] | None,
        *,
        is_shared: bool = True,
        differing: tuple[str, ...] = (),
        existing: str = "",
    ) -> None:
        """Add the step of a record; a state that it cannot get from the setup is a conflict."""
        if there is not None:
            self.found[name] = there
        self.steps[name] = decide(
            name,
            is_there=there is not None,
            is_shared=is_shared,
            differing=differing,
            is_in_other_state=there is not None and not part.accepts(there.state),
            existing=existing,
        )

    async def _take(
        self,
        part: SetupPart[T],
        name: str,
        there: StoredRecord[T] | None,
        making: Awaitable[object],
        *,
        is_shared: bool = True,
    ) -> None:
        """Create a record; its use case returns an existing one that is equal."""
        differing: tuple[str, ...] = ()
        existing = ""
        try:
            await making
        except UsageError as error:
            if not isinstance(error, AlreadyExists) or error.reason != "CODE_TAKEN":
                # The use case reports its own field paths; callers know only those of the
                # description.
                raise placed(error, part.path) from None
            differing = tuple(error.facts["fields"].split(", "))
            existing = error.facts["name"] if error.facts["name"] != name else ""
        self.keep(part, name, there, is_shared=is_shared, differing=differing, existing=existing)

    async def _known(self, kind: Kind[P]) -> Sequence[StoredRecord[P]]:
        """Return every policy of a kind."""
        known: list[StoredRecord[P]] = []
        after: tuple[str] | None = None
        while True:
            page = await records.list_records(self.tx, kind, after=after, limit=PAGE)
            known += page
            if len(page) < PAGE:
                return await as_of_today(self.tx, kind, known)
            after = (kind.key(page[-1].content)[-1],)
