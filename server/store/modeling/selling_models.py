"""Selling models: their queries and row mapping."""

from asyncpg import Record

from server.domain.calendar import Cadence, CadenceUnit
from server.domain.ids import SellingModelId
from server.domain.modeling.catalog import SellingModel, SellingModelType
from server.store.modeling.records import Kind


def _selling_model(row: Record) -> SellingModel:
    unit, count = row["term_unit"], row["term_count"]
    return SellingModel(
        id=SellingModelId(row["selling_model_id"]),
        display_name=row["display_name"],
        type=SellingModelType(row["type"]),
        term=None if unit is None else Cadence(CadenceUnit(unit), count),
    )


SELLING_MODEL: Kind[SellingModel] = Kind(
    name="SellingModel",
    pattern="sellingModels/{}",
    table="selling_models",
    columns=(
        "selling_model_id",
        "display_name",
        "type",
        "term_unit",
        "term_count",
    ),
    key=lambda record: (record.id,),
    to_row=lambda record: (
        record.id,
        record.display_name,
        record.type,
        record.term and record.term.unit,
        record.term and record.term.count,
    ),
    from_row=_selling_model,
    fields={},
)
