"""All limits of the service in one table: id, value, unit, and the reason of the refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from server.domain.errors import InvalidArgument, ResourceExhausted


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, and the reason of the refusal when it is exceeded."""

    id: str
    value: int
    unit: str
    reason: str


LIMITS = (
    Limit("activation.records", 200, "records an activation", "TOO_MANY_ITEMS"),
    Limit("answer.bytes", 3_670_016, "bytes", "ANSWER_TOO_LARGE"),
    Limit("call.in_flight", 1_000, "calls a process", "OVERLOADED"),
    Limit("call.seconds", 30, "seconds", "DEADLINE_EXCEEDED"),
    Limit("call.tenant_in_flight", 500, "calls of a tenant a process", "TENANT_BUSY"),
    Limit("discover.candidates", 50_000, "explained candidates a call", "TOO_MANY_STEPS"),
    Limit("discover.explained_questions", 100, "questions a call", "TOO_MANY_ITEMS"),
    Limit("discover.questions", 1_000, "questions a call", "TOO_MANY_ITEMS"),
    Limit("dry_run.records", 5_000, "records a dry run that tells money", "TOO_MANY_ITEMS"),
    Limit("formula.characters", 2_000, "characters", "FORMULA_INVALID"),
    Limit("grant.back_dated_issues", 400, "issues", "BACKDATED_TOO_FAR"),
    Limit("labels.count", 64, "labels", "LABELS_INVALID"),
    Limit("labels.key", 128, "characters", "LABELS_INVALID"),
    Limit("labels.value", 1_024, "characters", "LABELS_INVALID"),
    Limit("loading.days", 31, "days ahead of the tenant's clock", "LOADING_TIME"),
    Limit("message.bytes", 1_048_576, "bytes", "MESSAGE_TOO_LARGE"),
    Limit("message.record_bytes", 4_194_304, "bytes", "MESSAGE_TOO_LARGE"),
    Limit("order.back_dated_days", 400, "days behind the tenant's clock", "BACKDATED_TOO_FAR"),
    Limit("order.periods", 20_000, "rating periods an order", "LIMIT_ORDER_PERIODS"),
    Limit("order.wallets", 2_000, "wallets an order", "LIMIT_ORDER_WALLETS"),
    Limit("page.size", 1_000, "items a page", "PAGE_SIZE_INVALID"),
    Limit("policy.versions", 100, "versions a policy", "TOO_MANY_ITEMS"),
    Limit("preview.cells", 100_000, "lines × cells a preview", "TOO_MANY_ITEMS"),
    Limit("preview.lines", 1_000, "lines a preview", "TOO_MANY_ITEMS"),
    Limit("procedure.elements", 70, "elements a version", "PROCEDURE_INVALID"),
    Limit("procedure.lines", 1_000, "lines a simulation", "TOO_MANY_ITEMS"),
    Limit("procedure.steps", 20_000, "lines × elements a simulation", "TOO_MANY_STEPS"),
    Limit("quote.lines", 200, "lines a quote or an order", "TOO_MANY_ITEMS"),
    Limit("rate.attribute_adjustments", 100, "adjustments an entry", "TOO_MANY_ITEMS"),
    Limit("rate.batch_size", 1_000, "entries a call", "TOO_MANY_ITEMS"),
    Limit("rate.card_entries", 1_200, "entries a rate card", "LIMIT_RATE_CARD"),
    Limit("rate.card_tiers", 3_000, "tiers a rate card", "LIMIT_RATE_CARD"),
    Limit("rate.tiers", 100, "tiers an entry", "TOO_MANY_ITEMS"),
    Limit("rating_batch.cells", 40_000, "lines × cells a rating batch", "TOO_MANY_ITEMS"),
    Limit("rating_batch.lines", 500, "lines a rating batch", "TOO_MANY_ITEMS"),
    Limit("record.batch_size", 1_000, "records a call", "TOO_MANY_ITEMS"),
    Limit("record.future_minutes", 5, "minutes ahead of the tenant's clock", "TIMESTAMP_IN_FUTURE"),
    Limit("record.quantity", 10**18, "units, as counted, a record", "DECIMAL_RANGE"),
    Limit("record.window_days", 400, "days behind the tenant's clock", "TIMESTAMP_TOO_OLD"),
    Limit("replay.lines", 2_000, "ratable summaries a replay", "TOO_MANY_ITEMS"),
    Limit("reprice_run.assets", 1_000, "assets of an account a run", "TOO_MANY_ITEMS"),
    Limit("request_id.days", 400, "days that a request id is kept", "REQUEST_ID_CONFLICT"),
    Limit("resource.dimensions", 5, "dimensions a usage resource", "TOO_MANY_ITEMS"),
    Limit("setup.catalog_records", 1_000, "records a setup of a catalog", "TOO_MANY_ITEMS"),
    Limit("setup.grants", 5, "grants a resource of a product", "TOO_MANY_ITEMS"),
    Limit("setup.records", 200, "records a setup", "TOO_MANY_ITEMS"),
    Limit("setup.resources", 20, "resources of a product a setup", "TOO_MANY_ITEMS"),
    Limit("text.characters", 200, "characters", "TEXT_TOO_LONG"),
    Limit("validation.products", 10, "products a call", "TOO_MANY_ITEMS"),
)
_VALUES = {limit.id: limit.value for limit in LIMITS}


def value_of(limit_id: str) -> int:
    """Return the value of a limit, for the code that enforces it. Raises KeyError."""
    return _VALUES[limit_id]


MOST_QUANTITY = Decimal(value_of("record.quantity"))
# A candidate takes 2 to 10 µs.
MOST_CANDIDATES = value_of("discover.candidates")
# A step takes 10 to 30 µs, and 150 bytes of the answer.
MOST_STEPS = value_of("procedure.steps")


def limits(configured: Mapping[str, int]) -> tuple[Limit, ...]:
    """Return the table with the configured values."""
    return tuple(replace(limit, value=configured.get(limit.id, limit.value)) for limit in LIMITS)


def check_steps(lines: int, elements: int) -> None:
    """Raise `TOO_MANY_STEPS` for a simulation that would keep other calls waiting too long."""
    steps = lines * elements
    if steps > MOST_STEPS:
        most = max(1, MOST_STEPS // elements)
        raise ResourceExhausted(
            "TOO_MANY_STEPS",
            f"{lines} lines of {elements} elements are {steps} steps, and a simulation has at most"
            f" {MOST_STEPS}; send at most {most} lines at once",
            {"limit": str(MOST_STEPS), "got": str(steps), "lines": str(most)},
        )


def check_candidates(candidates: int, questions: int) -> None:
    """Raise `TOO_MANY_STEPS` if explaining questions compared more candidates than a call may."""
    if candidates > MOST_CANDIDATES:
        most = max(1, questions - 1)
        raise ResourceExhausted(
            "TOO_MANY_STEPS",
            f"explaining {questions} of the questions compared {candidates} rates, and a call"
            f" compares at most {MOST_CANDIDATES}; ask at most {most} questions at once",
            {"limit": str(MOST_CANDIDATES), "got": str(candidates), "questions": str(most)},
        )


def check_lines(count: int, *, most: int, sale: str = "quote") -> None:
    """Raise `TOO_MANY_ITEMS` for a quote or an order with too many lines."""
    if count > most:
        text = f"has {count} lines; {sale}s have at most {most}, so make several"
        raise InvalidArgument.at(
            f"{sale}.lines", "TOO_MANY_ITEMS", text, limit=str(most), got=str(count)
        )
