"""What is put into a path or a query stays where it is put, whoever wrote it."""

import re
from string import ascii_letters, digits
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.errors import InvalidRequest
from bff_core.upstream import Template

TWO_HOLES = Template("/a/{first}/b/{second}.svg")
WRITTEN = re.compile(r"[A-Za-z0-9._~%/-]+(\?[A-Za-z0-9._~%&=-]+)?")
NASTY = [
    "a/b",
    "../x",
    "..%2f",
    "%2e%2e",
    "a?b",
    "a#b",
    "a@b",
    "a\\b",
    "a;b",
    "a\r\nb",
    "\x00",
    "http://x/",
    "//x",
    "é",
    "a b",
]

values = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.text("./\\%?#@:;&=+ \r\n\x00é" + digits, min_size=1),
    st.sampled_from(NASTY),
).filter(lambda value: value not in {".", ".."})


@given(values, values)
def test_a_value_keeps_to_its_segment_and_can_be_read_back(first: str, second: str) -> None:
    target = TWO_HOLES.fill({"first": first, "second": second})
    assert WRITTEN.fullmatch(target)
    assert "//" not in target
    segments = target.split("/")
    assert [unquote(segment, errors="strict") for segment in segments] == ["", "a", first, "b", second + ".svg"]
    assert not {".", ".."} & set(segments)


@given(st.text(ascii_letters + digits + "-._~", min_size=1).filter(lambda value: value not in {".", ".."}))
def test_a_value_that_needs_no_encoding_is_left_alone(value: str) -> None:
    assert Template("/{value}").fill({"value": value}) == f"/{value}"


@given(st.dictionaries(values, st.one_of(values, st.just(""), st.integers(), st.lists(values, min_size=1)), min_size=1))
def test_query_values_can_be_read_back_and_are_nothing_but_values(query: dict) -> None:
    target = Template("/search").fill({}, query)
    assert WRITTEN.fullmatch(target)
    expected = [
        (name, str(each)) for name, value in query.items() for each in (value if isinstance(value, list) else [value])
    ]
    written = target.removeprefix("/search?")
    assert parse_qsl(written, keep_blank_values=True, strict_parsing=True, errors="strict") == expected


@pytest.mark.parametrize("value", ["", ".", "..", *(f"a{chr(point)}b" for point in (0xD800, 0xDCFF, 0xDFFF))])
def test_a_value_that_cannot_be_a_segment_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Template("/products/{product_id}").fill({"product_id": value})
    ((place, _),) = refused.value.fields
    assert place == "product_id"


@pytest.mark.parametrize("query", [{"q": "\ud800"}, {"q": ["fine", "\udfff"]}, {"\ud800": "q"}])
def test_a_query_that_cannot_be_encoded_is_refused(query: dict) -> None:
    with pytest.raises(InvalidRequest):
        Template("/search").fill({}, query)


@pytest.mark.parametrize("query", [None, {}, {"cursor": None}, {"id": []}, {"id": (), "cursor": None}])
def test_a_query_of_nothing_leaves_the_path_bare(query: dict | None) -> None:
    assert Template("/search").fill({}, query) == "/search"


def test_what_is_none_is_left_out_and_zero_is_not() -> None:
    query = {"query": "", "cursor": None, "limit": 0, "id": ["a", "b c"]}
    assert Template("/search").fill({}, query) == "/search?query=&limit=0&id=a&id=b%20c"


def test_a_template_with_a_missing_value_is_a_bug_and_fails_loudly() -> None:
    with pytest.raises(KeyError):
        TWO_HOLES.fill({"first": "x"})


@given(st.text() | st.text(st.characters(categories=["Cs"])))
def test_any_text_is_filled_in_or_refused(value: str) -> None:
    try:
        target = Template("/{value}").fill({"value": value}, {"value": value})
    except InvalidRequest:
        assert value in {"", ".", ".."} or any("\ud800" <= character <= "\udfff" for character in value)
    else:
        assert target.isascii()
        assert target.isprintable()
