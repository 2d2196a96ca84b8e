"""A key is told from nonsense by how it is written."""

import string
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff_core.auth.key_format import LONGEST, begins_key, new_key, read_key
from bff_core.auth.key_refusals import KeyRefused
from bff_core.auth.peppers import Peppers

KEY = new_key("live")
ENVIRONMENTS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=16)


@given(ENVIRONMENTS)
def test_what_is_made_can_be_read(environment: str) -> None:
    key = new_key(environment)
    assert read_key(key.text) == key
    assert key.environment == environment
    assert begins_key(f"/v1/{key.text}/x") == key.id


def test_a_key_is_written_as_it_is_documented() -> None:
    prefix, environment, key_id, secret, checksum = KEY.text.split("_")
    assert (prefix, environment, key_id) == ("bff", "live", KEY.id)
    assert (len(key_id), len(secret), len(checksum)) == (12, 43, 6)
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    number = 0
    for digit in checksum:
        number = number * 62 + digits.index(digit)
    assert number == crc32(KEY.text.rpartition("_")[0].encode())


def test_every_change_of_one_character_is_seen() -> None:
    for place, was in enumerate(KEY.text):
        for other in string.printable + "\0\u0660\u00e9":
            if other != was:
                with pytest.raises(KeyRefused):
                    read_key(KEY.text[:place] + other + KEY.text[place + 1 :])


def test_characters_that_are_missing_doubled_or_swapped_are_seen() -> None:
    for place in range(len(KEY.text) - 1):
        one, two = KEY.text[place], KEY.text[place + 1]
        without = KEY.text[:place] + KEY.text[place + 1 :]
        doubled = KEY.text[:place] + one + KEY.text[place:]
        swapped = KEY.text[:place] + two + one + KEY.text[place + 2 :]
        for wrong in {without, doubled, swapped} - {KEY.text}:
            with pytest.raises(KeyRefused):
                read_key(wrong)


@given(st.text() | st.text(string.ascii_letters + "_", min_size=69, max_size=LONGEST).map("bff_".__add__))
def test_nonsense_is_refused_and_never_quoted(text: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        read_key(text)
    assert len(text) < 8 or text not in str(refused.value)


@pytest.mark.parametrize("around", ["{}\n", " {}", "{} ", "{}\0", "{}_", "_{}"])
def test_nothing_may_stand_around_a_key(around: str) -> None:
    with pytest.raises(KeyRefused):
        read_key(around.format(KEY.text))


def test_no_two_keys_are_alike() -> None:
    keys = [new_key("live") for _ in range(1000)]
    assert len({key.id for key in keys}) == len({key.text.split("_")[3] for key in keys}) == 1000


def test_a_key_that_is_shown_in_a_traceback_hides_its_secret() -> None:
    assert KEY.text.split("_")[3] not in f"{KEY!r} {KEY}"


def test_only_the_whole_key_has_its_hash() -> None:
    old, new = Peppers([b"o" * 32]), Peppers([b"n" * 32, b"o" * 32])
    pepper, digest = old.hash(KEY.text)
    assert new.prove(KEY.text, pepper, digest)
    assert not new.prove(KEY.text + "x", pepper, digest)
    assert not new.prove(KEY.text, new.hash(KEY.text)[0], digest)
    assert new.hash(KEY.text)[0] not in old
    assert not old.prove(KEY.text, *new.hash(KEY.text))
