"""The tasks by kind of job."""

from server.domain.work import JobKind
from workers.run import Task
from workers.tasks.catalog import validate_catalog
from workers.tasks.clock import advance_clock
from workers.tasks.following import follow_catalog
from workers.tasks.rating import rate_batch
from workers.tasks.records import change_records
from workers.tasks.reprice import reprice
from workers.tasks.wallets import close_period, correct_usage, refresh_grants

TASKS: dict[str, Task] = {
    JobKind.CORRECT_USAGE: correct_usage,
    JobKind.CLOSE_PERIOD: close_period,
    JobKind.REFRESH_GRANTS: refresh_grants,
    JobKind.VALIDATE_CATALOG: validate_catalog,
    JobKind.RATE_BATCH: rate_batch,
    JobKind.CHANGE_RECORDS: change_records,
    JobKind.REPRICE: reprice,
    JobKind.FOLLOW_CATALOG: follow_catalog,
    JobKind.ADVANCE_CLOCK: advance_clock,
}
