"""The kinds of records of RateService in the API: price books, rate cards and their entries."""

from functools import partial
from typing import Any

from usage_management.v1 import rate_service_pb2 as pb

from server.api import names
from server.api.mapping.rating import custom_fields as field_mapping
from server.api.mapping.rating import rates as mapping
from server.api.services.modeling.kinds import OnWire, name_filter
from server.config import Config
from server.domain.rating.rate_cards import CardSize
from server.store.rating import custom_fields as field_kinds
from server.store.rating import rate_entries as entry_kinds
from server.store.rating import rates as kinds
from server.usecases.rating.custom_fields import check_custom_field
from server.usecases.rating.rate_entries import check_active, check_entering, check_entry
from server.usecases.rating.rates import check_book


def card_size(config: Config) -> CardSize:
    """Return the size limits of a rate card."""
    return CardSize(entries=config.rate_card_entries, tiers=config.rate_card_tiers)


PRICE_BOOK = OnWire(
    kind=kinds.PRICE_BOOK,
    field="price_book",
    message=pb.PriceBook,
    creation=pb.CreatePriceBookRequest,
    read=mapping.create_book_from_pb,
    write=mapping.book_to_pb,
    check=check_book,
)
CUSTOM_FIELD = OnWire(
    kind=field_kinds.CUSTOM_FIELD,
    field="custom_field",
    message=pb.CustomField,
    creation=pb.CreateCustomFieldRequest,
    read=field_mapping.create_custom_field_from_pb,
    write=field_mapping.custom_field_to_pb,
    check=check_custom_field,
)
RATE_CARD = OnWire(
    kind=kinds.RATE_CARD,
    field="rate_card",
    message=pb.RateCard,
    creation=pb.CreateRateCardRequest,
    read=mapping.create_card_from_pb,
    write=mapping.card_to_pb,
    filters=(mapping.card_type_filter, mapping.day_filter),
)
RATE_ENTRY = OnWire(
    kind=entry_kinds.RATE_ENTRY,
    field="rate_card_entry",
    message=pb.RateCardEntry,
    creation=pb.CreateRateCardEntryRequest,
    read=mapping.create_entry_from_pb,
    write=mapping.entry_to_pb,
    limited_check=lambda config: partial(check_entry, most=card_size(config)),
    check_active=check_active,
    check_entering=check_entering,
    filters=(
        name_filter("product", names.PRODUCT),
        name_filter("usage_resource", names.RESOURCE),
        mapping.unit_filter,
        name_filter("selling_model", names.SELLING_MODEL),
        mapping.day_filter,
    ),
    parent=RATE_CARD,
    lists_all=True,
)
ALL: tuple[OnWire[Any, Any], ...] = (CUSTOM_FIELD, PRICE_BOOK, RATE_CARD, RATE_ENTRY)
