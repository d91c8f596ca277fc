"""Descriptions in files: what they say, exactly, and the line of everything that is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import setup_service_pb2 as pb

from clients.descriptions import Description, DescriptionError, read, read_yaml

YAML = """\
# a comment
product:
  name: products/p
  usage_model_type: ANCHOR

unit_classes:
  - name: unitClasses/a

  - name: "unitClasses/b"
    kind: USAGE

product_usage_resources:
  - product_usage_resource:
      usage_resource: usageResources/r
      start_date: 2026-01-31
    grants:
      - product_usage_grant: {quantity: 0.1}
  - overage: {}
    grants:
      - product_usage_grant:
          quantity: "12.50"
        refresh: {interval: {unit: MONTH, count: 1}}
"""

JSON = """\
{
  "product": {
    "name": "products/p",
    "usage_model_type": "ANCHOR"
  },
  "unit_classes": [
    {"name": "unitClasses/a"},
    {
      "name": "unitClasses/b: [x]",
      "kind": "USAGE"
    }
  ],
  "price_book": {"rate_cards": [
    "rateCards/a",
    "rateCards/b"
  ]},
  "product_usage_resources": [
    {"grants": [
      {
        "product_usage_grant": {"quantity": 0.1}
      }
    ]}
  ]
}
"""


def filled(description: Description) -> pb.SetUpProductRequest:
    return description.into(pb.SetUpProductRequest())


def test_a_description_is_taken_as_it_is_written() -> None:
    made = filled(read_yaml(YAML))
    first, second = made.product_usage_resources

    assert made.product.name == "products/p"
    assert [one.name for one in made.unit_classes] == ["unitClasses/a", "unitClasses/b"]
    assert first.product_usage_resource.start_date.day == 31
    assert first.grants[0].product_usage_grant.quantity.value == "0.1"
    assert second.grants[0].product_usage_grant.quantity.value == "12.50"
    assert second.grants[0].refresh.interval.count == 1
    assert (second.HasField("overage"), first.HasField("overage")) == (True, False)


def test_json_says_the_same() -> None:
    made = filled(read_yaml(JSON))

    assert made.unit_classes[1].name == "unitClasses/b: [x]"
    assert list(made.price_book.rate_cards) == ["rateCards/a", "rateCards/b"]
    grant = made.product_usage_resources[0].grants[0].product_usage_grant
    assert Decimal(grant.quantity.value) == Decimal("0.1")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("product.usage_model_type", 4),
        ("unit_classes[0].name", 7),
        ("unit_classes[1].name", 9),
        ("unit_classes[1].scale", 9),
        ("product_usage_resources[0].grants[0].product_usage_grant.quantity", 17),
        ("product_usage_resources[1].grants[0].refresh.interval.count", 22),
        ("product_usage_resources[1].rate_card_entries[3].name", 18),
        ("rate_cards[0].name", 0),
    ],
)
def test_fields_have_lines(path: str, line: int) -> None:
    assert read_yaml(YAML).line_of(path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("product.usage_model_type", 4),
        ("unit_classes[0].name", 7),
        ("unit_classes[1].kind", 10),
        ("price_book.rate_cards[1]", 15),
        ("product_usage_resources[0].grants[0].product_usage_grant.quantity.value", 20),
        ("rate_cards[0].name", 0),
    ],
)
def test_fields_of_json_have_lines(path: str, line: int) -> None:
    assert read_yaml(JSON).line_of(path) == line


def test_names_have_lines_too() -> None:
    assert read_yaml(YAML).line_of_text("unitClasses/b") == 9
    assert read_yaml(YAML).line_of_text("unitClasses") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("produkt: {}", "line 1: produkt: there is no such field; product?"),
        ("product:\n  name: 5", 'line 2: product.name: must be text, not 5; write "5", in quotes'),
        (
            "product:\n  usage_model_type: Anchor",
            "line 2: product.usage_model_type: must be one of ANCHOR, PACK, TOKEN_COMMITMENT, "
            "QUANTITY_COMMITMENT, MONETARY_COMMITMENT, not 'Anchor'",
        ),
        ("product: products/p", "line 1: product: must have fields, not 'products/p'"),
        ("product:", "line 1: product: must have fields, not nothing"),
        ("unit_classes: {}", "line 1: unit_classes: must be a list, not fields"),
        ("units_of_measure:\n- scale: 1.5", "must be a whole number, not 1.5"),
        ("units_of_measure:\n- scale: true", "must be a whole number, not true"),
        ("units_of_measure:\n- scale: 012", "must be a whole number, not '012'"),
        ("units_of_measure:\n- scale: 9999999999", "must be a whole number, not 9999999999"),
        ("units_of_measure:\n- factor: []", "must be a number, not a list"),
        ("units_of_measure:\n- factor: {}", "must be a number, not fields"),
        ("rate_cards:\n\n- start_date: 31.1.26", "line 3: rate_cards[0].start_date: must be"),
        ("rate_cards:\n- start_date: 2026-01-31T00:00", "must be a date such as 2026-01-31"),
        ("rate_cards:\n- start_date: 2026-02-31", "must be a date such as 2026-01-31"),
        ("rate_cards:\n- start_date: '2026-W05-6'", "must be a date such as 2026-01-31"),
        ("product:\n  display_name: 2026-01-31", 'must be text, not 2026-01-31; write "2026'),
        (
            "rating_frequency_policies:\n- waiting_time:\n    days: 1\n    hours: 2",
            "line 4: rating_frequency_policies[0].waiting_time.hours: "
            "cannot be there together with days",
        ),
        ("validate_only: 1", "line 1: validate_only: must be true or false, not 1"),
        ("validate_only: yes", "line 1: validate_only: must be true or false, not 'yes'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        filled(read_yaml(text))

    assert said in str(caught.value.faults[0])


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DescriptionError) as caught:
        filled(read_yaml("a: 1\nproduct:\n  name: 1\nunit_classes:\n- kind: X\n"))

    assert [(one.line, one.path) for one in caught.value.faults] == [
        (1, "a"),
        (3, "product.name"),
        (5, "unit_classes[0].kind"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("product:\n  name: products/p\n kind: x\n", "line 3: does not belong to what is above"),
        ("product: {", "line 1: "),
        ("product:\n\tname: x", "line 2: has a tab; indent with spaces"),
        ("product:\n  display_name: Plan: x", "line 2: has a second `: `"),
        ("product:\n  display_name: @x", "line 2: begins with a sign that YAML uses itself"),
        ("product:\n  name: a\n  nothing\nprice_book:\n", "line 3: is no field"),
        ('product:\n  name: "a\n\n', "line 2: has a quote that never ends"),
        ('{\n  "product": {\n    "name": "a"\n', "line 2: has a bracket that never ends"),
        ('{\n "product": \n]', "line 3: "),
        ("[]", "line 1: must have fields"),
        ("# a comment\n\n- a", "line 3: must have fields"),
        ("", "line 1: must have fields"),
        ("a: 1\n---\nb: 2", "line 2: begins a second document"),
        ("product:\n  name: a\n  name: b", "line 3: product.name: is there twice, first in line 2"),
        ("a:\n  ? [b]\n  : 1", "line 2: a: has a field whose name is no text"),
        ("a:\nb: &x [1]\nc: *x", "line 2: has an anchor (&)"),
        ("a:\nb: *x", "line 2: is a reference (*)"),
        ("a:\nb: !!int 5", "line 2: has a tag (!)"),
        ("a:\n" + "[" * 500, "line 2: is nested more than 40 deep"),
        ('a:\n  - "\\ud83d"', "line 2: a[0]: has half of a character"),
        ("a:\nproduct: \x07", "line 2: has a character that no text may have: #x0007"),
        ("\udcff", "is not text in UTF-8"),
    ],
)
def test_a_file_nobody_can_read(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(DescriptionError) as caught:
        read(file)

    assert str(caught.value).startswith(said)


def test_a_name_such_as_no_or_a_time_stays_text() -> None:
    made = filled(read_yaml("product:\n  display_name: no\nprice_book:\n  display_name: 1:30\n"))

    assert (made.product.display_name, made.price_book.display_name) == ("no", "1:30")


def test_json_writes_characters_beyond_16_bits_as_two_halves() -> None:
    made = filled(read_yaml('{"product": {"display_name": "\\ud83d\\ude00"}}'))

    assert made.product.display_name == "😀"


@pytest.mark.parametrize("text", ["9007199254740993", "0.1000000000000000055", "1" * 50, "-0.1"])
def test_a_number_keeps_every_digit(text: str) -> None:
    made = filled(read_yaml(f"units_of_measure:\n- factor: {text}"))

    assert made.units_of_measure[0].factor.value == text


def test_a_map_has_texts_by_key() -> None:
    read = read_yaml("attributes: {region: eu, plan: '7'}").into(quotes.SaleLine())
    assert dict(read.attributes) == {"region": "eu", "plan": "7"}

    for text in ("attributes: [eu]", "attributes: {plan: 7}"):
        with pytest.raises(DescriptionError, match="attributes"):
            read_yaml(text).into(quotes.SaleLine())
