"""Short words for procedures and for lines to try them on, in JSON as people write it."""

from typing import Any

from google.protobuf.json_format import ParseDict
from usage_management.v1 import procedure_resources_pb2 as procedures
from usage_management.v1 import procedure_service_pb2 as requests

from clients.values import enum_name
from tests.stories.words import Metered, changed, figure
from tests.stories.world import World

DATA = Metered(resource="data", grant="10", refresh="MONTH", rate="2")


SETTING = {"rating_setting": {}}
BASE = {"base_rate": {}}
ACTIVE, INACTIVE = "CATALOG_STATE_ACTIVE", "CATALOG_STATE_INACTIVE"


def num(value: object) -> dict[str, str]:
    return {"value": str(value)}


def rate(value: object) -> dict[str, Any]:
    return {"value": num(value), "currency_code": "USD"}


def by(kind: str, value: object) -> dict[str, Any]:
    return {"kind": kind, "value": num(value)}


def tiers(*rows: tuple[Any, Any, str, Any], **more: str) -> dict[str, Any]:
    made = [
        {
            "lower": num(lower),
            **({} if upper is None else {"upper": num(upper)}),
            "adjustment": by(kind, value),
        }
        for lower, upper, kind, value in rows
    ]
    return {"tiers": made, **more}


def line(quantity: object, price: object | None = 10, **more: Any) -> dict[str, Any]:
    made = {"currency_code": "USD", "quantity": num(quantity), **more}
    return made if price is None else made | {"rate": rate(price)}


def formula(expression: str, variable: str = "") -> dict[str, Any]:
    return {"formula": {"expression": expression, "variable": variable}}


def rounding(mode: str, precision: int) -> dict[str, Any]:
    return {"rounding": {"mode": mode, "precision": precision}}


def voucher(percent: object) -> dict[str, Any]:
    return {"manual_discount": {"percentage": num(percent)}}


async def simulate(
    world: World, tried: list[Any] | str, *lines: dict[str, Any], **more: Any
) -> list[requests.SimulatedOutcome]:
    """Try a version by its name, or elements, on lines."""
    by_what = (
        {"version": tried} if isinstance(tried, str) else {"inline_version": {"elements": tried}}
    )
    if more:
        by_what["inline_version"] |= more
    request = requests.SimulateProcedureRequest()
    ParseDict(by_what | {"lines": list(lines)}, request)
    return list((await world.client.procedures.SimulateProcedure(request)).outcomes)


def amounts(outcomes: list[requests.SimulatedOutcome]) -> list[str]:
    """The amount of each, or the text of why there is none."""
    return [one.status.message or str(figure(one.amount)) for one in outcomes]


def net(outcomes: list[requests.SimulatedOutcome]) -> list[str]:
    return [one.status.message or str(figure(one.net_unit_rate)) for one in outcomes]


def elements(outcome: requests.SimulatedOutcome) -> list[str]:
    return [enum_name(step, "element") for step in outcome.waterfall]


async def use_own(world: World, name: str = "own") -> None:
    """Make a procedure the one that rates."""
    request = requests.SetDefaultProcedureRequest(procedure=f"procedures/{name}")
    await world.client.procedures.SetDefaultProcedure(request)


async def version(
    world: World, name: str, tried: list[Any], *, active: bool = True, **more: Any
) -> procedures.ProcedureVersion:
    """A version of the procedure `own`, which is made when it is not there."""
    service = world.client.procedures
    await service.CreateProcedure(
        requests.CreateProcedureRequest(
            procedure_id="own", procedure={"usage": "PROCEDURE_USAGE_RATING"}
        )
    )
    request = requests.CreateProcedureVersionRequest(
        parent="procedures/own", procedure_version_id=name
    )
    ParseDict({"elements": tried, **more}, request.procedure_version)
    made = await service.CreateProcedureVersion(request)
    if active:
        await put(world, "procedures/own", made.name)
    return made


async def own(world: World, *elements: Any, **more: Any) -> procedures.ProcedureVersion:
    """A first version of an own procedure, by which the tenant rates from now on."""
    made = await version(world, "v1", [SETTING, BASE, *elements], rank=1, **more)
    await use_own(world)
    return made


async def put(world: World, *names: str, state: str = ACTIVE) -> list[str]:
    request = requests.ChangeProcedureStatesRequest(names=names, state=state)
    return changed(await world.client.procedures.ChangeProcedureStates(request))
