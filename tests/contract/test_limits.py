"""Every limit is enforced from the table that `ListLimits` shows, or by a rule of the contract."""

import re
from pathlib import Path
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from usage_management.v1 import (
    catalog_resources_pb2,
    consumption_service_pb2,
    preview_service_pb2,
    procedure_service_pb2,
    rate_service_pb2,
    setup_service_pb2,
    types_pb2,
    validation_service_pb2,
)

from server.config import Config
from server.domain.limits import LIMITS, value_of

SERVER = Path(__file__).parents[2] / "server"

# The limits that a rule of the contract enforces, and the fields that have the rule.
BY_CONTRACT = {
    "discover.questions": (rate_service_pb2, "DiscoverRatesRequest.questions"),
    "preview.lines": (preview_service_pb2, "PreviewUsageRequest.lines"),
    "procedure.lines": (procedure_service_pb2, "SimulateProcedureRequest.lines"),
    "rate.attribute_adjustments": (rate_service_pb2, "RateCardEntry.adjustments"),
    "rate.batch_size": (rate_service_pb2, "BatchCreateRateCardEntriesRequest.requests"),
    "rate.tiers": (types_pb2, "RateTiers.tiers"),
    "rating_batch.lines": (preview_service_pb2, "RatingBatch.lines"),
    "record.batch_size": (consumption_service_pb2, "RecordUsageRequest.records"),
    "resource.dimensions": (catalog_resources_pb2, "UsageResource.dimensions"),
    "setup.resources": (setup_service_pb2, "SetUpProductRequest.product_usage_resources"),
    "text.characters": (catalog_resources_pb2, "Product.display_name"),
    "validation.products": (validation_service_pb2, "ValidateProductsRequest.products"),
}


def field(module: Any, path: str) -> FieldDescriptor:
    message, _, name = path.partition(".")
    found: FieldDescriptor = module.DESCRIPTOR.message_types_by_name[message].fields_by_name[name]
    return found


@pytest.mark.parametrize("limit_id", BY_CONTRACT)
def test_the_contract_has_the_limit_of_the_table(limit_id: str):
    rules = field(*BY_CONTRACT[limit_id]).GetOptions().Extensions[validate_pb2.field]

    assert value_of(limit_id) in (rules.repeated.max_items, rules.string.max_len)


def test_every_other_limit_is_read_from_the_table_where_it_is_enforced():
    sources = [path.read_text() for path in SERVER.rglob("*.py")]
    read = {one for text in sources for one in re.findall(r'value_of\(\s*"([a-z_.]+)"', text)}

    # The defaults of settings are held equal to the table by `tests/api/test_answers.py`.
    settings = Config(database_url="unused").limits.keys()
    assert {limit.id for limit in LIMITS} - read - BY_CONTRACT.keys() - settings == set()
