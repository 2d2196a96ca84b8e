"""The index of paths finds what Starlette's regular expressions find, in their order."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.routing import compile_path

from bff_core.edge.path_index import PathIndex, holes, is_plain, literal_beginning

segments = st.sampled_from(["", "a", "b", "a.b", "a+", "(", "é", "{}"])
templates = st.lists(segments, min_size=1, max_size=4).map(
    lambda found: "".join(f"/{segment.replace('{}', f'{{h{place}}}')}" for place, segment in enumerate(found))
)
paths = st.one_of(
    st.lists(
        st.sampled_from(["", "a", "b", "a.b", "axb", "a+", "aa", "(", "é", "{}", "\n", "a\n", "%2F"]), max_size=5
    ).map(lambda found: "".join(f"/{segment}" for segment in found)),
    st.text(alphabet="/ab.\n{}", max_size=8),
)


def first_that_fits(known: list[str], path: str) -> tuple[dict[str, str], int] | None:
    for place, template in enumerate(known):
        if match := compile_path(template)[0].match(path):
            return match.groupdict(), place
    return None


def index_of(known: list[str]) -> PathIndex[int]:
    index: PathIndex[int] = PathIndex()
    for place, template in enumerate(known):
        assert is_plain(template)
        index.add(template, place)
    return index


@given(st.lists(templates, max_size=8), paths)
@example(["/a", "/{h0}"], "/a\n")
@example(["/{h0}/a", "/a/{h1}"], "/a/a")
@example(["/a/{h1}", "/{h0}/a"], "/a/a")
@example(["/{h0}", "/{h1}"], "/a")
def test_what_is_found_is_what_the_first_regular_expression_finds(known: list[str], path: str) -> None:
    expected = None if path.endswith("\n") else first_that_fits(known, path)
    assert index_of(known).find(path) == expected


class Counting(dict[Any, Any]):
    looks = 0

    def get(self, *args: Any) -> Any:
        Counting.looks += 1
        return super().get(*args)


def count_in(node: Any) -> None:
    node.next = Counting(node.next)
    for following in node.next.values():
        count_in(following)


def looks(known: list[str], path: str) -> int:
    index = index_of(known)
    count_in(index._root)
    Counting.looks = 0
    assert index.find(path) is not None
    return Counting.looks


@pytest.mark.parametrize("path", ["/things7/one", "/things7/one/parts/two"])
def test_a_thousand_routes_cost_as_much_as_ten(path: str) -> None:
    def routes(number: int) -> list[str]:
        return [f"/things{n}/{{thing}}{more}" for n in range(number) for more in ("", "/parts/{part}")]

    assert looks(routes(500), path) == looks(routes(10), path) <= 10


@pytest.mark.parametrize(
    ("template", "plain"),
    [
        ("/", True),
        ("/a/{b}", True),
        ("/a/{b}/", True),
        ("//", True),
        ("", False),
        ("a", False),
        ("/{b:path}", False),
        ("/{b:int}", False),
        ("/a{b}", False),
        ("/{b}c", False),
        ("/{b}{c}", False),
    ],
)
def test_a_plain_template_has_whole_segments_for_holes(template: str, plain: bool) -> None:
    assert is_plain(template) == plain


def test_a_template_knows_its_holes_and_how_it_begins() -> None:
    assert (holes("/a/{b}/{c}"), literal_beginning("/a/{b}/{c}")) == ({"b", "c"}, "/a/")
    assert (holes("/a"), literal_beginning("/a")) == (frozenset(), "/a")
