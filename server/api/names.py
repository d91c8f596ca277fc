"""Resource names, and the ids in them (AIP-122).

Ids that owners choose are codes, those of run-time records canonical UUIDs, those of usage records
the caller's own. Names are compared as bytes: nothing is trimmed, folded or decoded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from server.domain.ids import CODE, RECORD_ID, ExternalId

EXTERNAL = "external:"
NIL, MAX = UUID(int=0), UUID(int=2**128 - 1)


class BadName(ValueError):
    """A text that is not a valid name; `reason` is the reason for the status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def code(text: str) -> str:
    """Return an id that its owner chose. Raises BadName."""
    if CODE.fullmatch(text) is None:
        raise BadName("CODE_FORMAT", "must match [A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
    return text


def uuid(text: str) -> UUID:
    """Return a canonical UUID: lower case, hyphens, neither nil nor max. Raises BadName."""
    try:
        value = UUID(text)
    except ValueError:
        value = NIL
    if str(value) != text or value in (NIL, MAX):
        raise BadName("ID_FORMAT", "must be a UUID in lower case with hyphens")
    return value


def asset_or_external(text: str) -> UUID | ExternalId:
    """Return the id of an asset, or the caller's own id of it after `external:`. Raises BadName."""
    own = text.removeprefix(EXTERNAL)
    return uuid(text) if own == text else ExternalId(code(own))


def record_id(text: str) -> str:
    """Return the id of a usage record. Raises BadName."""
    if RECORD_ID.fullmatch(text) is None:
        raise BadName("EVENT_ID_FORMAT", "must be 1 to 128 printable ASCII characters")
    return text


def position(text: str) -> int:
    """Return the position of a ledger entry, from 1. Raises BadName."""
    if not text.isascii() or not text.isdecimal() or text[0] == "0" or len(text) > 18:
        raise BadName("ID_FORMAT", "must be a position, from 1")
    return int(text)


Part = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Name:
    """A pattern such as `accounts/{account}/orders/{order}`: fixed words, and an id after each."""

    words: tuple[str, ...]
    parts: tuple[Part, ...]

    @classmethod
    @cache
    def of_pattern(cls, pattern: str) -> "Name":
        """Return the name of catalog records with a pattern such as `products/{}/grants/{}`."""
        words = tuple(pattern.split("/")[::2])
        return cls(words, (code,) * len(words))

    @property
    def pattern(self) -> str:
        """The pattern, as the protos write it."""
        return "/".join(f"{word}/{{{_singular(word)}}}" for word in self.words)

    def of(self, *ids: object) -> str:
        """Return the name with these ids."""
        assert len(ids) == len(self.words), (self, ids)
        return "/".join(f"{word}/{id_}" for word, id_ in zip(self.words, ids, strict=True))

    def parse(self, text: str) -> tuple[Any, ...]:
        """Return the ids in a name. Raises BadName: NAME_FORMAT, CODE_FORMAT, ID_FORMAT."""
        # The last piece keeps its slashes, because the ids of usage records may contain them.
        pieces = text.split("/", 2 * len(self.words) - 1)
        if len(pieces) != 2 * len(self.words) or tuple(pieces[::2]) != self.words:
            raise BadName("NAME_FORMAT", f"must be of the form {self.pattern}")
        return tuple(read(piece) for read, piece in zip(self.parts, pieces[1::2], strict=True))


def _singular(word: str) -> str:
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in word)
    irregular = {"units_of_measure": "unit", "unit_classes": "unit_class", "entries": "entry"}
    if snake in irregular:
        return irregular[snake]
    return snake[:-3] + "y" if snake.endswith("ies") else snake.removesuffix("s")


def _account_and(word: str, part: Part = uuid) -> Name:
    return Name(("accounts", word), (code, part))


TENANT = Name(("tenants",), (code,))
CREDENTIAL = Name(("credentials",), (uuid,))
RUN = Name(("runs",), (uuid,))
JOB = Name(("jobs",), (uuid,))
ACCOUNT = Name(("accounts",), (code,))
UNIT_CLASS = Name(("unitClasses",), (code,))
UNIT = Name(("unitsOfMeasure",), (code,))
RESOURCE = Name(("usageResources",), (code,))
PRODUCT = Name(("products",), (code,))
PRODUCT_RESOURCE = Name(("products", "usageResources"), (code, code))
PRODUCT_GRANT = Name(("products", "grants"), (code, code))
AGGREGATION_POLICY = Name(("aggregationPolicies",), (code,))
RATING_FREQUENCY_POLICY = Name(("ratingFrequencyPolicies",), (code,))
OVERAGE_POLICY = Name(("overagePolicies",), (code,))
REFRESH_POLICY = Name(("refreshPolicies",), (code,))
ROLLOVER_POLICY = Name(("rolloverPolicies",), (code,))
COMMITMENT_POLICY = Name(("commitmentPolicies",), (code,))
SELLING_MODEL = Name(("sellingModels",), (code,))
CUSTOM_FIELD = Name(("customFields",), (code,))
PRICE_BOOK = Name(("priceBooks",), (code,))
RATE_CARD = Name(("rateCards",), (code,))
RATE_ENTRY = Name(("rateCards", "entries"), (code, code))
PROCEDURE = Name(("procedures",), (code,))
PROCEDURE_VERSION = Name(("procedures", "versions"), (code, code))
BINDING_TARGET = _account_and("bindingTargets", code)
QUOTE = _account_and("quotes")
ORDER = _account_and("orders")
ASSET = _account_and("assets")
ASSET_CHANGE = Name(("accounts", "assets", "changes"), (code, uuid, position))
# The asset of usage: by its id, or by the caller's own id of it.
USED_ASSET = _account_and("assets", asset_or_external)
WALLET = _account_and("wallets")
GRANT = Name(("accounts", "wallets", "grants"), (code, uuid, uuid))
ENTRY = Name(("accounts", "wallets", "entries"), (code, uuid, position))
LOADING = _account_and("loadings")
RECORD = _account_and("usageRecords", record_id)
USAGE_SUMMARY = _account_and("usageSummaries")
RATABLE_SUMMARY = _account_and("ratableSummaries")
LIABLE_SUMMARY = _account_and("liableSummaries")
RATING_BATCH = _account_and("ratingBatches")
CORRECTION = _account_and("corrections")
VOID_RUN = _account_and("voidRuns")
AMEND_RUN = _account_and("amendRuns")
REPRICE_RUN = Name(("repriceRuns",), (uuid,))
