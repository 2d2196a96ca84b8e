"""A body is JSON as RFC 8259 has it, or the answer is 400: never 500, and never a value that JSON does not have."""

import json
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from bff_core.edge.json_body import StrictRoute
from bff_core.testing import run
from tests.bff_core.small_gateway import HOST, Visit, small_gateway


class Wish(BaseModel):
    product: str
    count: int = 1


router = APIRouter(route_class=StrictRoute)


@router.post("/any")
async def anything(body: Annotated[Any, Body()]) -> Any:
    return body


@router.post("/wish")
async def wish(body: Wish) -> Wish:
    return body


APP = small_gateway(router)
JSON = (b"content-type", b"application/json")


async def post(path: str, body: bytes, *headers: tuple[bytes, bytes]) -> Visit:
    return await Visit(APP, path, method="POST", headers=[HOST, *(headers or [JSON])], body=[body]).end()


VALID = [
    b"{}", b"[]", b"null", b"true", b'""', b" \t\r\n[1 , 2]\n", b"-0", b"1E+2", b"0.1e-7",
    b'"\\ud83d\\ude00"', b'"\xc3\xa9"',
    b'"\\u0000"', b'{"a":1,"a":2}', b'{"":0}', b"[" * 60 + b"]" * 60, b"9007199254740993",
    b"-9223372036854775808", b'"\x7f"',
    '"\u2028\ufeff"'.encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", VALID)
async def test_valid_json_is_read_for_what_it_is(body: bytes) -> None:
    visit = await post("/any", body)
    assert visit.status == 200
    assert json.loads(visit.body) == json.loads(body)


MALFORMED = {
    "NaN": b"NaN",
    "infinity": b"[Infinity]",
    "minus infinity": b"[-Infinity]",
    "a lone leading surrogate": b'"\\ud800"',
    "a lone trailing surrogate": b'["\\udc00"]',
    "surrogates the wrong way round": b'"\\ude00\\ud83d"',
    "a surrogate in a name": b'{"\\ud800": 1}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "depth": b"[" * 100_000,
    "closed depth": b"[" * 100_000 + b"]" * 100_000,
    "depth of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "not UTF-8": b'"\xff"',
    "cut UTF-8": b'"\xe2\x82"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "UTF-16": "[1]".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf[]",
    "a comma too many": b"[1,]",
    "a comma too many in an object": b'{"a":1,}',
    "a comma too few": b"[1 2]",
    "two values": b"[][]",
    "half": b'{"a":',
    "single quotes": b"{'a':1}",
    "a bare name": b"{a:1}",
    "a comment": b"[1]//x",
    "a leading zero": b"[01]",
    "a plus": b"[+1]",
    "a bare point": b"[1.]",
    "hexadecimal": b"[0x1]",
    "a control character": b'"\x00"',
    "a line break in a string": b'"a\nb"',
    "an unknown escape": b'"\\x41"',
    "a form feed between": b"[\x0c]",
    "white space alone": b"  ",
    "True": b"True",
    "a zero byte": b"\x00",
}


@pytest.mark.parametrize("path", ["/any", "/wish"])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_json_is_a_malformed_request(path: str, body: bytes) -> None:
    visit = await post(path, body)
    assert visit.status == 400
    assert b'"type":"/problems/invalid-request"' in visit.body


@pytest.mark.parametrize("body", [b"9" * 5000, b"-" + b"9" * 100_000, b"1e999", b"-1e999", b"1" + b"0" * 400 + b".5"])
@pytest.mark.parametrize("path", ["/any", "/wish"])
async def test_a_huge_number_is_no_crash(path: str, body: bytes) -> None:
    for shape in (b"%s", b'{"product": "x", "count": %s}', b'{"product": %s}'):
        visit = await post(path, shape % body)
        assert visit.status in {200, 400, 422}
        assert b"Infinity" not in visit.body


async def test_no_body_where_one_is_needed_is_not_valid() -> None:
    visit = await post("/wish", b"")
    assert visit.status == 422
    assert b'"field":"body"' in visit.body


async def test_valid_json_of_the_wrong_shape_is_not_valid_and_names_the_field() -> None:
    visit = await post("/wish", b'{"product": "x", "count": "many"}')
    assert visit.status == 422
    assert json.loads(visit.body)["errors"][0]["field"] == "body.count"


@pytest.mark.parametrize(
    "media_type", [b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON", b"application/x+json"]
)
async def test_json_by_any_of_its_names_is_read(media_type: bytes) -> None:
    assert (await post("/wish", b'{"product": "x"}', (b"content-type", media_type))).status == 200


@pytest.mark.parametrize(
    "media_type", [b"text/plain", b"application/x-www-form-urlencoded", b"", b"json", b"\xff/\xff"]
)
async def test_what_does_not_say_that_it_is_json_is_an_unsupported_media_type(media_type: bytes) -> None:
    for headers in ([(b"content-type", media_type)], [(b"content-type-", media_type)]):
        visit = await post("/wish", b'{"product": "x"}', *headers)
        assert visit.status == 415
        assert b'"type":"/problems/invalid-request"' in visit.body


@given(st.binary() | st.text('{}[]",:0123456789.eE+-truefalsn\\ud800 ').map(str.encode))
@example(b'{"product": "x", "count": 1}')
def test_no_body_whatsoever_is_a_crash(body: bytes) -> None:
    async def both() -> None:
        for path in ("/any", "/wish"):
            assert (await post(path, body)).status in {200, 400, 422}

    run(both())
