"""``python -m tests.soak``: the long form of a soak. It may be repeated with the seed that it says first."""

from random import SystemRandom
from typing import Annotated

import typer
import uvloop

from bff_core.server.collector import tune
from tests.bff_core.redis_server import RedisServer
from tests.soak.cancelled import Cancelled, Mixed, cancel_everywhere
from tests.soak.instances import Changes, change
from tests.soak.wire.caller import Unexpected
from tests.soak.wire.soak import Left, Plan, Result, Round, soak

Calls = Annotated[int, typer.Option(min=1000, help="Of which each is a little different.")]
Seed = Annotated[int | None, typer.Option(help="What calls are drawn from; another one each time by default.")]
Callers = Annotated[int, typer.Option(min=1, help="At a time; four times as many in every tenth round.")]
Changing = Annotated[float, typer.Option(min=0.1, help="Seconds in which instances come and go, behind that.")]
Leaving = Annotated[int, typer.Option(min=1000, help="Commands to Redis that are cancelled, behind that.")]


def main(
    calls: Calls = 1_000_000,
    seed: Seed = None,
    callers: Callers = 100,
    changing: Changing = 10.0,
    leaving: Leaving = 100_000,
) -> None:
    """Soak the http1 wire, then an upstream whose instances come and go, then sessions in Redis whose users leave in
    the middle, and tell.
    """
    plan = Plan(SystemRandom().randrange(10**9) if seed is None else seed, calls, callers=callers)
    typer.echo(f"soak of the http1 wire, seed {plan.seed}: {calls:,} calls by {callers} callers")
    tune()  # as `bff run` does
    try:
        _tell_all(uvloop.run(soak(plan, _tell)))
        _tell_changes(uvloop.run(change(plan.seed, changing)))
        with RedisServer() as server:
            _tell_cancelled(uvloop.run(cancel_everywhere(server.url, plan.seed, leaving)))
    except (Unexpected, Left, Mixed) as failed:
        typer.echo(f"seed {plan.seed}: {failed}", err=True)
        raise typer.Exit(1) from failed


def _tell(done: Round) -> None:
    rate = done.calls / done.seconds
    typer.echo(f"{done.calls:11,} calls {done.seconds:6.0f} s {rate:7,.0f}/s {_mebibytes(done.resident)}")


def _tell_all(result: Result) -> None:
    typer.echo(f"every call ended as it may, and nothing is left, after {result.seconds:.0f} s")
    for end, number in result.ends.most_common():
        typer.echo(f"{number:11,} {end}")
    typer.echo(f"{result.asked:11,} requests over {result.accepted:,} connections")
    for when, memory in {"after the warm-up": result.warm, "at the end": result.final}.items():
        typer.echo(f"{_mebibytes(memory.resident)} in {memory.blocks:,} blocks {when}")


def _tell_changes(result: Changes) -> None:
    typer.echo(f"{result.changes:11,} changes of instances, and none of {result.calls:,} calls failed")
    typer.echo(
        f"{result.accepted:11,} connections; {result.final.blocks - result.warm.blocks:,} blocks more at the end"
    )


def _tell_cancelled(result: Cancelled) -> None:
    typer.echo(f"{result.number:11,} commands to Redis were cancelled, at up to {max(result.cancellations) + 1} awaits")
    typer.echo(f"{result.answers:11,} answers, and each was for who asked, in {result.seconds:.0f} s")


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:7.1f} MiB"


if __name__ == "__main__":
    typer.run(main)
