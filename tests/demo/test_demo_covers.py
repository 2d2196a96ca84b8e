"""The pictures of a book."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.books import handwritten
from demo.covers import DRAWINGS, draw
from demo.lettering import width, wrapped

SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"front": "0 0 600 800", "back": "0 0 600 800", "spread": "0 0 1200 800"}
PLAIN = {
    "id": "x",
    "title": "X",
    "subtitle": None,
    "authors": ["A. Writer"],
    "publisher": "P",
    "published": "2006",
    "pages": 5,
    "isbn": "9781932394580",
    "subjects": ["java"],
    "about": "About it.",
}


@pytest.mark.parametrize("kind", DRAWINGS)
async def test_a_cover_is_an_svg_with_a_title_and_nothing_from_elsewhere(visit, kind):
    reply = await visit("catalog").get(f"/covers/pojos-in-action/{kind}.svg")
    assert reply.headers["content-type"] == "image/svg+xml"
    assert reply.headers["cache-control"] == "public, max-age=86400"
    picture = ET.fromstring(reply.text)
    assert picture.get("viewBox") == SIZES[kind]
    assert "POJOs in Action" in picture.findtext(f"{SVG}title")
    assert not list(picture.iter(f"{SVG}script"))
    assert "href" not in reply.text


@pytest.mark.parametrize("kind", DRAWINGS)
@given(text=st.text(min_size=1) | st.sampled_from(['<&">', "</text><script>", "]]>", "\x00\x0b\ufffe", "W" * 300]))
def test_any_words_make_a_well_formed_picture(kind, text):
    words = {"title": text, "subtitle": text, "authors": [text], "about": text, "publisher": text, "subjects": [text]}
    picture = ET.fromstring(draw(PLAIN | words, kind))
    assert not list(picture.iter(f"{SVG}script"))


def test_every_word_of_title_and_subtitle_and_all_authors_are_on_the_front():
    for book in handwritten():
        facts = PLAIN | {"id": book.id, "title": book.title, "subtitle": book.subtitle, "authors": book.authors}
        printed = " ".join(ET.fromstring(draw(facts, "front")).itertext()).split()
        assert {*book.title.split(), *(book.subtitle or "").split()} <= set(printed)
        assert {author.split()[-1] for author in book.authors} <= {word.rstrip(",") for word in printed}


def test_two_books_never_look_the_same():
    pictures = {draw(PLAIN | {"id": f"book-{number}"}, "front") for number in range(100)}
    assert len(pictures) == 100


@given(st.text(alphabet="abc WIM-", max_size=200))
def test_wrapped_lines_fit_unless_one_word_is_too_long_and_lose_nothing(text):
    lines = wrapped(text, 20, 200)
    assert " ".join(lines).split() == text.split()
    assert all(width(line, 20) <= 200 or len(line.split()) == 1 for line in lines)
