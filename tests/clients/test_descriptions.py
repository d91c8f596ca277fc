"""Descriptions in files: what they say, exactly, and the line of everything that is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest
from usage.v1 import setup_service_pb2 as pb

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
        ("product:\n  name: 5", "line 2: product.name: must be text, not 5"),
        (
            "product:\n  usage_model_type: Anchor",
            "line 2: product.usage_model_type: must be one of ANCHOR, PACK, TOKEN_COMMITMENT, "
            "QUANTITY_COMMITMENT, MONETARY_COMMITMENT, not 'Anchor'",
        ),
        ("product: products/p", "line 1: product: must have fields, not 'products/p'"),
        ("product:", "line 1: product: must have fields, not None"),
        ("unit_classes: {}", "line 1: unit_classes: must be a list, not {}"),
        ("units_of_measure:\n- scale: 1.5", "must be a whole number, not Decimal('1.5')"),
        ("units_of_measure:\n- scale: true", "must be a whole number, not True"),
        ("units_of_measure:\n- scale: 012", "must be a whole number, not '012'"),
        ("units_of_measure:\n- scale: 9999999999", "must be a whole number, not 9999999999"),
        ("units_of_measure:\n- factor: []", "must be a number, not []"),
        ("units_of_measure:\n- factor: {}", "must be a number, not {}"),
        ("rate_cards:\n\n- start_date: 31.1.26", "line 3: rate_cards[0].start_date: must be"),
        ("rate_cards:\n- start_date: 2026-01-31T00:00", "must be a date such as 2026-01-31"),
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
        ("product:\n  name: products/p\n kind: x\n", "line 3: "),
        ("product: {", "line 1: "),
        ("product:\n\tname: x", "line 2: found character"),
        ('{\n "product": \n]', "line 3: "),
        ("[]", "line 1: must have fields"),
        ("", "line 1: must have fields"),
        ("a: 1\n---\nb: 2", "line 2: "),
        ("product:\n  name: a\n  name: b", "line 3: product.name: is there twice"),
        ("a: &x [1]\nb: *x", "line 1: b: is a reference (*)"),
        ("product: \x07", "unacceptable character"),
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
