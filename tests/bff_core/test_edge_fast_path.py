"""Pages that are answered without FastAPI's router are answered as FastAPI answers them, byte for byte."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import Enum
from functools import wraps
from itertools import count
from typing import Annotated, Any
from urllib.parse import quote

import pytest
import uvloop
from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import HTTPBearer
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match, Mount, Route
from starlette.types import Scope

from bench.page.app import create as bench
from bff_core.edge.fast_path import FastPath, _compiled
from bff_core.edge.json_body import StrictRoute
from bff_core.errors import Forbidden
from bff_core.settings import load
from bffs.mobile.app import create as mobile
from bffs.public_api.app import create as public_api
from bffs.web.app import create as web
from tests.bff_core.small_gateway import HOST, Visit, small_gateway
from tests.processes import ROOT
from tests.store import told

router = APIRouter(route_class=StrictRoute)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Thing(BaseModel):
    name: str = Field(serialization_alias="title")
    weight: float | None = None
    size: int = 1


class Filters(BaseModel):
    model_config = {"extra": "forbid"}
    limit: int = Field(10, le=100)
    tags: list[str] = []


Slug = Annotated[str, Path(max_length=10, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


# Paths


@router.get("/plain")
async def plain() -> dict[str, str]:
    return {"a": "b"}


@router.get("/")
async def root() -> str:
    return "root"


@router.get("/things/{thing}")
async def thing(thing: Slug) -> Any:
    return {"thing": thing}


@router.get("/things/special")
async def shadowed() -> str:
    raise AssertionError("the one before takes it")


@router.get("/things/{thing}/")
async def with_a_slash(thing: str) -> Any:
    return {"slash": thing}


@router.post("/things/{thing}")
async def change(thing: str, body: dict[str, Any]) -> Any:
    return [thing, body]


@router.get("/first/special")
async def special() -> str:
    return "special"


@router.get("/first/{name}")
async def general(name: str) -> str:
    return name


@router.get("/{section}/general")
async def in_any_section(section: str) -> str:
    return section


@router.get("/numbers/{number}/{colour}")
async def number(number: Annotated[int, Path(ge=1)], colour: Colour) -> Any:
    return [number, colour]


@router.get("/files/{path:path}")
async def file(path: str) -> Any:
    return {"file": path}


@router.get("/files/a/{name}")
async def behind_files(name: str) -> str:
    raise AssertionError("the one before takes it")


@router.get("/typed/{number:int}")
async def typed(number: int, request: Request) -> Any:
    return repr(request.path_params)


@router.get("/typed/{name}")
async def untyped(name: str, request: Request) -> Any:
    return repr(request.path_params)


@router.get("/part-{name}")
async def part(name: str) -> str:
    return name


@router.get("/part-a")
async def behind_part() -> str:
    raise AssertionError("the one before takes it")


@router.get("/unnamed/{name}")
async def unnamed(other: Annotated[str, Path(alias="name")]) -> str:
    return other


@router.get("/missing")
async def not_in_the_template(name: Annotated[str, Path()]) -> str:
    return name


@router.websocket("/both")
async def talk(websocket: Any) -> None:
    raise AssertionError("nobody talks")


@router.get("/both")
async def both() -> str:
    return "both"


# Queries


@router.get("/query")
async def query(
    number: int = 1,
    text: str | None = None,
    many: Annotated[list[str] | None, Query()] = None,
    flag: bool = False,
    colour: Colour = Colour.RED,
    named: Annotated[str, Query(alias="other-name", max_length=5)] = "",
) -> Any:
    return [number, text, many, flag, colour, named]


@router.get("/needed/{name}")
async def needed(name: str, number: Annotated[int, Query(le=10)], text: str) -> Any:
    return [name, number, text]


@router.get("/filters")
async def filters(filters: Annotated[Filters, Query()]) -> Any:
    return filters


@router.get("/changing")
async def changing(many: Annotated[list[str], Query()] = ["a"]) -> Any:  # noqa: B006
    many.append("b")
    return many


@router.get("/made")
async def made(many: Annotated[list[str], Query(default_factory=list)]) -> Any:
    many.append("b")
    return many


@router.get("/checked")
async def checked(text: Annotated[str, AfterValidator(str.upper), Query(validate_default=True)] = "a") -> str:
    return text


@router.get("/headers")
async def headers(x_token: Annotated[str, Header()] = "none", session: Annotated[str | None, Cookie()] = None) -> Any:
    return [x_token, session]


# Dependencies


async def counted(request: Request) -> int:
    request.state.calls = getattr(request.state, "calls", 0) + 1
    return request.state.calls


async def twice(first: Annotated[int, Depends(counted)], second: Annotated[int, Depends(counted)]) -> Any:
    return [first, second]


async def again(number: Annotated[int, Depends(counted, use_cache=False)]) -> int:
    return number


async def asks(request: Request, thing: Slug, limit: Annotated[int, Query(ge=0)] = 5) -> Any:
    return [thing, limit, request.url.path]


async def refuses(request: Request, kind: str = "") -> None:
    if kind == "http":
        raise HTTPException(418, "teapot", {"x-tea": "green"})
    if kind.isdigit():
        raise HTTPException(int(kind))
    if kind == "ours":
        raise Forbidden("no")
    if kind == "validation":
        raise RequestValidationError([{"loc": ("query", "kind"), "msg": "bad", "type": "value_error"}])
    if kind == "late validation":
        raise Stricter([{"loc": ("query", "kind", 1), "msg": "bad", "type": "value_error"}])
    if kind == "bug":
        raise ZeroDivisionError


class Stricter(RequestValidationError):
    pass


def sync_dependency() -> str:
    return "sync"


async def yielding() -> AsyncIterator[str]:
    yield "yielded"


class Counter:
    async def __call__(self, number: int = 3) -> int:
        return number


def wrapped_around(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


@router.get("/nested")
async def nested(a: Annotated[Any, Depends(twice)], b: Annotated[int, Depends(counted)]) -> Any:
    return [a, b]


@router.get("/uncached")
async def uncached(a: Annotated[int, Depends(counted)], b: Annotated[int, Depends(again)]) -> Any:
    return [a, b]


@router.get("/asks/{thing}")
async def asking(found: Annotated[Any, Depends(asks)], thing: str) -> Any:
    return [found, thing]


@router.get("/refused", dependencies=[Depends(refuses)])
async def refused(counted: Annotated[int, Depends(counted)]) -> int:
    return counted


@router.get("/refused-late")
async def refused_late(kind: str = "") -> Any:
    await refuses(None, kind)  # type: ignore[arg-type]
    return kind


@router.get("/invalid-behind-refused/{number}", dependencies=[Depends(refuses)])
async def invalid_behind_refused(number: int) -> int:
    return number


@router.get("/sync-dependency")
async def with_sync(a: Annotated[str, Depends(sync_dependency)]) -> str:
    return a


@router.get("/yielding")
async def with_yield(a: Annotated[str, Depends(yielding)]) -> str:
    return a


@router.get("/callable")
async def with_callable(a: Annotated[int, Depends(Counter())]) -> int:
    return a


@router.get("/secured")
async def secured(a: Annotated[Any, Depends(HTTPBearer(auto_error=False))]) -> Any:
    return a


@router.get("/wrapped")
@wrapped_around
async def wrapped(number: int = 1) -> Any:
    return number


@router.get("/scoped")
async def scoped(
    a: Annotated[int, Depends(counted, scope="function")], b: Annotated[int, Depends(counted, scope="request")]
) -> Any:
    return [a, b]


# Replies


@router.get("/model", response_model_exclude_none=True)
async def model() -> Thing:
    return Thing(name="a")


@router.get("/model-by-name", response_model=Thing, response_model_by_alias=False, response_model_exclude={"size"})
async def model_by_name() -> Any:
    return {"name": "a", "weight": 1.5, "more": 1}


@router.get("/model-unset", response_model_exclude_unset=True)
async def model_unset() -> Thing:
    return Thing(name="a", size=2)


@router.get("/model-wrong")
async def model_wrong() -> Thing:
    return {"name": []}  # type: ignore[return-value]


@router.get("/no-json")
async def no_json() -> Any:
    return float("nan")


@router.get("/nothing")
async def nothing() -> None:
    return None


@router.get("/own")
async def own() -> JSONResponse:
    return JSONResponse({"a": 1}, 202, {"x-own": "yes"})


@router.get("/empty")
async def empty() -> Response:
    return Response(status_code=204)


class NoContent(Response):
    def __init__(self, content: Any, **more: Any) -> None:
        super().__init__(b"never seen", 204, **more)


@router.get("/no-content", response_class=NoContent)
async def no_content() -> Any:
    return None


@router.get("/text", response_class=PlainTextResponse)
async def text() -> Any:
    return "text"


@router.get("/html", response_class=HTMLResponse)
async def html() -> Any:
    return "<p>"


@router.get("/moved", response_class=RedirectResponse)
async def moved() -> Any:
    return "/plain"


@router.get("/created", status_code=201)
async def created() -> Any:
    return 1


@router.get("/sync")
def sync() -> str:
    return "sync"


@router.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    tasks.add_task(asyncio.sleep, 0)
    return "later"


@router.get("/response")
async def response(response: Response) -> str:
    response.headers["x-more"] = "1"
    response.status_code = 203
    return "more"


@router.get("/stream")
async def stream() -> AsyncIterator[int]:
    for number in range(3):
        yield number


@router.get("/request/{name}")
async def request(request: Request, name: str) -> Any:
    body = await request.json() if request.headers.get("content-type") else None
    return [
        str(request.url),
        request.url_for("thing", thing="a").path,
        dict(request.path_params),
        request.query_params.multi_items(),
        request.scope["endpoint"].__name__,
        request.scope["route"].path,
        body,
    ]


# Routers within routers, and kinds of routes that nobody knows

inner = APIRouter(prefix="/{tenant}", dependencies=[Depends(refuses)])


@inner.get("/page/{name}")
async def inner_page(tenant: str, name: Slug, number: int = 1) -> Any:
    return [tenant, name, number]


@inner.get("")
async def inner_root(tenant: str) -> str:
    return tenant


class Odd(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def odd(request: Request) -> Response:
            response = await handler(request)
            response.headers["x-odd"] = "yes"
            return response

        return odd


class Greedy(APIRoute):
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["path"].startswith("/greedy"):
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}
        return super().matches(scope)


async def below(request: Request) -> Response:
    return PlainTextResponse(f"below {request.url.path} {request.path_params}")


@router.get("/below/page")
async def before_below() -> str:
    return "before"


def with_everything(order: int, **about: Any) -> FastAPI:
    """The pages in one of three orders of what overlaps."""
    app = small_gateway(APIRouter())
    odd = APIRouter(route_class=Odd)
    odd.add_api_route("/odd", plain)
    greedy = APIRouter(route_class=Greedy)
    greedy.add_api_route("/greed", root)
    nested = APIRouter(prefix="/t")
    nested.include_router(inner)
    late = APIRouter()
    late.add_api_route("/below/late", plain)
    late.add_api_route("/greedy/late", plain)
    late.add_api_route("/t/late/page/{name}", general)
    below_it = Mount("/below", Starlette(routes=[Route("/{path:path}", below)]))
    parts: list[Callable[[], Any]] = [
        lambda: app.include_router(odd),
        lambda: app.include_router(nested),
        lambda: app.include_router(router),
        lambda: app.router.routes.append(below_it),
        lambda: app.include_router(late),
        lambda: app.include_router(greedy),
    ]
    for place in range(len(parts)):
        parts[place * [1, 5, 1][order] % len(parts) if order < 2 else (place + 4) % len(parts)]()
    app.add_route("/starlette/{name}", below)
    return app


def without_it(app: FastAPI) -> FastAPI:
    app.user_middleware = [layer for layer in app.user_middleware if layer.cls is not FastPath]
    return app


def varied(kind: str, order: int) -> FastAPI:
    app = with_everything(order)
    if kind == "overridden":
        app.dependency_overrides[counted] = sync_dependency
    if kind == "handled":
        app.add_exception_handler(ZeroDivisionError, own_handler)
    if kind == "handled otherwise":
        app.add_exception_handler(StarletteHTTPException, own_handler)
    if kind == "handled by status":
        app.add_exception_handler(418, own_handler)
    return app


async def own_handler(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"own {type(error).__name__}", 299)


KINDS = ["plain", "overridden", "handled", "handled otherwise", "handled by status"]
BOTH = {(kind, order): (varied(kind, order), without_it(varied(kind, order))) for kind in KINDS for order in range(3)}

TEMPLATES = sorted(
    {
        *(route.path for route in router.routes),  # type: ignore[attr-defined]
        *("/t/{a}/page/{b}", "/t/{a}", "/odd", "/greed", "/greedy/{a}", "/below/{a}", "/below", "/starlette/{a}"),
        "/nowhere",
        "/openapi.json",
    }
)
values = st.one_of(
    st.sampled_from(
        ["a", "b-1", "1", "0", "-1", "1.5", "red", "special", "late", "general", "A", "é", "", ".", "..", "a/b"]
    ),
    st.text(alphabet="ab1/-\n é%", max_size=4),
)


@st.composite
def targets(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from(TEMPLATES))
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + draw(values) + rest.partition("}")[2]
    return path + draw(st.sampled_from(["", "", "", "", "/", "//", "\n", "/a"]))


names = st.sampled_from(
    ["number", "text", "many", "flag", "colour", "other-name", "limit", "tags", "kind", "thing", "x"]
)
asked = st.one_of(
    st.sampled_from(
        ["", "1", "11", "-1", "true", "red", "a", "toolong", "http", "404", "405", "401", "ours", "validation"]
    ),
    st.sampled_from(["late validation", "bug", "%FF", "a%20b", "a+b", "a&b", "\xe9"]),
)
queries = st.lists(st.tuples(names, asked), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value if '%' in value else quote(value)}" for name, value in pairs)
)
MORE: list[tuple[bytes, bytes]] = [
    (b"x-token", b"t"),
    (b"cookie", b"session=s"),
    (b"content-type", b"application/json"),
]


def run(main: Any) -> Any:
    """In real time, because some pages run in threads."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def said(app: FastAPI, target: str, **how: Any) -> Any:
    try:
        visit = await Visit(app, target, **how).end()
    except Exception as error:  # noqa: BLE001  it counts that both raise the same
        return type(error)
    (request_id,) = visit.values(b"x-request-id")
    headers = [(name, value) for name, value in visit.headers if name != b"x-request-id"]
    return visit.status, headers, visit.body.replace(request_id, b"ID")


@given(
    target=targets(),
    query=st.one_of(st.just(""), queries),
    method=st.sampled_from(["GET", "GET", "GET", "GET", "HEAD", "POST", "OPTIONS"]),
    more=st.sets(st.sampled_from(MORE)),
    body=st.sampled_from([b"", b'{"a": 1}', b"NaN", b"["]),
    root_path=st.sampled_from(["", "", "", "/below"]),
    kind=st.sampled_from([*KINDS[:1] * 5, *KINDS]),
    order=st.integers(0, 2),
)
@effort(max_examples=400, deadline=None)
@example(target="/things/a\n", query="", method="GET", more=set(), body=b"", root_path="", kind="plain", order=0)
@example(target="/both\n", query="", method="GET", more=set(), body=b"", root_path="", kind="plain", order=0)
@example(target="/request/a", query="", method="GET", more={MORE[2]}, body=b"NaN", root_path="", kind="plain", order=0)
@example(target="/greedy/late", query="", method="GET", more=set(), body=b"", root_path="", kind="plain", order=0)
@example(target="/changing", query="", method="GET", more=set(), body=b"", root_path="", kind="plain", order=0)
@example(target="/first/special\n", query="", method="GET", more=set(), body=b"", root_path="", kind="plain", order=0)
def test_a_fast_answer_is_the_answer(
    target: str, query: str, method: str, more: Any, body: bytes, root_path: str, kind: str, order: int
) -> None:
    how = {"method": method, "headers": [HOST, *sorted(more)], "body": [body], "root_path": root_path}
    address = f"{target}?{query}" if query else target

    async def both() -> list[Any]:
        return [await said(app, address, **how) for app in BOTH[kind, order]]

    fast, slow = run(both())
    assert fast == slow


@pytest.mark.parametrize(
    ("kind", "order"), [*(("plain", order) for order in range(3)), *((kind, 0) for kind in KINDS[1:])]
)
@pytest.mark.parametrize("query", ["", "number=2&text=a&limit=3&many=a&many=b", "kind=http", "kind=late%20validation"])
def test_every_page_once(kind: str, order: int, query: str) -> None:
    async def both(path: str) -> list[Any]:
        return [await said(app, f"{path}?{query}" if query else path) for app in BOTH[kind, order]]

    for template in [*TEMPLATES, "/below/late", "/greedy/late", "/t/late/page/a"]:
        fast, slow = run(both(filled(template)))
        assert fast == slow, template


def filled(template: str) -> str:
    for hole, value in (("{number}", "1"), ("{colour}", "red"), ("{path:path}", "a/b"), ("{number:int}", "2")):
        template = template.replace(hole, value)
    return re.sub(r"\{.*?\}", "a", template)


@pytest.mark.parametrize("path", ["/below/page", "/plain", "/below/plain"])
def test_below_another_path_every_page_once(path: str) -> None:
    async def both() -> list[Any]:
        return [await said(app, path, root_path="/below") for app in BOTH["plain", 0]]

    fast, slow = run(both())
    assert fast == slow


def test_what_is_not_always_the_same_is_asked_for_every_time() -> None:
    numbers, checks, pages = count(), count(), APIRouter()

    @pages.get("/made")
    async def made(number: Annotated[int, Query(default_factory=lambda: next(numbers))]) -> int:
        return number

    @pages.get("/checked")
    async def checked(
        number: Annotated[int, AfterValidator(lambda _: next(checks)), Query(validate_default=True)] = 0,
    ) -> int:
        return number

    app = small_gateway(pages)
    assert taken(app, "/made")
    assert taken(app, "/checked")

    async def twice(path: str) -> list[bytes]:
        return [(await Visit(app, path).end()).body for _ in range(2)]

    for path in ("/made", "/checked"):
        first, second = run(twice(path))
        assert first != second


# That it is taken


def taken(app: FastAPI, target: str) -> bool:
    """Whether this request is answered without FastAPI's router."""
    asked: list[str] = []
    (layer,) = [layer for layer in app.user_middleware if layer.cls is FastPath]

    async def router(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await Response()(scope, receive, send)

    async def ask() -> None:
        async def as_always(scope: Any, receive: Any, send: Any) -> None:
            scope["app"] = app
            await FastPath(router)(scope, receive, send)

        with suppress(HTTPException):  # for who stands outside
            await Visit(as_always, target).end()  # type: ignore[arg-type]

    assert layer
    run(ask())
    return asked == []


@pytest.mark.parametrize(
    "target",
    [
        "/plain",
        "/things/a",
        "/numbers/1/red",
        "/query",
        "/query?number=2&many=a&many=b",
        "/needed/a?number=1&text=b",
        "/filters?limit=5",
        "/nested",
        "/asks/a?limit=3",
        "/model",
        "/text",
        "/request/a?b=c",
        "/t/a/page/b",
        "/refused?kind=http",
    ],
)
def test_what_is_plain_is_answered_the_short_way(target: str) -> None:
    assert taken(with_everything(0), target)


@pytest.mark.parametrize(
    "target", ["/things/A", "/needed/a", "/needed/a?number=11&text=b", "/sync", "/headers", "/odd"]
)
def test_what_is_not_goes_the_long_way(target: str) -> None:
    assert not taken(with_everything(0), target)


@pytest.mark.parametrize(
    ("folder", "create"),
    [("bffs/web", web), ("bffs/mobile", mobile), ("bffs/public_api", public_api), ("bench/page", bench)],
)
def test_every_page_of_our_gateways_is_answered_the_short_way(folder: str, create: Callable[[Any], FastAPI]) -> None:
    app = create(load(ROOT / folder / "settings.toml", told))
    routes = [route for route in _routes(app) if "GET" in route.methods]
    assert len(routes) >= 1
    pages = _compiled(app)
    slow = {route.path for route in routes if (pages.find(filled(route.path)) or ({}, None))[1] is None}
    assert slow <= SLOW


SLOW = {
    "/covers/{product_id}/{kind}.svg",  # a hole that is no whole segment, and a header; clients keep what they get
    "/v1/covers/{product_id}/{kind}.svg",
    "/session",
    "/v1/products",  # they write headers of their reply
    "/v1/products/{product_id}/reviews",
}
"""Pages that ask for more, each with its reason."""


def _routes(app: FastAPI) -> list[Any]:
    return [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)]
