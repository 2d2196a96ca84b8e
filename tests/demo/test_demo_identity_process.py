"""The identity provider as a process of its own, over sockets."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.identity import ACME, APP, ASKED, VERIFIER, WEB, Visitor, returned
from tests.processes import process

pytestmark = pytest.mark.real


@contextmanager
def started(folder: Path, *words: object) -> Iterator[str]:
    """The provider; its address."""
    with process("-m", "demo", "identity", "--port", "0", "--data", str(folder), *map(str, words)) as child:
        name, address = child.stdout.readline().split()
        assert name == "identity"
        yield address


async def logged_in(http: httpx.AsyncClient) -> dict[str, str]:
    code = await Visitor(http).code("alice")
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    form |= {"redirect_uri": ASKED["redirect_uri"]}
    return (await http.post("/token", data=form, auth=WEB)).json()


async def test_a_user_logs_in_over_real_sockets_and_keys_outlive_the_process(tmp_path):
    with started(tmp_path, "--access-token-lifetime", 30) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            said = (await http.get("/.well-known/openid-configuration")).json()
            tokens = await logged_in(http)
            answer = returned(await Visitor(http).open(APP))
    with started(tmp_path) as again, httpx.Client(base_url=again) as http:
        keys = KeySet.import_key_set(http.get("/jwks").json())

    assert said["issuer"] == answer["iss"] == address
    claims = jwt.decode(tokens["access_token"], keys, algorithms=["ES256"]).claims
    assert (claims["iss"], claims["sub"], claims["exp"] - claims["iat"]) == (address, "alice", 30)


class Receiver(BaseHTTPRequestHandler):
    """A client's end of back-channel logout."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard = parse_qs(body.decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_other_clients_and_another_issuer_are_told_at_the_start_and_logouts_arrive(tmp_path, receiver):
    clients = tmp_path / "clients.toml"
    clients.write_text(f"""
        [web]
        name = "a test"
        secret = "{WEB[1]}"
        grants = ["authorization_code"]
        scopes = ["openid"]
        redirect_uris = ["{ASKED["redirect_uri"]}"]
        backchannel_logout_uri = "http://127.0.0.1:{receiver.server_port}/logout"
    """)
    with started(tmp_path, "--clients", clients, "--issuer", "http://id.test") as address:
        async with httpx.AsyncClient(base_url=address) as http:
            assert (await http.get("/.well-known/openid-configuration")).json()["issuer"] == "http://id.test"
            assert (await http.post("/token", auth=ACME, data={"grant_type": "client_credentials"})).status_code == 401
            assert (await logged_in(http))["scope"] == "openid"
            reply = await http.post("/_logout_user/alice")
            keys = KeySet.import_key_set((await http.get("/jwks")).json())
    assert reply.json() == {"sessions": 1, "told": [{"web": "told"}]}
    (token,) = receiver.heard["logout_token"]
    assert jwt.decode(token, keys, algorithms=["ES256"]).claims["iss"] == "http://id.test"


async def test_a_client_that_has_another_name_among_containers_is_told_there(tmp_path, receiver):
    place = f"web=http://127.0.0.1:{receiver.server_port}/logout"
    with started(tmp_path, "--logouts", place) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            await logged_in(http)
            assert (await http.post("/_logout_user/alice")).json()["told"] == [{"web": "told"}]
    assert list(receiver.heard) == ["logout_token"]


async def test_a_client_that_is_gone_is_one_line_in_the_log(tmp_path):
    command = [sys.executable, "-m", "demo", "identity", "--port", "0", "--data", str(tmp_path)]
    clients = tmp_path / "clients.toml"
    clients.write_text(f"""
        [web]
        name = "a test"
        secret = "{WEB[1]}"
        grants = ["authorization_code"]
        scopes = ["openid"]
        redirect_uris = ["{ASKED["redirect_uri"]}"]
        backchannel_logout_uri = "http://127.0.0.1:1/logout"
    """)
    command += ["--clients", str(clients)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        address = child.stdout.readline().split()[1]
        async with httpx.AsyncClient(base_url=address) as http:
            await logged_in(http)
            assert (await http.post("/_logout_user/alice")).json()["told"] == [{"web": "ConnectError"}]
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=10)
    assert child.returncode == 0
    assert said == "identity: web was not told of a logout: ConnectError\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--issuer", "http://a/b"], "'http://a/b' is no issuer; write it like http://127.0.0.1:7008"),
        (["--relay-jwks", "x"], "--relay-jwks: 'x' is no place for keys; write it like web=http://127.0.0.1:9000/jwks"),
        (
            ["--logouts", "no=http://a/"],
            "--logouts: 'no=http://a/' is no client and its URL, like web=http://web:8000/logout/backchannel",
        ),
        (
            ["--logouts", "web=a"],
            "--logouts: 'web=a' is no client and its URL, like web=http://web:8000/logout/backchannel",
        ),
        (["--clients", "nowhere.toml"], "nowhere.toml: No such file or directory"),
        (
            ["--instances", "identity=2"],
            "--instances identity=2: there is no service 'identity'; there are catalog, .*",
        ),
    ],
)
def test_what_makes_no_sense_is_one_clear_line_and_exit_code_1(tmp_path, words, reason):
    command = [sys.executable, "-m", "demo", "identity", "--port", "0", "--data", str(tmp_path), *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(f"demo: {reason}\n", run.stderr)


def test_orders_is_told_whom_to_trust_by_an_option_or_by_the_environment(tmp_path):
    words = ("-m", "demo", "orders", "--port", "0", "--data", str(tmp_path))
    place = "web=http://127.0.0.1:1/jwks,http://127.0.0.1:2/jwks"
    for more, env in ((("--relay-jwks", place), {}), ((), {"DEMO_RELAY_JWKS": place})):
        with process(*words, *more, env=env) as child:
            address = child.stdout.readline().split()[1]
            path = "/customers/alice/purchases?product_id=pojos-in-action"
            assert httpx.get(f"{address}{path}").json()["error"] == "unauthenticated"


def test_beside_the_store_there_is_one_provider_however_many_instances_there_are(tmp_path):
    words = ("-m", "demo", "orders", "identity", "--instances", "2", "--port", "0", "--data", str(tmp_path))
    with process(*words) as child:
        addresses = dict(child.stdout.readline().split() for _ in range(3))
        assert list(addresses) == ["orders", "orders-2", "identity"]
        assert httpx.get(f"{addresses['identity']}/health").json()["service"] == "identity"
