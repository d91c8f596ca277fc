"""Guided setup: the action for each record of a description, and the ids of policies.

A policy described by its settings alone is an existing one with the same settings, or a new one
whose id is made of them. A second product therefore shares the policies of the first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from typing import TypeVar

from server.domain.errors import FailedPrecondition, InvalidArgument, UsageError, Violation
from server.domain.exact import plain
from server.domain.ids import PolicyId
from server.domain.limits import value_of
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Overage,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
    StoredRecord,
)
from server.domain.modeling.policies import LatePolicy, usual_combination

Policy = Aggregation | RatingFrequencyPolicy | Overage | Refresh | Rollover
P = TypeVar("P", Aggregation, RatingFrequencyPolicy, Overage, Refresh, Rollover)

MOST_RECORDS = value_of("setup.records")
MOST_GRANTS = value_of("setup.grants")
MOST_CATALOG_RECORDS = value_of("setup.catalog_records")
NAMELESS = PolicyId("")


class Action(StrEnum):
    """The action for a record."""

    CREATED = "CREATED"
    REUSED = "REUSED"
    ACTIVATED = "ACTIVATED"
    UNCHANGED = "UNCHANGED"
    CONFLICT = "CONFLICT"
    DEACTIVATED = "DEACTIVATED"
    MADE_DEFAULT = "MADE_DEFAULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStep:
    """The name of a record, the action for it, and the fields in conflict.

    `existing` is the name of the record that exists, if only the case of its id differs.
    """

    name: str
    action: Action
    fields: tuple[str, ...] = ()
    existing: str = ""

    @property
    def difference(self) -> str:
        """The difference between what is described and what exists, as the end of a sentence."""
        if self.existing:
            return f"is there as {self.existing}; use that name, or choose another id"
        return f"is there and differs in {', '.join(self.fields)}"


def decide(
    name: str,
    *,
    is_there: bool,
    is_shared: bool,
    differing: Sequence[str],
    is_in_other_state: bool,
    existing: str = "",
) -> SetupStep:
    """Return the step for a record: create it, use it as it is, or report a conflict."""
    fields = (*differing, *(("state",) if is_in_other_state else ()))
    if fields:
        return SetupStep(name=name, action=Action.CONFLICT, fields=fields, existing=existing)
    if not is_there:
        return SetupStep(name=name, action=Action.CREATED)
    return SetupStep(name=name, action=Action.REUSED if is_shared else Action.UNCHANGED)


def conflicts(steps: Iterable[SetupStep]) -> tuple[SetupStep, ...]:
    """Return the steps that cannot be taken."""
    return tuple(step for step in steps if step.action is Action.CONFLICT)


def refusal(found: Sequence[SetupStep]) -> FailedPrecondition:
    """Return the refusal of a setup with these conflicts."""
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    fields = ", ".join(first.fields)
    how = ""
    if "/entries/" in first.name and "rate" in first.fields:
        how = "; a start_date in the file is the day from which the new rate applies"
    return FailedPrecondition(
        "SETUP_CONFLICT",
        f"{first.name} {first.difference}{more}{how}",
        {"name": first.name, "fields": fields, "conflicts": str(len(found))},
        tuple(
            Violation(step.name, "SETUP_CONFLICT", step.difference.removeprefix("is there and "))
            for step in found
        ),
    )


def chosen(policy: P, known: Iterable[StoredRecord[P]], *, named: PolicyId | None = None) -> P:
    """Return the policy with these settings: an existing one, or a new one.

    Of several, the one with the id `named` is preferred, so that a repeated setup chooses the same;
    then an active one.
    """
    kept = list(known)
    same = [one for one in kept if _settings(one.content) == _settings(policy)]
    usable = [one for one in same if one.state is not CatalogState.INACTIVE]
    if usable:
        return min(
            usable, key=lambda one: (one.content.id != named, one.state, one.content.id)
        ).content
    # Ids that differ only in case are the same id.
    taken = {one.content.id.lower() for one in kept}
    wanted = derived_id(policy)
    ids = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
    return replace(policy, id=PolicyId(next(one for one in ids if one not in taken)))


def derived_id(policy: Policy) -> str:
    """Return an id made of the settings: `sum-daily`, `monthly-after-3-days`, `refresh-1-month`."""
    words: list[str]
    match policy:
        case Aggregation(method=method, period=period, combine=combine):
            usual = combine is usual_combination(method)
            words = [method, period.adverb, *([] if usual else [combine])]
            words += [] if policy.unique_label is None else [policy.unique_label]
        case RatingFrequencyPolicy(period=period, delay=delay, late=late):
            words = [period.adverb, "after", str(delay.count), delay.unit]
            words += [] if late is LatePolicy.NEXT_PERIOD else [late]
        case Overage(overage=overage):
            words = ["overage", overage]
        case Refresh(interval=interval):
            words = ["refresh", str(interval.count), interval.unit]
        case Rollover(
            max_rollovers=most,
            max_quantity=quantity,
            max_percent=percent,
            remainder_percent=part,
        ):
            words = ["rollover", "unlimited" if most is None else str(most)]
            words += [] if quantity is None else ["up", "to", plain(quantity)]
            words += [] if percent is None else [plain(percent), "percent"]
            words += [] if part is None else [plain(part), "percent", "of", "the", "rest"]
    return "-".join(words).lower().replace("_", "-")


def check_size(records: int, most: int = MOST_RECORDS) -> None:
    """Raise TOO_MANY_ITEMS for a description of more records than one setup may have."""
    if records > most:
        raise InvalidArgument(
            "TOO_MANY_ITEMS",
            f"a setup describes at most {most} records, got {records}",
            {"limit": str(most), "got": str(records)},
        )


def placed(error: UsageError, path: str) -> UsageError:
    """Return the refusal of one record with the field paths of the description, below `path`."""
    if isinstance(error, InvalidArgument) and error.violations:
        moved = tuple(
            replace(violation, field=_place(violation.field, path))
            for violation in error.violations
        )
        made = InvalidArgument.of(moved)
        made.facts = {**error.facts, **made.facts}
        return made
    old = error.facts.get("field")
    new = path if old is None else _place(old, path)
    error.facts["field"] = new
    if old is not None:
        # Only the first mention: a message starts with the path of its field.
        error.message = error.message.replace(old, new, 1)
    return error


def _settings(policy: P) -> P:
    return replace(policy, id=NAMELESS, display_name="")


def _place(field: str, path: str) -> str:
    """Return the path in the description: `unit_class.kind` becomes `unit_classes[0].kind`."""
    head, dot, rest = field.partition(".")
    if dot:
        return f"{path}.{rest}"
    return f"{path}.name" if head == "parent" or head.endswith("_id") else path
