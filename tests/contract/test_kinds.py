"""Refusals name the fields of records as the contract does."""

from dataclasses import fields

import pytest

from server.api.services.modeling.kinds import ALL
from server.api.services.rating.procedures import PROCEDURE, VERSION

# What a record is named by, and what stands in its parent's name.
IN_NAMES = {"id", "product_id", "procedure_id"}


@pytest.mark.parametrize("one", [*ALL, PROCEDURE, VERSION], ids=lambda one: one.kind.name)
def test_every_part_of_a_record_has_the_name_of_its_field(one):
    known = one.message.DESCRIPTOR.fields_by_name
    content = one.kind.from_row.__annotations__["return"]

    for part in fields(content):
        if part.name not in IN_NAMES:
            named = one.kind.fields.get(part.name, part.name).split(", ")
            assert set(named) <= set(known), part.name
