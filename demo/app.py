"""One service of the store as an ASGI app."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from weakref import finalize

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from demo.connection import database, read_only
from demo.errors import answer_errors
from demo.fault import FaultSwitch
from demo.instances import Instance
from demo.relay import EVERYONE, Trust
from demo.services import SERVICES


class ServiceApp(FastAPI):
    """A FastAPI app inside its fault switch.

    Not added as middleware, because Starlette's outermost one would answer 500 where a service that is
    down is silent.
    """

    def __init__(self, instance: Instance) -> None:
        # without a schema, because the docs page of FastAPI loads scripts from elsewhere;
        # any content type, because `curl -d` sends a form's
        super().__init__(title=instance.service, openapi_url=None, strict_content_type=False)
        self._switch = FaultSwitch(str(instance), super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or fail as the fault switch says."""
        await self._switch(scope, receive, send)


def _today() -> date:
    return datetime.now(UTC).date()


def create_service(
    name: str,
    folder: Path,
    *,
    number: int = 1,
    today: Callable[[], date] = _today,
    trust: Trust = EVERYONE,
) -> ServiceApp:
    """The service of this name on its database in `folder`, which `demo.database.prepare` must have made.

    Nothing runs before the first request, so it can be mounted without a lifespan. `number` tells its instances
    apart, whose faults are their own. `today` is where delivery estimates count from. `trust` says who may see what is
    private to a customer.
    """
    app = ServiceApp(Instance(name, number))
    app.state.connection = connection = read_only(database(folder, name))
    finalize(app, connection.close)  # and not in a lifespan, because an app may be mounted without one
    app.state.today, app.state.trust = today, trust
    answer_errors(app)
    app.include_router(SERVICES[name].router)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": name}

    return app
