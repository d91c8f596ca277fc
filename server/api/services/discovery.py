"""Discovery on the wire: up to a thousand questions a call, each with an answer or a status.

Hot. An answer that rests on a snapshot alone is kept with it, in the bytes that are sent, by what
is asked and the days on which it holds: the next time, on any of these, costs a look into a
dictionary and a bisection. Faults of a question are its own outcome; their paths are those within
the question.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from usage.v1 import rate_service_pb2 as pb

from server.api import names, revisions
from server.api.dayless import FIRST_DAY, LAST_DAY, Dated, dayless
from server.api.errors import status_of
from server.api.forms import FAULTS, currencies, labels_fault
from server.api.mapping.pricing.rate_candidates import loser_to_pb
from server.api.mapping.pricing.terms import step_to_pb, terms_to_pb
from server.api.names import BadName
from server.api.values import decimal_pb
from server.api.work import caller, look
from server.domain.calendar import DAY, Days
from server.domain.errors import FailedPrecondition, InvalidArgument, UsageError
from server.domain.exact import ZERO, DecimalError, parse_decimal
from server.domain.ids import ResourceId, TenantId
from server.domain.limits import check_candidates
from server.domain.pricing.discovery import Answer, Asked, Source, answer
from server.domain.pricing.explanations import explained
from server.domain.pricing.finders import Finder, Finders
from server.domain.pricing.procedures.versions import Version
from server.domain.pricing.sold_rates import Bound, Held
from server.env import Env
from server.kept_answers import KeptAnswers
from server.rate_snapshots import CompiledRates, RateSnapshots
from server.token_seal import TokenSeal
from server.usecases.pricing.discovery import Present, present

Read = Asked | InvalidArgument

# Of how many choices of entries one tenant's snapshot has the terms; beyond that it begins anew.
MOST_KEPT = 20_000
LONGEST_KEPT = 600
# Questions nobody asked before are answered in slices of so many, a few milliseconds each.
SLICE = 100
MOST_EXPLAINED = 100
# How long explanations hold the loop before other calls have their turn.
SLICE_SECONDS = 0.005
FULLY_CONSISTENT = pb.DiscoverRatesRequest.FULLY_CONSISTENT
AT_LEAST = pb.DiscoverRatesRequest.AT_LEAST
# What it takes to tell the caller in time that its own has run out.
REFUSAL_SECONDS = 0.05
# A name that cannot be read raises and is not remembered.
_book = lru_cache(maxsize=16_384)(names.PRICE_BOOK.parse)
_product = lru_cache(maxsize=16_384)(names.PRODUCT.parse)
_resource = lru_cache(maxsize=16_384)(names.RESOURCE.parse)
_asset = lru_cache(maxsize=16_384)(names.ASSET.parse)
_account = lru_cache(maxsize=16_384)(names.ACCOUNT.parse)
_target = lru_cache(maxsize=16_384)(names.BINDING_TARGET.parse)
_token_unit = lru_cache(maxsize=16_384)(names.UNIT.parse)
_model = lru_cache(maxsize=16_384)(names.SELLING_MODEL.parse)
NOTHING_SOLD = Present(today=date.min, sold={})


@lru_cache(maxsize=1_024)
def _token(secrets: tuple[bytes, ...], tenant_id: TenantId, revision: int) -> str:
    return revisions.token_of(TokenSeal(secrets), tenant_id, revision)


async def discover(
    env: Env, snapshots: RateSnapshots, request: pb.DiscoverRatesRequest
) -> pb.DiscoverRatesResponse:
    """The answers, in the order of the questions."""
    _check_explained(request)
    compiled = await _compiled(env, snapshots, request)
    if request.explain:
        answers = await _explained(env, compiled, request.questions)
        response = pb.DiscoverRatesResponse(answers=answers)
    else:
        response = await _answered(env, compiled, request.questions)
    response.catalogue_revision = compiled.revision
    response.revision_token = _token(env.seal.secrets, caller().tenant_id, compiled.revision)
    return response


async def tried(
    env: Env,
    snapshots: RateSnapshots,
    questions: Sequence[pb.RateQuestion],
    version: Version,
) -> list[pb.RateAnswer]:
    """What a version would find on whatever day, and who would lose, by all that is committed."""
    compiled = await snapshots.of(caller().tenant_id, fresh=True)
    finder = Finder.of(replace(version, start_date=None, end_date=None))
    finders = Finders(version.procedure_id, (finder,))
    return await _explained(
        env, replace(compiled, finders=finders, made={}, answers=KeptAnswers()), questions
    )


async def _answered(
    env: Env, compiled: CompiledRates, questions: Sequence[pb.RateQuestion]
) -> pb.DiscoverRatesResponse:
    """The answers alone; what responses with one each look like, joined, is one with them all."""
    found = [_kept(question, compiled) for question in questions]
    unknown = [index for index, known in enumerate(found) if known is None]
    if unknown:
        read = [_read(questions[index]) for index in unknown]
        world = await _world(env, read)
        for count, (index, one) in enumerate(zip(unknown, read, strict=True), 1):
            found[index] = _found(questions[index], one, world, compiled)
            if count % SLICE == 0:
                await asyncio.sleep(0)  # other calls have their turn
    return pb.DiscoverRatesResponse.FromString(b"".join(filter(None, found)))


def _kept(question: pb.RateQuestion, compiled: CompiledRates) -> bytes | None:
    asked = dayless(question)
    return None if asked is None else compiled.answers.on(*asked)


def _found(question: pb.RateQuestion, read: Read, world: Present, compiled: CompiledRates) -> bytes:
    """The answer to a question that had none as the call began, kept if it lasts."""
    asked = dayless(question)
    if isinstance(read, InvalidArgument) or asked is None or not _is_lasting(read, asked):
        return _sent(_answer(read, world, compiled))
    known = compiled.answers.on(*asked)
    if known is None:
        answer = _answer(read, world, compiled)
        known = _sent(answer)
        compiled.answers.keep(asked[0], _days(answer, read, asked[1], compiled), known)
    return known


def _sent(answer: pb.RateAnswer) -> bytes:
    return pb.DiscoverRatesResponse(answers=[answer]).SerializeToString()


async def _explained(
    env: Env, compiled: CompiledRates, questions: Sequence[pb.RateQuestion]
) -> list[pb.RateAnswer]:
    """The answers with those that lost, which nothing is remembered of."""
    read = [_read(question) for question in questions]
    world = await _world(env, read)
    answers, candidates = [], 0
    since = time.perf_counter()
    for asked in read:
        made = pb.RateAnswer()
        made.CopyFrom(_answer(asked, world, compiled))
        if isinstance(asked, Asked):
            _explain(made, asked, world, compiled)
        answers.append(made)
        candidates += len(made.losers) + made.losers_omitted
        check_candidates(candidates, len(answers))
        if time.perf_counter() - since > SLICE_SECONDS:
            await asyncio.sleep(0)
            since = time.perf_counter()
    return answers


def _explain(made: pb.RateAnswer, asked: Asked, world: Present, compiled: CompiledRates) -> None:
    """Add who lost; where nothing looks there is nobody."""
    try:
        finder = compiled.finders.on(asked.day or world.today)
    except FailedPrecondition:
        return
    why = explained(asked, world.today, compiled.rates, world.sold, compiled.versions, finder)
    account_id = asked.held and asked.held[0]
    made.losers.extend(loser_to_pb(one, account_id) for one in why.losers)
    made.losers_omitted = why.omitted


def _check_explained(request: pb.DiscoverRatesRequest) -> None:
    """Raise TOO_MANY_ITEMS: an explanation is longer than its answer."""
    got = len(request.questions)
    if request.explain and got > MOST_EXPLAINED:
        fault = f"must contain no more than {MOST_EXPLAINED} items with explain"
        raise InvalidArgument.at("questions", "TOO_MANY_ITEMS", fault, got=str(got))


async def _compiled(
    env: Env, snapshots: RateSnapshots, request: pb.DiscoverRatesRequest
) -> CompiledRates:
    """The rates, as fresh as they are asked for. Raises REVISION_TOKEN_INVALID, FIELD_REQUIRED."""
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


async def _world(env: Env, read: Sequence[Read]) -> Present:
    """What the questions need from the database, in one transaction; most need nothing."""
    asked = [one for one in read if isinstance(one, Asked)]
    held = [one.held for one in asked if one.held is not None]
    if not held and all(one.day is not None for one in asked):
        return NOTHING_SOLD
    tenant_id = caller().tenant_id
    return await look(env, lambda tx: present(tx, tenant_id, held))


def _is_lasting(read: Asked, asked: Dated) -> bool:
    """Whether the snapshot alone decides, and the question is likely to be asked again."""
    (before, after), day = asked
    if len(before) + len(after) > LONGEST_KEPT:
        return False
    return read.held is None and read.quantity is None and read.day == day


def _days(answer: pb.RateAnswer, read: Asked, day: date, compiled: CompiledRates) -> Days:
    """The days around that of a question on which it has this answer; a refusal names its day."""
    question = read.in_catalogue(day)
    if question is None or answer.HasField("status"):
        return Days(day, day + DAY)
    return compiled.rates.around(question).meet(compiled.finders.around(day))


def _keep(compiled: CompiledRates, key: object, found: pb.RateAnswer) -> pb.RateAnswer:
    if len(compiled.made) >= MOST_KEPT:
        compiled.made.clear()
    compiled.made[key] = found
    return found


def _answer(asked: Read, world: Present, compiled: CompiledRates) -> pb.RateAnswer:
    finder = None
    try:
        if isinstance(asked, InvalidArgument):
            raise asked
        finder = compiled.finders.on(asked.day or world.today)
        found = answer(asked, world.today, compiled.rates, world.sold, compiled.versions, finder)
        return _answer_to_pb(found, compiled, finder, asked.held and asked.held[0])
    except UsageError as error:
        name = "" if finder is None else finder.name
        return pb.RateAnswer(status=status_of(error), discovery_procedure_version=name)


def _answer_to_pb(
    found: Answer, compiled: CompiledRates, finder: Finder, account_id: str | None
) -> pb.RateAnswer:
    terms = _terms_to_pb(found, compiled, finder, account_id)
    if found.rated is None:
        return terms
    steps = map(step_to_pb, found.rated.steps)
    assert found.version is not None, found
    version = names.PROCEDURE_VERSION.of(*found.version)
    message = pb.RateAnswer(
        amount=decimal_pb(found.rated.amount), waterfall=steps, procedure_version=version
    )
    message.MergeFrom(terms)
    return message


def _terms_to_pb(
    found: Answer, compiled: CompiledRates, finder: Finder, account_id: str | None
) -> pb.RateAnswer:
    """Terms, their source and who found them.

    Those of the catalogue are made once; nobody changes them afterwards.
    """
    terms = found.terms
    is_common = found.source is Source.CATALOG and not terms.attributes
    key = (finder.name, terms.base_entry, terms.tier_entry, terms.attribute_entry)
    known: pb.RateAnswer | None = compiled.made.get(key) if is_common else None
    if known is not None:
        return known
    made = pb.RateAnswer(
        terms=terms_to_pb(terms, is_fixed=found.is_fixed),
        source=found.source,
        discovery_procedure_version=finder.name,
    )
    if found.asset_id is not None:
        assert account_id is not None, found
        made.asset = names.ASSET.of(account_id, str(found.asset_id))
    return _keep(compiled, key, made) if is_common else made


def _read(question: pb.RateQuestion) -> Read:
    try:
        return _asked(question)
    except InvalidArgument as error:
        return error


def _asked(question: pb.RateQuestion) -> Asked:
    is_needed = not question.asset and not question.binding_target
    book = _name("price_book", question.price_book, _book, is_needed=is_needed)
    product = _name("product", question.product, _product, is_needed=is_needed)
    (resource_id,) = _name("usage_resource", question.usage_resource, _resource)
    model = _name("selling_model", question.selling_model, _model, is_needed=False)
    return Asked(
        resource_id,
        _held(question, resource_id),
        book and book[0],
        product and product[0],
        _unit(question, is_needed=is_needed),
        _day(question) if question.HasField("date") else None,
        _quantity(question.quantity.value) if question.HasField("quantity") else None,
        model and model[0],
        _attributes(question.attributes) if question.attributes else None,
    )


def _held(question: pb.RateQuestion, resource_id: ResourceId) -> Held | Bound | None:
    """What the question is about besides the catalogue: an asset, or a target."""
    target = question.binding_target
    if not target:
        asset = _name("asset", question.asset, _asset, is_needed=False)
        return None if asset is None else (*asset, resource_id)
    if question.asset:
        fault = "a question is about an asset or about a target"
        raise InvalidArgument.at("binding_target", "BINDING_TARGET", fault)
    if "/bindingTargets/" in target:
        account_id, target_id = _name("binding_target", target, _target)
        return Bound(account_id, target_id, resource_id)
    (account_id,) = _name("binding_target", target, _account)
    return Bound(account_id, "", resource_id)


def _name(
    path: str, text: str, parse: Callable[[str], tuple[Any, ...]], *, is_needed: bool = True
) -> Any:
    if not text:
        if is_needed:
            raise InvalidArgument.at(path, "FIELD_REQUIRED", "is required")
        return None
    try:
        return parse(text)
    except BadName as error:
        raise InvalidArgument.at(path, error.reason, str(error)) from None


def _unit(question: pb.RateQuestion, *, is_needed: bool) -> str | None:
    """What the answer is to be in: a currency, or a token's unit."""
    if not question.token_unit:
        return _currency(question.currency_code, is_needed=is_needed)
    if question.currency_code:
        fault = "a price is in a currency or in a token"
        raise InvalidArgument.at("token_unit", "CURRENCY_MISMATCH", fault)
    (unit,) = _name("token_unit", question.token_unit, _token_unit)
    return str(unit)


def _currency(text: str, *, is_needed: bool) -> str | None:
    if text in currencies():
        return text
    if text:
        fault = "must be an ISO 4217 currency code in capitals"
        raise InvalidArgument.at("currency_code", "CURRENCY_UNKNOWN", fault)
    if is_needed:
        raise InvalidArgument.at("currency_code", "FIELD_REQUIRED", "is required")
    return None


def _day(question: pb.RateQuestion) -> date:
    value = question.date
    try:
        day = date(value.year, value.month, value.day)
    except ValueError:
        fault = "is not a day of the calendar"
        raise InvalidArgument.at("date", "DATE_INVALID", fault) from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidArgument.at("date", "DATE_INVALID", "must be in the years 1990 to 2200")
    return day


def _attributes(labels: Mapping[str, str]) -> dict[str, str]:
    fault = labels_fault(labels)
    if fault is not None:
        raise InvalidArgument.at("attributes", "LABELS_INVALID", fault)
    return dict(labels)


def _quantity(text: str) -> Decimal:
    try:
        quantity = parse_decimal(text)
    except DecimalError as error:
        raise InvalidArgument.at("quantity", error.reason, FAULTS[error.reason]) from None
    if quantity < ZERO:
        raise InvalidArgument.at("quantity", "QUANTITY_NEGATIVE", "must not be negative")
    return quantity
