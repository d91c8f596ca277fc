"""The version by which a tenant rates: of the default, on a day, or nothing and never a guess."""

import asyncio
from datetime import date

import pytest

from server.domain.errors import FailedPrecondition
from server.domain.ids import ProcedureId
from server.domain.rating.procedures.shipped import DEFAULT, DISCOVERY, NEGOTIABLE
from server.domain.rating.procedures.versions import ProcedureUsage
from server.store.transaction import transact
from server.usecases.rating import procedures
from tests.usecases.recorders import TENANT

DAY = date(2024, 3, 2)


async def do(pool, work, *args, **more):
    return await transact(pool, TENANT, lambda tx: work(tx, *args, **more))


async def in_use(pool, usage: ProcedureUsage):
    return (await do(pool, procedures.resolve, DAY, usage=usage)).version


async def test_a_tenant_without_a_default_is_told_so(pool):
    with pytest.raises(FailedPrecondition) as refused:
        await in_use(pool, ProcedureUsage.RATING)

    assert refused.value.reason == "PROCEDURE_NOT_IN_FORCE"


async def test_seeds_are_sown_once_and_are_what_the_tenant_uses(pool):
    await do(pool, procedures.seed)
    await do(pool, procedures.set_default, DEFAULT[0].id)
    before = await in_use(pool, ProcedureUsage.RATING)

    await asyncio.gather(*(do(pool, procedures.seed) for _ in range(3)))

    assert before == DEFAULT[1]
    assert await in_use(pool, ProcedureUsage.RATING) == NEGOTIABLE[1]
    assert await in_use(pool, ProcedureUsage.DISCOVERY) == DISCOVERY[1]


async def test_the_last_who_sets_the_default_has_set_it(pool):
    await do(pool, procedures.seed)
    ids = [DEFAULT[0].id, NEGOTIABLE[0].id] * 4

    made = await asyncio.gather(*(do(pool, procedures.set_default, id_) for id_ in ids))

    replaced = [before for _, before in made]
    assert set(replaced) <= set(ids)
    found = await do(pool, procedures.resolve, DAY, usage=ProcedureUsage.RATING)
    assert found.procedure_id in ids
    with pytest.raises(Exception, match="no Procedure named"):
        await do(pool, procedures.set_default, ProcedureId("none"))
