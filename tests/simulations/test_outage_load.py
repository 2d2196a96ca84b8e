"""What an upstream that is down gets to see of those who call it: little more than the calls, and then only probes."""

from itertools import pairwise
from typing import Any

import pytest

from bff_core.errors import GatewayError
from bff_core.upstream import Upstream
from bff_core.upstream.circuit import State
from tests.bff_core.scripted import ask, request, shop
from tests.simulations.crowd import crowd
from tests.simulations.one_server import Darkness, OneServer

RATES = [(20, 60), (100, 30), (1000, 11)]  # calls a second, and for how many seconds, because many take long
UNLIMITED = {"bulkhead": {"limit": 10**6}}  # or it would be the bulkhead that holds attempts back
DOWN = {"in a millisecond": Darkness("refuses"), "by timeout": Darkness("hangs")}


class Watched(OneServer):
    """Remembers in what state the circuit was at each attempt."""

    def __init__(self, how: Darkness) -> None:
        super().__init__(how)
        self.seen: list[State] = []
        self.watch: Upstream

    def send(self, *args: Any, **how: Any) -> Any:
        self.seen.append(self.watch.circuit.state)
        return super().send(*args, **how)


async def call_all_the_while(server: Watched, rate: float, seconds: float, **policies: Any) -> tuple[int, Upstream]:
    """How many calls have failed, which are all."""
    client, upstream = shop(server, instances=["http://shop.test"], **UNLIMITED, **policies)
    server.watch = upstream
    failed = 0

    async def call(number: int) -> None:
        nonlocal failed
        try:
            await ask(client.book(str(number)), request(2.0))
        except GatewayError:
            failed += 1

    await crowd(rate, seconds, call)
    return failed, upstream


@pytest.mark.parametrize("how", DOWN.values(), ids=DOWN)
@pytest.mark.parametrize(("rate", "seconds"), RATES)
async def test_without_a_circuit_the_attempts_are_a_tenth_more_than_the_calls(
    rate: int, seconds: int, how: Darkness
) -> None:
    server = Watched(how)
    calls, upstream = await call_all_the_while(server, rate, seconds, circuit={"enabled": False})

    assert calls == pytest.approx(rate * seconds, rel=0.1)
    assert calls < len(server.attempts) <= 1.10 * calls
    assert len(server.attempts) == calls + upstream.tally.retried


@pytest.mark.parametrize("how", ["refuses", "hangs"])
@pytest.mark.parametrize("seconds", [13, 24])
async def test_of_an_outage_after_better_times_it_is_a_tenth_however_long_it_lasts(seconds: int, how: str) -> None:
    server = Watched(Darkness(how, start=15))
    calls, _ = await call_all_the_while(server, 100, 15 + seconds, circuit={"enabled": False})

    assert calls == pytest.approx(100 * seconds, rel=0.1)
    assert calls < sum(moment >= 15 for moment in server.attempts) <= 1.10 * calls


@pytest.mark.parametrize("how", DOWN.values(), ids=DOWN)
@pytest.mark.parametrize("rate", [0.5, 2, 5])
async def test_of_few_calls_it_is_one_more_a_second(rate: float, how: Darkness) -> None:
    server = Watched(how)
    calls, _ = await call_all_the_while(server, rate, 60, circuit={"enabled": False})

    assert calls < len(server.attempts) <= calls + 60


@pytest.mark.parametrize("how", DOWN.values(), ids=DOWN)
@pytest.mark.parametrize(("rate", "seconds"), RATES)
async def test_once_its_circuit_is_open_it_sees_probes_and_those_four_seconds_apart(
    rate: int, seconds: int, how: Darkness
) -> None:
    server = Watched(how)
    calls, upstream = await call_all_the_while(server, rate, seconds)

    probes = server.seen.count(State.HALF_OPEN)
    assert server.seen == [State.CLOSED] * (len(server.seen) - probes) + [State.HALF_OPEN] * probes
    assert probes == upstream.circuit.opened - 1
    assert min((later - sooner for sooner, later in pairwise(server.attempts[-probes:])), default=4.0) >= 4
    assert len(server.attempts) < 0.15 * calls
