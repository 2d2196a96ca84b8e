"""A picture of one figure for everyone: bars on a logarithmic scale, as SVG that is readable on light and on dark."""

from collections.abc import Mapping
from html import escape
from math import ceil, floor, log10
from typing import Final

from bench.report import figure

__all__ = ["drawn"]

_WIDTH: Final = 760
_LABELS: Final = 190  # pixels for the names, at the left
_VALUES: Final = 90  # and for the figures, at the right
_TOP: Final = 44
_STEP: Final = 34
_BAR: Final = 20
_STYLE: Final = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .tick { font-size: 11px; fill: #656d76; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .tick { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .bar { fill: #6e7681; }
    .ours { fill: #4493f8; }
  }
"""


def drawn(title: str, bars: Mapping[str, float]) -> str:
    """The first bar is ours. Figures must be above zero."""
    low, high = floor(log10(min(bars.values()))), ceil(log10(max(bars.values())))
    scale = (_WIDTH - _LABELS - _VALUES) / max(1, high - low)
    bottom = _TOP + _STEP * len(bars)

    def place(value: float) -> float:
        return _LABELS + (log10(value) - low) * scale

    grid = "".join(_tick(place(10.0**power), 10**power, bottom) for power in range(low, high + 1))
    drawings = "".join(
        _bar(name, value, place(value), _TOP + _STEP * row, kind="bar" if row else "bar ours")
        for row, (name, value) in enumerate(bars.items())
    )
    said = "; ".join(f"{name}: {figure(value)}" for name, value in bars.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 28}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(said)}</desc><style>{_STYLE}</style>"
        f'<text class="title" x="0" y="18">{escape(title)}</text>{grid}{drawings}</svg>\n'
    )


def _tick(x: float, value: float, bottom: int) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 10}" x2="{x:.1f}" y2="{bottom}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:,g}</text>'
    )


def _bar(name: str, value: float, end: float, y: int, *, kind: str) -> str:
    middle = y + _BAR - 5
    return (
        f'<text x="0" y="{middle}">{escape(name)}</text>'
        f'<rect class="{kind}" x="{_LABELS}" y="{y}" width="{max(1.0, end - _LABELS):.1f}" height="{_BAR}" rx="2"/>'
        f'<text x="{end + 8:.1f}" y="{middle}">{figure(value)}</text>'
    )
