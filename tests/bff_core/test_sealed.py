"""What is sealed opens for nobody else, under no other name, and for no other purpose."""

import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.auth.sealed import Bound, Sealed

OLD, NEW, OTHER = (os.urandom(32) for _ in range(3))
SEALED = Sealed([NEW], "session")


@given(name=st.text(max_size=50), content=st.binary(max_size=200))
def test_what_is_sealed_opens_under_its_name(name: str, content: bytes) -> None:
    assert SEALED.open(name, SEALED.seal(name, content)) == content
    assert SEALED.open_text(name, SEALED.seal_text(name, content)) == content


def test_it_opens_under_no_other_name_and_for_no_other_purpose_and_by_no_other_key() -> None:
    sealed = SEALED.seal("ada", b"tokens")
    assert SEALED.open("bob", sealed) is None
    assert SEALED.open("", sealed) is None
    assert Sealed([NEW], "login").open("ada", sealed) is None
    assert Sealed([OTHER], "session").open("ada", sealed) is None


def test_not_one_bit_of_it_can_be_changed() -> None:
    sealed = SEALED.seal("ada", b"tokens")
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            assert SEALED.open("ada", bytes(changed)) is None
    for length in range(len(sealed)):
        assert SEALED.open("ada", sealed[:length]) is None
    assert SEALED.open("ada", sealed + b"\0") is None


@given(st.binary(max_size=100))
def test_what_is_not_ours_is_nothing(garbage: bytes) -> None:
    assert SEALED.open("ada", garbage) is None
    # with a head of ours it is looked at more closely
    assert SEALED.open("ada", SEALED.seal("ada", b"")[:9] + garbage) is None


@given(st.text(max_size=60) | st.text(alphabet=string.ascii_letters + string.digits + "-_=+/", max_size=60))
def test_text_that_is_not_ours_is_nothing(garbage: str) -> None:
    assert SEALED.open_text("ada", garbage) is None


@pytest.mark.parametrize("content", [b"", b"x" * 2000])
def test_text_fits_a_cookie_and_has_one_spelling(content: bytes) -> None:
    text = SEALED.seal_text("ada", content)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert len(text) <= (37 + len(content)) * 4 / 3 + 1
    assert SEALED.open_text("ada", text + " ") is None
    assert SEALED.open_text("ada", text.lower()) is None


def test_the_same_is_never_sealed_the_same_way() -> None:
    assert len({SEALED.seal("ada", b"tokens") for _ in range(1000)}) == 1000


def test_nothing_of_the_content_or_the_name_is_to_be_seen() -> None:
    sealed = SEALED.seal("name-of-a-session", b"refresh-token")
    assert b"refresh" not in sealed
    assert b"name" not in sealed


def test_keys_are_changed_one_process_after_another_and_nothing_is_lost() -> None:
    before, meanwhile, after = Sealed([OLD], "s"), Sealed([OLD, NEW], "s"), Sealed([NEW, OLD], "s")
    sealers = [before, meanwhile, after]
    for sealer in sealers[:2]:
        assert [opener.open("ada", sealer.seal("ada", b"1")) for opener in sealers] == [b"1"] * 3
    assert [opener.open("ada", after.seal("ada", b"1")) for opener in sealers] == [None, b"1", b"1"]
    assert Sealed([NEW], "s").open("ada", before.seal("ada", b"1")) is None


def test_a_value_is_proven_by_what_was_said_of_it_and_by_nothing_else() -> None:
    bound = Bound([NEW], "csrf")
    said = bound.bound("session 1")
    assert len(said) == 43
    assert bound.proves("session 1", said)
    assert not bound.proves("session 2", said)
    assert not Bound([NEW], "other").proves("session 1", said)
    assert not Bound([OTHER], "csrf").proves("session 1", said)
    for wrong in ("", said[:-1], said + "=", said.swapcase(), "\u00e9" * 43, "\ud800" * 43):
        assert not bound.proves("session 1", wrong)


def test_what_an_older_key_has_said_still_proves() -> None:
    said = Bound([OLD], "csrf").bound("session 1")
    assert Bound([NEW, OLD], "csrf").proves("session 1", said)
    assert Bound([NEW, OLD], "csrf").bound("session 1") == Bound([NEW], "csrf").bound("session 1")


def test_what_is_bound_tells_nothing_of_what_is_sealed_by_the_same_key() -> None:
    assert Bound([NEW], "session").bound("ada") not in SEALED.seal_text("ada", b"")
