"""Simulation: the outcomes of given lines under a version of a rating procedure."""

import time

from server.domain.limits import check_steps
from server.domain.rating.procedures.programs import compile_rating, count_elements
from server.domain.rating.procedures.state import Line
from server.domain.rating.procedures.versions import Version
from server.domain.rating.procedures.waterfall import Outcome


def simulate(version: Version, lines: tuple[Line, ...], end: float) -> tuple[Outcome, ...]:
    """Return the outcome of each line, in order.

    Each line's processor time is measured against the limits of the version. `end` is the end of
    the call on the monotonic clock, which all processes of a machine share. Raises TOO_MANY_STEPS,
    and TimeoutError after `end`, because nobody waits for the rest.
    """
    check_steps(len(lines), count_elements(version.elements))

    def clock() -> int:
        if time.monotonic() > end:
            raise TimeoutError
        # Processor time of this thread: other work on the machine must not make a line fail.
        return time.thread_time_ns()

    return compile_rating(version.elements, version.limits).try_out(lines, clock=clock)
