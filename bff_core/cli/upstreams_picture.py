"""How the upstreams of a gateway look on a terminal: a line for each, and one for each of its instances."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Final

from rich.align import VerticalAlignMethod
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bff_core.cli.facts import GatewayFacts, InstanceFacts, ProcessFacts, SourceFacts, UpstreamFacts
from bff_core.cli.figures import measured

__all__ = ["Picture"]

_NUMBERS: Final = {"weight", "latency", "in flight", "calls", "failed"}
_USUAL: Final = {"zone": "", "weight": "1"}
"""A column in which nothing else stands is left out."""

_INDENT: Final = 2
_GAP: Final = 2
_NARROWEST: Final = 12  # columns of an address, however little room there is

_STYLES: Final = {
    "ejected": "bold red",
    "unhealthy": "bold red",
    "draining": "yellow",
    "elsewhere": "dim",
    "open": "bold red",
    "half-open": "yellow",
}
"""Of the states of an instance and of a circuit; those that are as they should be are plain."""

Row = Mapping[str, Text]
"""The cells of an instance, by the names of their columns."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a gateway said, drawn in the room there is. ``lost`` is why it says nothing any more, where it does not."""

    facts: GatewayFacts
    at: str
    lost: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """A line about the gateway, then its upstreams, by worker where it has several."""
        if self.lost:
            yield Text(f"{self.lost}; this is what it said last:", "bold red")
        else:
            yield _process(self.facts.gateway, self.facts) + Text(f", at {self.at}")
        for process in self.facts.processes:
            if process.worker is not None:
                yield Text()
                pid = "" if process.pid is None else f", pid {process.pid},"
                yield _process(f"worker {process.worker}{pid}", process)
            if process.upstreams:
                yield Text()
                yield from _upstreams(process, options.max_width)


def _process(name: str, process: ProcessFacts) -> Text:
    if process.error:
        return Text.assemble((name, "bold"), (f" does not answer: {process.error}", "bold red"))
    return Text.assemble((name, "bold"), " is ready" if process.ready else (" is not ready", "yellow"))


def _upstreams(process: ProcessFacts, room: int) -> Iterator[RenderableType]:
    rows = {name: [_row(one) for one in upstream.instances] for name, upstream in process.upstreams.items()}
    columns = _columns([row for some in rows.values() for row in some], room)
    longest = max(map(len, process.upstreams))
    if columns:
        yield _table([{name: Text(name, "dim") for name in columns}], columns, vertical="bottom")
    for name, upstream in process.upstreams.items():
        yield _heading(name.ljust(longest), upstream)
        yield from (_indented(line) for line in _remarks(upstream))
        if rows[name]:
            yield _table(rows[name], columns)


def _heading(name: str, upstream: UpstreamFacts) -> Text:
    full = upstream.in_flight >= upstream.limit
    return Text.assemble(
        (name, "bold"),
        ("  circuit ", "dim"),
        (upstream.circuit.ljust(9), _STYLES.get(upstream.circuit, "")),
        ("  p50 ", "dim"),
        _seconds(upstream.p50).rjust(7),
        ("  p95 ", "dim"),
        _seconds(upstream.p95).rjust(7),
        "  ",
        (f"{upstream.in_flight} of {upstream.limit}", "bold red" if full else ""),
        (" in flight", "dim"),
        ("  static", "dim") if upstream.source.of == "static" else "",
    )


def _remarks(upstream: UpstreamFacts) -> Iterator[Text]:
    source = upstream.source
    if source.failing_since:
        since = f"{source.of} failing since {_moment(source.failing_since)}: {source.failure}"
        yield Text(since, "red")
    elif source.of != "static":
        yield Text(f"{source.of}{_answered(source)}", "dim")
    if not upstream.instances:
        yield Text("no instance is known", "red")
    if upstream.panic:
        yield Text("panic: too few instances are well, so that all are used", "red")


def _answered(source: SourceFacts) -> str:
    return f", last answer {_moment(source.last_answer_at)}" if source.last_answer_at else ", no answer yet"


def _row(instance: InstanceFacts) -> Row:
    style = _STYLES.get(instance.state, "")
    back = "" if instance.back_in is None else f" ({ceil(instance.back_in)} s)"
    return {
        "instance": Text(instance.address),
        "zone": Text(instance.zone),
        "weight": Text(f"{instance.weight:g}"),
        "state": Text(instance.state, style),
        "latency": Text(_seconds(instance.latency)),
        "in flight": Text(f"{instance.in_flight:,}"),
        "calls": Text(f"{instance.calls:,}"),
        "failed": Text(f"{instance.failures:,}"),
        "ejections": Text(f"{instance.ejections:,}{back}", style if back else ""),
    }


def _columns(rows: Sequence[Row], room: int) -> Mapping[str, int]:
    """Their names and widths, each as wide as its widest cell; where that is too much, addresses are folded."""
    if not rows:
        return {}
    said = [name for name in rows[0] if any(row[name].plain != _USUAL.get(name) for row in rows)]
    wide = {name: max(*map(len, name.split()), *(row[name].cell_len for row in rows)) for name in said}
    others = sum(wide.values()) - wide["instance"] + _GAP * (len(wide) - 1)
    return wide | {"instance": min(wide["instance"], max(room - _INDENT - others, _NARROWEST))}


def _table(rows: Sequence[Row], columns: Mapping[str, int], *, vertical: VerticalAlignMethod = "top") -> RenderableType:
    # one for each upstream, all as wide, because a table of rich has no cell that spans columns
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, width in columns.items():
        justify: JustifyMethod = "right" if name in _NUMBERS else "left"
        table.add_column(width=width, justify=justify, vertical=vertical, overflow="fold")
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    return _indented(table)


def _indented(what: RenderableType) -> RenderableType:
    return Padding(what, (0, 0, 0, _INDENT), expand=False)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else measured(seconds)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
