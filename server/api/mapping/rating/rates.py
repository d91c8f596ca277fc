"""Messages of price books, rate cards and entries."""

from datetime import date

from usage_management.v1 import rate_service_pb2 as pb
from usage_management.v1 import types_pb2

from server.api import names
from server.api.mapping.modeling.catalog import limit_percent_from_reader
from server.api.mapping.rating.terms import (
    attribute_row_from_reader,
    attribute_row_to_pb,
    per_from_reader,
    rate_from_reader,
    rate_to_pb,
    tiers_from_reader,
    tiers_to_pb,
    unit_from_reader,
    unit_pb,
)
from server.api.reader import RequestReader, placed_at, refuse
from server.api.values import (
    audit_pb,
    decimal_pb,
    enum_pb,
    etag,
    optional_date_pb,
    optional_decimal_pb,
)
from server.domain.batches import BatchOutcome
from server.domain.errors import Violation
from server.domain.ids import (
    PriceBookId,
    RateCardId,
    RateEntryId,
    ResourceId,
    SellingModelId,
    UnitId,
)
from server.domain.modeling.catalog import StoredRecord
from server.domain.rating.rate_cards import (
    ALL_RESOURCES,
    PriceBook,
    RateCard,
    RateCardEntry,
    RateCardType,
)
from server.domain.rating.rates import HUNDRED, TierBounds, TierMode

NON_NEGOTIABLE = pb.RateCardEntry.NON_NEGOTIABLE


def create_book_from_pb(request: pb.CreatePriceBookRequest) -> PriceBook:
    """Return a price book. Raises InvalidArgument."""
    reader = RequestReader(request)
    book_id = PriceBookId(reader.code("price_book_id"))
    book = reader.sub("price_book")
    display_name = book.text("display_name")
    card_ids = tuple(RateCardId(ids[0]) for ids in book.names("rate_cards", names.RATE_CARD))
    reader.done()
    return PriceBook(id=book_id, display_name=display_name, card_ids=card_ids)


def create_card_from_pb(request: pb.CreateRateCardRequest) -> RateCard:
    """Return a rate card. Raises InvalidArgument."""
    reader = RequestReader(request)
    card_id = RateCardId(reader.code("rate_card_id"))
    card = reader.sub("rate_card")
    display_name, kind = card.text("display_name"), card.choice("type", RateCardType)
    start, end = _dates_from_reader(card)
    reader.done()
    return RateCard(id=card_id, display_name=display_name, type=kind, start=start, end=end)


def create_entry_from_pb(request: pb.CreateRateCardEntryRequest) -> RateCardEntry:
    """Return an entry of a rate card. Raises InvalidArgument."""
    reader = RequestReader(request)
    (card_id,) = reader.name("parent", names.RATE_CARD)
    entry_id = RateEntryId(reader.code("rate_card_entry_id"))
    entry = reader.sub("rate_card_entry")
    (product_id,) = entry.name("product", names.PRODUCT)
    resource = entry.optional_name("usage_resource", names.RESOURCE)
    model = entry.optional_name("selling_model", names.SELLING_MODEL)
    unit = unit_from_reader(entry)
    rate = rate_from_reader(entry.sub("rate")) if entry.has("rate") else None
    bounds, mode, tiers = tiers_from_reader(entry.sub("tiers"))
    adjustments = tuple(map(attribute_row_from_reader, entry.subs("adjustments")))
    per = per_from_reader(entry, "tier_per")
    limit = limit_percent_from_reader(entry, "max_discount_percent", most=HUNDRED)
    start, end = _dates_from_reader(entry)
    reader.done()
    return RateCardEntry(
        id=entry_id,
        card_id=card_id,
        product_id=product_id,
        resource_id=ResourceId(resource[0]) if resource else ALL_RESOURCES,
        selling_model_id=SellingModelId(model[0]) if model else None,
        currency_code=unit,
        rate=rate,
        per=per,
        tiers=tiers,
        bounds=bounds or TierBounds.LOWER_INCLUSIVE,
        mode=mode or TierMode.VOLUME,
        adjustments=adjustments,
        is_negotiable=request.rate_card_entry.negotiability != NON_NEGOTIABLE,
        max_discount_percent=limit,
        custom_fields=tuple(sorted(request.rate_card_entry.custom_fields.items())),
        start=start,
        end=end,
    )


def create_entries_from_pb(
    request: pb.BatchCreateRateCardEntriesRequest,
) -> list[RateCardEntry]:
    """Return the entries of a batch. Raises InvalidArgument with all faults."""
    entries = []
    faults: list[Violation] = []
    for index, creation in enumerate(request.requests):
        with placed_at(f"requests[{index}]", faults):
            entries.append(create_entry_from_pb(creation))
    refuse(faults)
    return entries


def card_type_filter(reader: RequestReader) -> RateCardType | None:
    """Return the type of the cards that a list asks for."""
    return reader.optional_choice("type", RateCardType)


def day_filter(reader: RequestReader) -> date | None:
    """Return the day on which the records that a list asks for apply."""
    return reader.optional_date("on_date")


def unit_filter(reader: RequestReader) -> UnitId | None:
    """Return the currency or token of the entries that a list asks for."""
    if reader.has("currency_code") or reader.has("token_unit"):
        return unit_from_reader(reader)
    return None


def book_to_pb(record: StoredRecord[PriceBook]) -> pb.PriceBook:
    """Return a price book."""
    book = record.content
    return pb.PriceBook(
        name=names.PRICE_BOOK.of(book.id),
        display_name=book.display_name,
        rate_cards=map(names.RATE_CARD.of, book.card_ids),
        etag=etag(record.revision),
        **audit_pb(record.audit),
    )


def card_to_pb(record: StoredRecord[RateCard]) -> pb.RateCard:
    """Return a rate card."""
    card = record.content
    return pb.RateCard(
        name=names.RATE_CARD.of(card.id),
        display_name=card.display_name,
        type=enum_pb(pb.RateCard.Type, card.type),
        start_date=optional_date_pb(card.start),
        end_date=optional_date_pb(card.end),
        etag=etag(record.revision),
        **audit_pb(record.audit),
    )


def entry_to_pb(record: StoredRecord[RateCardEntry]) -> pb.RateCardEntry:
    """Return an entry of a rate card."""
    entry = record.content
    model = entry.selling_model_id
    negotiability = "NEGOTIABLE" if entry.is_negotiable else "NON_NEGOTIABLE"
    return pb.RateCardEntry(
        name=names.RATE_ENTRY.of(entry.card_id, entry.id),
        product=names.PRODUCT.of(entry.product_id),
        usage_resource="" if entry.is_blanket else names.RESOURCE.of(entry.resource_id),
        selling_model="" if model is None else names.SELLING_MODEL.of(model),
        rate=None if entry.rate is None else rate_to_pb(entry.rate),
        tiers=tiers_to_pb(entry.tiers, entry.bounds, entry.mode) if entry.tiers else None,
        adjustments=map(attribute_row_to_pb, entry.adjustments),
        tier_per=decimal_pb(entry.per) if entry.tiers else None,
        negotiability=enum_pb(pb.RateCardEntry.Negotiability, negotiability),
        max_discount_percent=optional_decimal_pb(entry.max_discount_percent),
        custom_fields=dict(entry.custom_fields),
        start_date=optional_date_pb(entry.start),
        end_date=optional_date_pb(entry.end),
        state=enum_pb(types_pb2.CatalogState, record.state),
        etag=etag(record.revision),
        **unit_pb(entry.currency_code),
        **audit_pb(record.audit),
    )


def _dates_from_reader(reader: RequestReader) -> tuple[date | None, date | None]:
    start, end = reader.optional_date("start_date"), reader.optional_date("end_date")
    if start is not None and end is not None and end <= start:
        reader.fault("end_date", "INTERVAL_INVALID", "must be after start_date")
    return start, end


def entry_outcome_to_pb(
    entry: StoredRecord[RateCardEntry], outcome: BatchOutcome
) -> pb.RateCardEntryOutcome:
    """Return an entry after a batch, and the outcome of the batch for it."""
    return pb.RateCardEntryOutcome(
        outcome=enum_pb(types_pb2.BatchOutcome, outcome), rate_card_entry=entry_to_pb(entry)
    )
