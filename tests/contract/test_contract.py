"""The contract keeps the rules that make it usable from every language, the next method's too."""

import re

import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2

from tests.contract.descriptors import (
    FIELD,
    MESSAGE,
    Element,
    behaviors,
    elements,
    fields,
    files,
    is_mutation,
    message,
    of,
    reference,
    resource,
)

ENUM = descriptor_pb2.EnumDescriptorProto
METHODS = of(descriptor_pb2.MethodDescriptorProto)
OPTIONS = {
    "csharp_namespace": "UsageManagement.V1",
    "java_package": "usagemanagement.v1",
    "java_multiple_files": True,
    "php_namespace": "UsageManagement\\V1",
    "ruby_package": "UsageManagement::V1",
}
# Keywords of Go, Java, TypeScript, Kotlin, C#, some of C++. Without `type`, a keyword of Go alone,
# where fields begin with a capital.
RESERVED = frozenset(
    """
    break default func interface select case defer go map struct chan else goto package switch
    const fallthrough if range continue for import return var abstract assert boolean byte catch
    char class do double enum extends final finally float implements instanceof int long native
    new private protected public short static strictfp super synchronized this throw throws
    transient try void volatile while true false null any arguments async await constructor
    debugger delete eval export function in let number object string symbol typeof with yield as
    fun is typealias val when base bool checked decimal delegate event explicit extern fixed
    foreach implicit internal lock operator out override params readonly ref sbyte sealed sizeof
    stackalloc uint ulong unchecked unsafe ushort using virtual
    """.split()  # noqa: SIM905 - a list of strings would be ten times as long
)
# Names that headers of C and C++ define as macros. Protobuf itself undefines some, as `ERROR`.
MACROS = frozenset(
    """
    BIG_ENDIAN BUFSIZ BYTE_ORDER DOMAIN EOF FALSE HOST_NAME_MAX HUGE HUGE_VAL INFINITY LINE_MAX
    LITTLE_ENDIAN LONG_MAX MAX MIN NAME_MAX NAN NULL OVERFLOW PAGE_MASK PAGE_SIZE PATH_MAX
    PIPE_BUF PLOSS REFUSED SING SOCK_STREAM TLOSS TRUE UNDERFLOW
    """.split()  # noqa: SIM905 - a list of strings would be ten times as long
)
BRITISH = re.compile(
    r"catalogue|behaviour|colour|favour|honour|neighbour|labour|modell|cancell(?:ed|ing)|licence"
    r"|(?:organ|recogn|summar|normal|real|serial|author|capital)is(?:e|ing|ation)|centre|analyse",
    re.IGNORECASE,
)
PATTERN = re.compile(r"`([a-zA-Z]+/[^`\s]*\{[^`\s]*)`")
ORDERS = re.compile(r"\bby \w+|\bfirst\b|in the order|in order", re.IGNORECASE)


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def skeleton(pattern: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", pattern)


PATTERNS = {
    skeleton(pattern): (pattern, resource(one).type)
    for one in of(MESSAGE)
    for pattern in resource(one).pattern
}


def named(found: list[Element]) -> list[str]:
    return sorted(one.name for one in found)


@pytest.mark.parametrize("file", files(), ids=lambda file: file.name)
def test_every_file_names_its_package_for_every_language(file):
    assert file.package == "usage_management.v1"
    assert {name: getattr(file.options, name) for name in OPTIONS} == OPTIONS
    assert file.options.go_package.endswith(";usagemanagementv1")
    assert list(file.public_dependency) == []


def test_values_of_top_level_enums_carry_their_prefix_and_nested_ones_do_not():
    for enum in of(ENUM):
        prefix = f"{snake(enum.proto.name).upper()}_"
        first, *others = [value.name for value in enum.proto.value]
        assert first == f"{prefix}UNSPECIFIED", enum
        if enum.outer is None:
            assert all(name.startswith(prefix) for name in others), enum
        else:
            assert not any(name.startswith(prefix) for name in others), enum


def test_no_two_enums_have_the_same_values():
    seen: dict[tuple[str, ...], str] = {}
    for enum in of(ENUM):
        values = tuple(sorted(value.name for value in enum.proto.value[1:]))
        assert values not in seen, (enum, seen[values])
        seen[values] = enum.name


def test_no_name_is_a_keyword_or_a_macro():
    values = of(descriptor_pb2.EnumValueDescriptorProto)
    assert named([one for one in values if one.proto.name in MACROS]) == []
    others = [*of(FIELD), *of(descriptor_pb2.OneofDescriptorProto)]
    assert named([one for one in others if one.proto.name in RESERVED]) == []


def test_names_are_plain():
    assert named([one for one in of(FIELD) if re.match(r"(is|are)_", one.proto.name)]) == []
    assert named([one for one in of(FIELD) if one.proto.name == "order_by"]) == []
    assert named([one for one in of(MESSAGE) if "RequestRequest" in one.name]) == []
    british = [one for one in elements() if BRITISH.search(f"{one.name} {one.comment}")]
    assert named(british) == []


def test_every_field_says_how_it_behaves():
    assert named([one for one in of(FIELD) if not behaviors(one)]) == []


def test_what_a_request_can_say_is_not_output_only():
    wrong = [
        one
        for request in of(MESSAGE)
        if request.name.endswith("Request")
        for one in fields(request)
        if "OUTPUT_ONLY" in behaviors(one)
    ]
    assert named(wrong) == []


def test_what_has_to_be_said_is_not_output_only():
    for one in of(descriptor_pb2.OneofDescriptorProto):
        if one.proto.options.Extensions[validate_pb2.oneof].required:
            assert one.outer is not None
            members = [f for f in fields(one.outer) if f.proto.HasField("oneof_index")]
            assert named([f for f in members if "OUTPUT_ONLY" in behaviors(f)]) == []


def test_comments_write_patterns_as_their_resources_do():
    for one in elements():
        for text in PATTERN.findall(one.comment):
            known = PATTERNS.get(skeleton(text))
            assert known is None or known[0] == text, (one, text)


def test_fields_that_name_a_resource_refer_to_it():
    for field in of(FIELD):
        if field.proto.type != FIELD.TYPE_STRING or "IDENTIFIER" in behaviors(field):
            continue
        known = [PATTERNS.get(skeleton(text)) for text in PATTERN.findall(field.comment)]
        kinds = {one[1] for one in known if one is not None}
        if kinds and reference(field) != "*":
            wanted = kinds.pop() if len(kinds) == 1 else "*"
            assert reference(field) == wanted, field


def test_resource_types_are_of_this_service_and_end_as_their_message():
    found = [one for one in of(MESSAGE) if resource(one).type]
    assert found
    for one in found:
        assert resource(one).type == f"usage-management/{one.name}"
        [name] = [field for field in fields(one) if field.proto.name == "name"]
        assert behaviors(name) == ["IDENTIFIER"], one


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_methods_say_whether_they_change_anything(method):
    safe = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    assert is_mutation(method) == (method.proto.options.idempotency_level != safe)
    assert "UNIMPLEMENTED" not in method.comment


@pytest.mark.parametrize(
    "method", [one for one in METHODS if one.proto.name.startswith("Get")], ids=repr
)
def test_every_get_takes_a_name(method):
    [name] = [one for one in fields(message(method.proto.input_type)) if one.proto.name == "name"]
    assert "REQUIRED" in behaviors(name)


@pytest.mark.parametrize(
    "method", [one for one in METHODS if one.proto.name.startswith("List")], ids=repr
)
def test_every_list_has_pages_and_says_its_order(method):
    request, answer = message(method.proto.input_type), message(method.proto.output_type)
    assert {"page_size", "page_token"} <= {one.proto.name for one in fields(request)}
    items, token = (one.proto for one in fields(answer)[:2])
    assert items.label == FIELD.LABEL_REPEATED
    assert token.name == "next_page_token"
    assert ORDERS.search(method.comment), method.comment


def test_what_failed_is_a_status():
    texts = re.compile(r"(^|_)(error|failure)(_|$)(?!reason)")
    found = [one for one in of(FIELD) if texts.search(one.proto.name)]
    assert {one.name for one in found if one.proto.type_name == ".google.rpc.Status"}
    assert named([one for one in found if one.proto.type == FIELD.TYPE_STRING]) == []


def test_what_callers_create_says_who_made_and_changed_it_and_when():
    wanted = ["create_time", "created_by", "update_time", "updated_by"]
    created = {
        method.proto.output_type
        for method in METHODS
        if method.proto.name.startswith("Create") and "Response" not in method.proto.output_type
    }
    assert len(created) > 20
    for name in created:
        found = {one.proto.name: behaviors(one) for one in fields(message(name))}
        assert [found.get(one) for one in wanted] == [["OUTPUT_ONLY"]] * 4, name
