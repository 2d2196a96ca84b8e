"""A page of seven calls, from our gateway and from its peers."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from bench import answer, load
from bench.contenders import CONTENDERS, OURS, Contender, Place
from bench.cpu import spent_by
from bench.load import Load, Void
from bench.machine import python
from bench.plan import Plan
from bench.processes import free_ports, started
from bench.ratios import Spread, ratios, spread
from bench.report import Report, figure, rounded
from bench.rounds import in_turn
from bench.upstream.started import RunningUpstream, upstream

__all__ = ["Running", "Sample", "check_calls", "measure", "ready", "report"]

CALLS: Final = 7
_LEAD_IN: Final = 1.0  # seconds
_LONGEST: Final = 60.0  # seconds of load for the slowest
_QUIET_WITHIN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that answers."""

    contender: Contender
    process: int
    port: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn of one contender. CPU in microseconds a page."""

    user: float
    system: float
    calls: int
    load: Load

    @property
    def cpu(self) -> float:
        """All of it."""
        return self.user + self.system

    @property
    def pages_a_second(self) -> float:
        """How many were answered."""
        return self.load.pages / self.load.seconds


def measure(plan: Plan) -> Report:
    """Everyone who is installed, in turn."""
    wanted = [one for one in CONTENDERS if one is OURS or not plan.only or any(word in one.name for word in plan.only)]
    absent = {one.name: command for one in wanted if (command := one.missing())}
    present = [one for one in wanted if one.name not in absent]
    notes = [f"{name} is absent; to have it: {command}" for name, command in absent.items()]
    for note in notes:
        plan.console.print(note, style="yellow", markup=False)
    with ExitStack() as stack:
        behind = stack.enter_context(upstream(plan.cores.load))
        running = [stack.enter_context(ready(one, behind, plan.cores.gateway)) for one in present]
        size = _agreed(running)
        samples = _rounds(plan, running, behind, size)
    return report(samples, [f"Python is {python()}; the upstream is {behind.engine}.", *notes])


@contextmanager
def ready(contender: Contender, behind: RunningUpstream, core: int | None) -> Iterator[Running]:
    """It, running on this core while the block does."""
    port, admin = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(port, admin, behind.port, Path(folder))
        words, env = contender.command(place), contender.env(place)
        with started(contender.name, words, port=port, core=core, env=env) as process:
            yield Running(contender, process, port)


def _agreed(running: Sequence[Running]) -> int:
    """The bytes of the page that everyone answers."""
    bodies = {one.contender.name: answer.ask(one.contender.name, one.port) for one in running}
    for one in running:
        name = one.contender.name
        answer.check(name, bodies[name], bodies[OURS.name], ordered=one.contender.ordered)
    return len(bodies[OURS.name])


def _rounds(plan: Plan, running: Sequence[Running], behind: RunningUpstream, size: int) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {one.contender.name: [] for one in running}
    seconds = {one.contender.name: _warm_up(plan, one, size) for one in running}
    for number, one in in_turn(running, plan.rounds):
        name = one.contender.name
        with plan.console.status(f"round {number} of {plan.rounds}: {name}, {seconds[name]:.0f} s"):
            sample = _sample(plan, one, behind, size, seconds[name])
        samples[name].append(sample)
        plan.console.print(f"round {number}  {name:<24} {figure(sample.cpu):>7} µs")
    return samples


def _warm_up(plan: Plan, one: Running, size: int) -> float:
    """Until compilers have compiled and pools are full; then how long one turn must last for enough pages."""
    name = one.contender.name
    with plan.console.status(f"warming up: {name}"):
        seen = load.put_on(name, one.port, size=size, seconds=min(plan.seconds, 3), core=plan.cores.load)
    return max(plan.seconds, min(_LONGEST, plan.pages * seen.seconds / max(1, seen.pages)))


def _sample(plan: Plan, one: Running, behind: RunningUpstream, size: int, seconds: float) -> Sample:
    name = one.contender.name
    # apart, because connections that were idle since its last turn are gone
    load.put_on(name, one.port, size=size, seconds=_LEAD_IN, core=plan.cores.load)
    calls, cpu = _quiet(behind), spent_by(one.process)
    seen = load.put_on(name, one.port, size=size, seconds=seconds, core=plan.cores.load)
    spent, made = spent_by(one.process) - cpu, _quiet(behind) - calls
    check_calls(name, made, seen.pages)
    return Sample(spent.user / seen.pages * 1e6, spent.system / seen.pages * 1e6, made, seen)


def _quiet(behind: RunningUpstream) -> int:
    """The calls so far, once no more come: what wrk left unread may still be under way."""
    until = monotonic() + _QUIET_WITHIN
    before, now = -1, behind.calls()
    while before != now and monotonic() < until:
        sleep(0.05)
        before, now = now, behind.calls()
    return now


def check_calls(name: str, calls: int, pages: int) -> None:
    """Nobody may save a call, and only pages that wrk did not wait for may have made more."""
    if not pages:
        raise Void(f"{name}: the run is void: not one page")
    if not CALLS * pages <= calls <= CALLS * (pages + 2 * load.CONNECTIONS):
        raise Void(f"{name}: the run is void: {calls} calls for {pages} pages of {CALLS}")


def report(samples: dict[str, list[Sample]], notes: list[str]) -> Report:
    """A row for everyone; ``samples`` are those of each contender by its name, one a round."""
    present = [one for one in CONTENDERS if one.name in samples]
    compared = {one.name: _compared(samples[OURS.name], samples[one.name]) for one in present}
    headings = [
        "",
        "CPU a page, µs",
        "user / sys",
        "p50, ms",
        "p99, ms",
        "pages/s",
        "our CPU / theirs",
        "aim",
        "our p99 / theirs",
        "aim",
    ]
    middle = {name: spread([one.cpu for one in found]).median for name, found in samples.items()}
    raw = {name: [asdict(one) for one in found] for name, found in samples.items()}
    rows = [_row(one, samples[one.name], compared[one.name]) for one in present]
    peers = {one.slug: _told(compared[one.name]) for one in present if one is not OURS}
    return Report("A page of seven calls", headings, rows, {"peers": peers}, raw, notes, bars=middle)


def _compared(ours: Sequence[Sample], theirs: Sequence[Sample]) -> dict[str, Spread]:
    return {
        "cpu_ratio": ratios([sample.cpu for sample in ours], [sample.cpu for sample in theirs]),
        "p99_ratio": ratios([sample.load.p99 for sample in ours], [sample.load.p99 for sample in theirs]),
    }


def _told(compared: dict[str, Spread]) -> dict[str, dict[str, float]]:
    return {name: {key: rounded(value) for key, value in asdict(found).items()} for name, found in compared.items()}


def _row(one: Contender, theirs: Sequence[Sample], compared: dict[str, Spread]) -> list[str]:
    def of(figures: Sequence[float]) -> str:
        return figure(spread(figures).median)

    return [
        one.name,
        of([sample.cpu for sample in theirs]),
        f"{of([sample.user for sample in theirs])} / {of([sample.system for sample in theirs])}",
        of([sample.load.p50 for sample in theirs]),
        of([sample.load.p99 for sample in theirs]),
        of([sample.pages_a_second for sample in theirs]),
        _ratio(one, compared["cpu_ratio"]),
        _aim(one.cpu_aim),
        _ratio(one, compared["p99_ratio"]),
        _aim(one.p99_aim),
    ]


def _aim(most: float | None) -> str:
    return f"≤ {most:g}" if most else ""


def _ratio(one: Contender, found: Spread) -> str:
    if one is OURS:
        return "1"
    return f"{figure(found.median)} ({figure(found.min)}..{figure(found.max)})"
