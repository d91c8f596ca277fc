"""Documents of procedures come back as they were, and refuse what nobody here knows."""

import typing
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.mapping.rating import procedures
from server.domain.exact import Rounding
from server.domain.rating.procedures import elements as el
from server.domain.rating.procedures.shipped import SHIPPED
from server.domain.rating.rates import Adjustment, AdjustmentKind
from server.store.rating import procedure_documents
from server.store.rating.procedure_documents import decode_elements, encode_elements
from tests.strategies import numbers

words = st.text("abc é€", max_size=5)
orders = st.permutations(list(el.Agreed)).map(tuple)
adjustments = st.builds(Adjustment, kind=st.sampled_from(AdjustmentKind), value=numbers)
rows = st.builds(
    el.AttributeRow,
    attributes=st.dictionaries(words, words).map(lambda found: tuple(sorted(found.items()))),
    adjustment=adjustments,
)
matrix_rows = st.builds(
    el.MatrixRow,
    cells=st.lists(st.none() | words, max_size=3).map(tuple),
    adjustment=adjustments,
)
inputs = st.builds(
    el.Input, name=words, kind=st.sampled_from(el.ValueKind), default=st.none() | words
)


def some(one: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(one, max_size=3).map(tuple)


plain = st.one_of(
    st.builds(el.RatingSetting, name=words, inputs=some(inputs)),
    *(
        st.builds(kind, name=words)
        for kind in (
            el.BaseRate,
            el.VolumeTiers,
            el.GraduatedTiers,
            el.CommitmentRateElement,
            el.Stop,
        )
    ),
    st.builds(el.NegotiatedRate, name=words, order=orders),
    st.builds(el.NegotiatedTiers, name=words, order=orders),
    st.builds(el.AttributeAdjustment, name=words, rows=some(rows)),
    st.builds(el.ManualDiscount, name=words, kind=st.sampled_from(el.DiscountKind), value=numbers),
    st.builds(el.AdjustmentMatrix, name=words, columns=some(words), rows=some(matrix_rows)),
    st.builds(el.FormulaElement, name=words, expression=words, variable=words),
    st.builds(el.Assignment, name=words, variable=words, value=numbers),
    st.builds(
        el.ListOperation,
        name=words,
        function=st.sampled_from(el.ListFunction),
        source=st.none() | words,
        variable=words,
    ),
    st.builds(el.RoundRate, name=words, mode=st.sampled_from(Rounding), places=st.integers(0, 12)),
    st.builds(el.Lookup, name=words, source=st.sampled_from(el.LookupSource)),
)
elements = st.recursive(
    plain,
    lambda inner: st.builds(el.ListGroup, name=words, condition=words, elements=some(inner)),
    max_leaves=6,
)


@given(some(elements))
def test_elements_are_read_as_they_were_written(written):
    assert decode_elements(encode_elements(written)) == written


def test_shipped_elements_are_read_as_they_were_written():
    for _, version in SHIPPED:
        assert decode_elements(encode_elements(version.elements)) == version.elements


def test_every_kind_of_element_is_written_and_mapped():
    kinds = set(typing.get_args(el.ProcedureElement))

    assert set(procedure_documents._KINDS) == kinds
    assert set(procedures._BY_KIND) == kinds
    assert set(procedures._FIELDS) == set(procedures._BY_KIND.values())


def test_what_nobody_knows_is_refused():
    with pytest.raises(ValueError, match=r"value 2 - at `\$\.v`"):
        decode_elements('{"v":2,"content":[]}')
    with pytest.raises(KeyError):
        decode_elements('{"v":1,"content":[{"MAGIC":{"name":""}}]}')
    with pytest.raises(ValueError, match="unpack"):
        decode_elements('{"v":1,"content":[{"STOP":{"name":""},"BASE_RATE":{"name":""}}]}')
    with pytest.raises(msgspec.ValidationError, match="Invalid decimal"):
        decode_elements('{"v":1,"content":[{"ASSIGNMENT":{"variable":"x","value":"much"}}]}')


def test_decimals_are_plain_text():
    element = el.Assignment(variable="x", value=Decimal("1E+3"))

    assert encode_elements((element,)) == (
        '{"v":1,"content":[{"ASSIGNMENT":{"name":"","variable":"x","value":"1000"}}]}'
    )
