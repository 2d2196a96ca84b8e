"""Lines over seconds, panel under panel, as SVG that is readable on light and on dark."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final, Generic, NamedTuple, TypeVar

__all__ = ["Chart", "Panel", "Span"]

T = TypeVar("T")

_WIDTH: Final = 760
_LEFT: Final = 44  # pixels for the scale
_PANEL: Final = 130  # pixels high
_RIGHT: Final = 20
_GAP: Final = 62  # above each, for its title
_TOP: Final = 30  # for the legend
_KINDS: Final = ("bad", "good", "best")
_STYLE: Final = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .tick { font-size: 11px; fill: #656d76; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .dark { fill: #d0d7de; fill-opacity: 0.4; }
  .line { fill: none; stroke-width: 2; }
  .bad { stroke: #cf222e; stroke-dasharray: 2 3; }
  .good { stroke: #0969da; stroke-dasharray: 8 3; }
  .best { stroke: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .tick { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .dark { fill: #3d444d; }
    .bad { stroke: #f85149; }
    .good { stroke: #4493f8; }
    .best { stroke: #3fb950; }
  }
"""


class Span(NamedTuple):
    """Some of the seconds."""

    start: int
    end: int


class Panel(NamedTuple, Generic[T]):
    """What is drawn of each: ``value`` of each second, on a scale from 0 to ``most`` with a line at every ``step``."""

    title: str
    most: float
    step: int
    value: Callable[[T, int], float]


class Chart(Generic[T]):
    """Three of a kind, over the same seconds, some of which are ``dark``."""

    def __init__(self, three: Mapping[str, T], seconds: Span, dark: Sequence[Span]) -> None:
        self._three, self._seconds, self._dark = three, seconds, dark
        self._scale = (_WIDTH - _LEFT - _RIGHT) / (seconds.end - seconds.start)

    def drawn(self, title: str, said: str, panels: Sequence[Panel[T]]) -> str:
        """All of it. ``title`` and ``said`` are for those who do not see it."""
        tops = [_TOP + _GAP - 30 + place * (_GAP + _PANEL) for place in range(len(panels))]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {tops[-1] + _PANEL + 26}" role="img">'
            f"<title>{escape(title)}</title><desc>{escape(said)}</desc><style>{_STYLE}</style>{self._legend()}"
            + "".join(self._panel(top, panel) for top, panel in zip(tops, panels, strict=True))
            + "</svg>\n"
        )

    def _x(self, second: float) -> float:
        return _LEFT + (second - self._seconds.start) * self._scale

    def _panel(self, top: float, panel: Panel[T]) -> str:
        bottom = top + _PANEL
        height = _PANEL / panel.most
        levels = range(0, int(panel.most) + 1, panel.step)
        grid = "".join(_level(bottom - height * level, level) for level in levels)
        seconds = range(self._seconds.start, self._seconds.end + 1, 10)
        ticks = "".join(_moment(self._x(second), second, bottom) for second in seconds)
        night = "".join(
            f'<rect class="dark" x="{self._x(span.start):.1f}" y="{top}"'
            f' width="{(span.end - span.start) * self._scale:.1f}" height="{_PANEL}"/>'
            for span in self._dark
        )
        lines = "".join(
            f'<polyline class="line {kind}" points="'
            + " ".join(
                f"{self._x(second + 0.5):.1f},{bottom - height * panel.value(one, second):.1f}"
                for second in range(*self._seconds)
            )
            + '"/>'
            for kind, one in zip(_KINDS, self._three.values(), strict=True)
        )
        return f'<text class="title" x="0" y="{top - 14}">{panel.title}</text>{night}{grid}{ticks}{lines}'

    def _legend(self) -> str:
        return "".join(
            f'<line class="line {kind}" x1="{180 * place}" x2="{180 * place + 30}" y1="13" y2="13"/>'
            f'<text x="{180 * place + 38}" y="18">{escape(name)}</text>'
            for place, (kind, name) in enumerate(zip(_KINDS, self._three, strict=True))
        )


def _level(y: float, value: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
    )


def _moment(x: float, second: int, bottom: float) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{second} s</text>'
