"""Geometric pictures, each the same for the same chance: the art on the covers."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sin
from random import Random

Pattern = Callable[[float, float, "Palette", Random], str]


@dataclass(frozen=True, slots=True)
class Palette:
    """Paper, ink that is legible on it, and colours for the picture."""

    paper: str
    ink: str
    colours: tuple[str, ...]


PALETTES = (
    Palette("#f6efe2", "#1f2a37", ("#d1495b", "#edae49", "#00798c", "#30638e")),
    Palette("#14213d", "#f8f4e9", ("#fca311", "#e5e5e5", "#3a6ea5", "#8ecae6")),
    Palette("#fdf6f0", "#2b2d42", ("#ef476f", "#ffd166", "#06a77d", "#118ab2")),
    Palette("#2d1e2f", "#f7ebec", ("#f26a8d", "#f49cbb", "#cbeef3", "#a26769")),
    Palette("#e9f0ea", "#17301f", ("#2f6f4e", "#9cc5a1", "#e3b23c", "#bf5a36")),
    Palette("#0b3c49", "#fbfaf5", ("#f3b61f", "#e36414", "#9ad1d4", "#5fa8a3")),
    Palette("#f2e9e4", "#22223b", ("#4a4e69", "#9a8c98", "#c9ada7", "#b5443f")),
    Palette("#3b0d11", "#fff3e6", ("#e8833a", "#f5c396", "#b0413e", "#fcd29f")),
    Palette("#eef4fb", "#102542", ("#2b59c3", "#f87060", "#82b3e8", "#253d5b")),
    Palette("#1b1b1e", "#f5f3f5", ("#96c5f7", "#d8a47f", "#ef8354", "#4f5d75")),
    Palette("#fff7d6", "#33261d", ("#db5461", "#8aa29e", "#3d5467", "#f1a208")),
    Palette("#1d3b2a", "#f4f1de", ("#e07a5f", "#81b29a", "#f2cc8f", "#3d7a5c")),
)


def tiles(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """Quarter circles in squares, turned by chance."""
    side = chance.choice((75, 100))
    shapes = []
    for x in range(0, int(wide), side):
        for y in range(0, int(high), side):
            back, front = chance.sample(palette.colours, 2)
            turn = chance.randrange(4) * 90
            shapes.append(
                f'<g transform="translate({x} {y}) rotate({turn} {side / 2:g} {side / 2:g})">'
                f'<rect width="{side}" height="{side}" fill="{back}"/>'
                f'<path d="M0 0H{side}A{side} {side} 0 0 1 0 {side}Z" fill="{front}"/></g>'
            )
    return "".join(shapes)


def rings(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """Circles within circles around two centres."""
    shapes = [_rect(0, 0, wide, high, palette.colours[0])]
    for _ in range(2):
        x, y, step = chance.uniform(0, wide), chance.uniform(0, high), chance.randint(26, 46)
        for number in range(9, 0, -1):
            fill = palette.colours[number % len(palette.colours)]
            shapes.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{number * step}" fill="{fill}"/>')
    return "".join(shapes)


def waves(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """Hills behind hills."""
    shapes = [_rect(0, 0, wide, high, palette.colours[0])]
    sun = chance.uniform(0.2, 0.8) * wide
    shapes.append(f'<circle cx="{sun:.0f}" cy="{high * 0.3:.0f}" r="{high * 0.17:.0f}" fill="{palette.colours[1]}"/>')
    for number in range(1, 7):
        top, swing, phase = (
            high * (0.2 + 0.12 * number),
            high * chance.uniform(0.03, 0.09),
            chance.uniform(0, 2 * pi),
        )
        line = " ".join(f"{x:g},{top + swing * sin(x / wide * 2 * pi + phase):.1f}" for x in _steps(wide))
        fill = palette.colours[(number + 1) % len(palette.colours)]
        shapes.append(f'<polygon points="0,{high:g} {line} {wide:g},{high:g}" fill="{fill}"/>')
    return "".join(shapes)


def triangles(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """Squares cut along one diagonal or the other."""
    side = chance.choice((75, 100, 150))
    shapes = [_rect(0, 0, wide, high, palette.colours[0])]
    for x in range(0, int(wide), side):
        for y in range(0, int(high), side):
            corners = chance.choice(("0,0 1,0 0,1", "1,0 1,1 0,1", "0,0 1,0 1,1", "0,0 1,1 0,1"))
            pairs = (corner.split(",") for corner in corners.split())
            points = " ".join(f"{x + int(right) * side},{y + int(down) * side}" for right, down in pairs)
            shapes.append(f'<polygon points="{points}" fill="{chance.choice(palette.colours[1:])}"/>')
    return "".join(shapes)


def bars(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """Upright bars of many heights, like a measurement."""
    shapes = [_rect(0, 0, wide, high, palette.colours[0])]
    step = wide / chance.choice((10, 12, 15, 20))
    for number in range(round(wide / step)):
        height = high * chance.uniform(0.15, 0.95)
        shapes.append(_rect(number * step, high - height, step * 0.82, height, chance.choice(palette.colours[1:])))
    return "".join(shapes)


def dots(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """A grid of dots that swell and shrink in waves."""
    shapes = [_rect(0, 0, wide, high, palette.colours[0])]
    slope, phase, side = chance.uniform(1, 3), chance.uniform(0, 2 * pi), 50
    for x in range(side // 2, int(wide), side):
        for y in range(side // 2, int(high), side):
            radius = side * (0.27 + 0.2 * sin(phase + slope * (x + 0.6 * y) / 160))
            shapes.append(f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" fill="{chance.choice(palette.colours[1:])}"/>')
    return "".join(shapes)


def paths(wide: float, high: float, palette: Palette, chance: Random) -> str:
    """Lines that wander between stations, like the map of a railway."""
    shapes = [_rect(0, 0, wide, high, palette.colours[0])]
    rows = [high * part for part in (0.15, 0.32, 0.5, 0.68, 0.85)]
    for colour in (*palette.colours[1:], *palette.colours[1:]):
        stops = [(wide * column / 5, chance.choice(rows)) for column in range(6)]
        line = " ".join(f"{x:g},{y:g}" for x, y in stops)
        shapes.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="14" '
                      f'stroke-linejoin="round"/>')  # fmt: skip
        shapes.extend(f'<circle cx="{x:g}" cy="{y:g}" r="11" fill="{palette.paper}" stroke="{palette.ink}" '
                      f'stroke-width="5"/>' for x, y in stops)  # fmt: skip
    return "".join(shapes)


PATTERNS: tuple[Pattern, ...] = (tiles, rings, waves, triangles, bars, dots, paths)


def _steps(wide: float) -> list[float]:
    return [wide * number / 40 for number in range(41)]


def _rect(x: float, y: float, wide: float, high: float, fill: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" fill="{fill}"/>'
