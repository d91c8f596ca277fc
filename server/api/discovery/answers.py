"""Rate discovery: up to a thousand questions a call, each with an answer or a status.

Hot. An answer that depends on a snapshot alone is cached with the snapshot, as the bytes that are
sent, by its question and the days on which it is valid. The next time, on any of these days, it
costs a dictionary look-up and a bisection. The response to a request of few questions is then
cached as a whole. A fault of a question is its own outcome, with paths within the question.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from usage_management.v1 import rate_service_pb2 as pb

from server.api import revisions
from server.api.discovery.cache_key import CacheKey, put_back, take_key
from server.api.discovery.reader import Read, read_question
from server.api.discovery.rendering import answer_to_pb, rejected_candidate_to_pb
from server.api.errors import status_of
from server.api.transactions import caller, run_query
from server.domain.caches import memoize
from server.domain.calendar import DAY, Days
from server.domain.errors import FailedPrecondition, InvalidArgument, UsageError
from server.domain.ids import TenantId
from server.domain.limits import check_candidates, value_of
from server.domain.rating.compiled_discovery import CompiledDiscovery, DiscoveryVersions
from server.domain.rating.discovery import DiscoveryQuestion, answer
from server.domain.rating.explanations import explained
from server.domain.rating.procedures.versions import Version
from server.env import Env
from server.runtime.answer_cache import AnswerCache, ResponseCache
from server.runtime.rate_snapshots import (
    CompiledRates,
    RateSnapshots,
    rendered_terms,
)
from server.runtime.token_seal import TokenSeal
from server.usecases.rating.discovery import CurrentSales, current_sales

MOST_EXPLAINED = value_of("discover.explained_questions")
# Longer questions than those of valid names are not cached, so that caches stay bounded in bytes.
LONGEST = 600
# Responses of at most this many questions are cached as a whole.
FEW = 8
# Uncached questions yield to other calls after this time on the event loop.
SLICE_SECONDS = 0.005
WITHIN_A_SECOND = (
    pb.DiscoverRatesRequest.FRESHNESS_UNSPECIFIED,
    pb.DiscoverRatesRequest.MINIMIZE_LATENCY,
)
FULLY_CONSISTENT = pb.DiscoverRatesRequest.FULLY_CONSISTENT
AT_LEAST = pb.DiscoverRatesRequest.AT_LEAST
# The time reserved for sending the refusal before the deadline.
REFUSAL_SECONDS = 0.05
NOTHING_SOLD = CurrentSales(today=date.min, sold={})


@memoize(entries=1_024, entry_bytes=1_024)
def _ending(secrets: tuple[bytes, ...], tenant_id: TenantId, revision: int) -> bytes:
    """Return the serialized part of a response with its revision and token."""
    token = revisions.token_of(TokenSeal(secrets), tenant_id, revision)
    response = pb.DiscoverRatesResponse(catalog_revision=revision, revision_token=token)
    return response.SerializeToString()


async def discover(env: Env, snapshots: RateSnapshots, request: pb.DiscoverRatesRequest) -> bytes:
    """Return the serialized response, with the answers in the order of the questions.

    Serialized messages can be concatenated: the result has the fields of all of them. So cached
    answers are sent without parsing.
    """
    if request.explain:
        _check_explained(request)
    compiled = await _compiled(env, snapshots, request)
    ending = _ending(env.seal.secrets, caller().tenant_id, compiled.revision)
    if request.explain:
        answers = await _explained(env, compiled, request.questions)
        return pb.DiscoverRatesResponse(answers=answers).SerializeToString() + ending
    content = request.SerializeToString() if len(request.questions) <= FEW else b""
    keys = [take_key(question) for question in request.questions]
    known = compiled.answers
    cached = [None if key is None else known.on(key.content, key.day) for key in keys]
    if None in cached:
        return b"".join(await _answered(env, compiled, request.questions, keys, cached)) + ending
    response = b"".join(cached) + ending  # type: ignore[arg-type] # mypy does not see that none is None
    if content and request.freshness in WITHIN_A_SECOND:
        compiled.responses.keep(content, response, env.seal.secrets)
    return response


async def tried(
    env: Env,
    snapshots: RateSnapshots,
    questions: Sequence[pb.RateQuestion],
    version: Version,
) -> list[pb.RateAnswer]:
    """Return the answers of a version on any day, with the rejected candidates.

    It reads the newest committed rates.
    """
    compiled = await snapshots.of(caller().tenant_id, fresh=True)
    discovery_version = CompiledDiscovery.of(replace(version, start_date=None, end_date=None))
    discovery_versions = DiscoveryVersions(version.procedure_id, (discovery_version,))
    return await _explained(
        env,
        replace(
            compiled,
            discovery_versions=discovery_versions,
            rendered=rendered_terms(),
            answers=AnswerCache(),
            responses=ResponseCache(),
        ),
        questions,
    )


async def _answered(
    env: Env,
    compiled: CompiledRates,
    questions: Sequence[pb.RateQuestion],
    keys: Sequence[CacheKey | None],
    answers: list[bytes | None],
) -> list[bytes]:
    """Return the serialized answers; `answers` holds the cached ones, and is filled."""
    unknown = [index for index, known in enumerate(answers) if known is None]
    for index in unknown:
        put_back(questions[index], keys[index])
    read = [read_question(questions[index]) for index in unknown]
    sold_now = await _current_sales(env, read)
    time_slice = _TimeSlice()
    for index, question in zip(unknown, read, strict=True):
        answers[index] = _answer_and_cache(keys[index], question, sold_now, compiled)
        await time_slice.yield_if_over()
    return [known for known in answers if known is not None]


class _TimeSlice:
    """Yields to other calls after every few milliseconds of work."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def yield_if_over(self) -> None:
        """Yield, if it is time to."""
        if time.perf_counter() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


def _answer_and_cache(
    key: CacheKey | None, question: Read, sold_now: CurrentSales, compiled: CompiledRates
) -> bytes:
    """Return the answer to a question that was not cached at the start; cache it if possible.

    Not cached are what was sold to an asset or a target, which is in no snapshot, and an amount,
    which is computed for one quantity.
    """
    if (
        key is None
        or isinstance(question, InvalidArgument)
        or question.held is not None
        or question.quantity is not None
        or len(key.content) > LONGEST
    ):
        return _serialized(_answer(question, sold_now, compiled))
    # Looked up again: an equal question of the same request may have cached it.
    known = compiled.answers.on(key.content, key.day)
    if known is None:
        answer = _answer(question, sold_now, compiled)
        known = _serialized(answer)
        days = _days(answer, question, key.day, compiled)
        compiled.answers.keep(key.content, days, known, len(key.content))
    return known


def _serialized(answer: pb.RateAnswer) -> bytes:
    return pb.DiscoverRatesResponse(answers=[answer]).SerializeToString()


async def _explained(
    env: Env, compiled: CompiledRates, questions: Sequence[pb.RateQuestion]
) -> list[pb.RateAnswer]:
    """Return the answers with the rejected candidates, which are not cached."""
    read = [read_question(question) for question in questions]
    sold_now = await _current_sales(env, read)
    answers, candidates, time_slice = [], 0, _TimeSlice()
    for question in read:
        made = pb.RateAnswer()
        # Copied, because a rendered answer of the catalog is shared.
        made.CopyFrom(_answer(question, sold_now, compiled))
        if isinstance(question, DiscoveryQuestion):
            _explain(made, question, sold_now, compiled)
        answers.append(made)
        candidates += len(made.rejected_candidates) + made.rejected_candidates_omitted
        check_candidates(candidates, len(answers))
        await time_slice.yield_if_over()
    return answers


def _explain(
    made: pb.RateAnswer,
    question: DiscoveryQuestion,
    sold_now: CurrentSales,
    compiled: CompiledRates,
) -> None:
    """Add the rejected candidates; there are none where no version applies."""
    try:
        discovery_version = compiled.discovery_versions.on(question.day or sold_now.today)
    except FailedPrecondition:
        return
    why = explained(
        question,
        sold_now.today,
        compiled.rates,
        sold_now.sold,
        compiled.versions,
        discovery_version,
    )
    account_id = question.held and question.held[0]
    made.rejected_candidates.extend(
        rejected_candidate_to_pb(one, account_id) for one in why.rejected
    )
    made.rejected_candidates_omitted = why.omitted


def _check_explained(request: pb.DiscoverRatesRequest) -> None:
    """Raise TOO_MANY_ITEMS; an explanation is longer than its answer."""
    got = len(request.questions)
    if got > MOST_EXPLAINED:
        fault = f"must contain no more than {MOST_EXPLAINED} items with explain"
        raise InvalidArgument.at("questions", "TOO_MANY_ITEMS", fault, got=str(got))


async def _compiled(
    env: Env, snapshots: RateSnapshots, request: pb.DiscoverRatesRequest
) -> CompiledRates:
    """Return the rates, as fresh as requested. Raises REVISION_TOKEN_INVALID, FIELD_REQUIRED."""
    call, token = caller(), request.revision_token
    call.refuse_invalid()
    if request.freshness == AT_LEAST:
        if not token:
            raise InvalidArgument.at("revision_token", "FIELD_REQUIRED", "is required by AT_LEAST")
        least = revisions.revision_in(env.seal, token, call.tenant_id)
        return await snapshots.at_least(call.tenant_id, least, call.deadline - REFUSAL_SECONDS)
    if token:
        raise revisions.refused("is for freshness AT_LEAST only")
    return await snapshots.of(call.tenant_id, request.freshness == FULLY_CONSISTENT)


async def _current_sales(env: Env, read: Sequence[Read]) -> CurrentSales:
    """Return what the questions read from the database, in one transaction; most need nothing."""
    valid = [question for question in read if isinstance(question, DiscoveryQuestion)]
    keys = [question.held for question in valid if question.held is not None]
    if not keys and all(question.day is not None for question in valid):
        return NOTHING_SOLD
    return await run_query(env, lambda tx: current_sales(tx, keys))


def _days(
    answer: pb.RateAnswer, asked: DiscoveryQuestion, day: date, compiled: CompiledRates
) -> Days:
    """Return the days around a question's day with the same answer; a refusal names its day."""
    question = asked.in_catalog(day)
    if question is None or answer.HasField("status"):
        return Days(day, day + DAY)
    return compiled.rates.around(question).meet(compiled.discovery_versions.around(day))


def _answer(question: Read, sold_now: CurrentSales, compiled: CompiledRates) -> pb.RateAnswer:
    discovery_version = None
    try:
        if isinstance(question, InvalidArgument):
            raise question
        discovery_version = compiled.discovery_versions.on(question.day or sold_now.today)
        discovered = answer(
            question,
            sold_now.today,
            compiled.rates,
            sold_now.sold,
            compiled.versions,
            discovery_version,
        )
        return answer_to_pb(
            discovered, compiled, discovery_version, question.held and question.held[0]
        )
    except UsageError as error:
        name = "" if discovery_version is None else discovery_version.name
        return pb.RateAnswer(status=status_of(error), discovery_procedure_version=name)
