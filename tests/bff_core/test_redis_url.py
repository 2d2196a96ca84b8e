"""A URL of Redis says where it is, and what is wrong with it is said without a password."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bff_core.redis_url import RedisUrl
from bff_core.session_settings import SessionSettings
from tests.bff_core.authority import files_of


def test_a_url_says_where_it_is_and_who_we_are() -> None:
    url = RedisUrl.parse("redis://web:p%40ss%2Fword@redis.internal:6380/3")
    assert (url.host, url.port, url.database) == ("redis.internal", 6380, 3)
    assert (url.user, url.password, url.tls) == ("web", "p@ss/word", None)


def test_what_is_not_said_is_as_usual() -> None:
    url = RedisUrl.parse("redis://[::1]")
    assert (url.host, url.port, url.database, url.user, url.password) == ("::1", 6379, 0, None, None)
    assert RedisUrl.parse("redis://:secret@h").password == "secret"


def test_a_socket_has_a_path() -> None:
    url = RedisUrl.parse("unix://web:secret@/run/my%20redis.sock?db=2")
    assert (url.host, url.place, url.database, url.password) == (None, "/run/my redis.sock", 2, "secret")


def test_tls_is_verified_by_whom_it_says(tmp_path: Path) -> None:
    files = files_of(tmp_path, "web.test")
    url = RedisUrl.parse("rediss://h:6380?" + "&".join(f"{name}={path}" for name, path in files.items()))
    assert url.tls
    assert url.tls.model_dump(exclude={"server_name"}) == files
    assert RedisUrl.parse("rediss://h").tls


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://:secret@h", "is no URL of Redis"),
        ("redis:", "says no place"),
        ("redis://:secret@", "says no place"),
        ("unix://secret/run/redis.sock", "says no place"),
        ("unix:", "says no place"),
        ("redis://:sec/ret@h:1", "is no URL of Redis"),
        ("redis://:secret@h:0", "is no URL of Redis"),
        ("redis://:secret@h:65536", "is no URL of Redis"),
        ("redis://:sec ret@h", "is no URL of Redis"),
        ("redis://:sec#ret@h", "is no URL of Redis"),
        ("redis://:secret@[h", "is no URL of Redis"),
        ("redis://:secret@h/shop", "names a database that is no number"),
        ("redis://:secret@h/-1", "names a database that is no number"),
        ("redis://:secret@h?ssl_cert_reqs=none", "holds an option that there is not: ssl_cert_reqs"),
        ("rediss://:secret@h?ssl_cert_reqs=none", "holds an option that there is not: ssl_cert_reqs"),
        ("redis://:secret@h?ca=/ca.pem", "holds an option that there is not: ca"),
        ("rediss://:secret@h?ca=ca.pem", "ca: 'ca.pem' is relative"),
        ("rediss://:secret@h?ca=/there/is/none.pem", "ca: /there/is/none.pem: No such file"),
    ],
)
def test_what_is_wrong_is_said_and_never_the_password(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")) as caught:
        RedisUrl.parse(text)
    assert "sec" not in str(caught.value).replace("ssl_cert_reqs", "")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_who_looks_at_a_url_sees_no_secret() -> None:
    url = RedisUrl.parse("redis://web:secret@h/0")
    assert str(url) == "h:6379"
    assert "secret" not in repr(url)


def test_a_url_that_is_wrong_stops_the_start() -> None:
    settings = {
        "origin": "https://shop.test",
        "issuer": "https://id.test",
        "client_id": "web",
        "client_secret": "shh",
        "keys": SecretStr("A" * 43 + "="),
    }
    assert SessionSettings(**settings, store="redis://:pass@h/0").is_shared
    with pytest.raises(ValidationError, match="names a database that is no number") as caught:
        SessionSettings(**settings, store="redis://:pass@h/shop")
    assert "pass" not in caught.value.errors()[0]["msg"]
