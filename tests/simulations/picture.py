"""A picture of storms, one line each, as SVG that is readable on light and on dark."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from tests.simulations.storm import BEFORE, CAPACITY, Storm

__all__ = ["drawn"]

_WIDTH: Final = 760
_LEFT: Final = 44  # pixels for the scale
_PANEL: Final = 130  # pixels high
_RIGHT: Final = 20
_GAP: Final = 62  # above each, for its title
_TOP: Final = 30  # for the legend
_FROM: Final = -BEFORE + 5  # seconds since it went dark, which is shown
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


def drawn(storms: Mapping[str, Storm]) -> str:
    """Three of them, as long as each other."""
    back, end = (next(iter(storms.values())).back - BEFORE, next(iter(storms.values())).end - BEFORE)
    scale = (_WIDTH - _LEFT - _RIGHT) / (end - _FROM)

    def x(second: float) -> float:
        return _LEFT + (second - _FROM) * scale

    def panel(top: float, title: str, most: float, step: int, value: Callable[[Storm, int], float]) -> str:
        bottom = top + _PANEL
        grid = "".join(_level(bottom - _PANEL * level / most, level) for level in range(0, int(most) + 1, step))
        seconds = "".join(_moment(x(second), second, bottom) for second in range(_FROM, end + 1, 10))
        lines = "".join(
            f'<polyline class="line {kind}" points="'
            + " ".join(
                f"{x(second + 0.5):.1f},{bottom - _PANEL * value(storm, BEFORE + second) / most:.1f}"
                for second in range(_FROM, end)
            )
            + '"/>'
            for kind, storm in zip(_KINDS, storms.values(), strict=True)
        )
        night = f'<rect class="dark" x="{x(0):.1f}" y="{top}" width="{back * scale:.1f}" height="{_PANEL}"/>'
        return f'<text class="title" x="0" y="{top - 14}">{title}</text>{night}{grid}{seconds}{lines}'

    legend = "".join(
        f'<line class="line {kind}" x1="{180 * place}" x2="{180 * place + 30}" y1="13" y2="13"/>'
        f'<text x="{180 * place + 38}" y="18">{escape(name)}</text>'
        for place, (kind, name) in enumerate(zip(_KINDS, storms, strict=True))
    )
    first, second = _TOP + _GAP - 30, _TOP + 2 * _GAP + _PANEL - 30
    said = "; ".join(f"{name}: {_said(storm)}" for name, storm in storms.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {second + _PANEL + 26}" role="img">'
        f"<title>A service is dark for {back} s</title><desc>{escape(said)}</desc><style>{_STYLE}</style>{legend}"
        + panel(first, "Answered, in % of the calls of each second", 100, 25, _answered)
        + panel(second, f"Attempts a second; the service can do {CAPACITY}", 300, 100, _attempts)
        + "</svg>\n"
    )


def _answered(storm: Storm, second: int) -> float:
    return 100 * storm.calls.goodput(second, second + 1)


def _attempts(storm: Storm, second: int) -> float:
    return storm.attempts[second]


def _said(storm: Storm) -> str:
    later = storm.calls.goodput(storm.back + 7, storm.end)
    return f"from 7 s after it is back, {later:.0%} are answered"


def _level(y: float, value: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
    )


def _moment(x: float, second: int, bottom: float) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{second} s</text>'
