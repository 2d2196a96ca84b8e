"""Text in a drawing: broken into lines that fit, escaped, and placed."""

from dataclasses import dataclass
from html import escape

NARROW, WIDE = frozenset("iljtfrI.,:;'!|()[]- "), frozenset("mwMW@%&—")


@dataclass(frozen=True, slots=True)
class Style:
    """How a block of text looks; lines are `size` times `leading` apart."""

    size: float
    fill: str
    family: str = "sans-serif"
    weight: int = 400
    anchor: str = "start"
    leading: float = 1.2
    spacing: float = 0


def width(text: str, size: float) -> float:
    """About how wide this is set, on the safe side for the generic families."""
    return size * sum(
        0.34 if char in NARROW else 0.88 if char in WIDE else 0.7 if char.isupper() else 0.57 for char in text
    )


def wrapped(text: str, size: float, room: float) -> list[str]:
    """Lines that fit into the room, except where one word alone does not."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def largest(text: str, sizes: tuple[int, ...], room: float, height: float) -> tuple[int, list[str]]:
    """The largest size at which the text fits, and its lines; the smallest one, cut, when none does."""
    for size in sizes:
        lines = wrapped(text, size, room)
        if len(lines) * size * 1.1 <= height and all(width(line, size) <= room for line in lines):
            return size, lines
    return sizes[-1], wrapped(text, sizes[-1], room)[: int(height / sizes[-1] / 1.1)]


def block(lines: list[str], x: float, y: float, style: Style) -> str:
    """The lines as SVG, the baseline of the first one at `y`."""
    rows = "".join(
        f'<tspan x="{x:g}" y="{y + number * style.size * style.leading:g}">{safe(line)}</tspan>'
        for number, line in enumerate(lines)
    )
    return (
        f'<text font-family="{style.family}" font-size="{style.size:g}" font-weight="{style.weight}" '
        f'fill="{style.fill}" text-anchor="{style.anchor}" letter-spacing="{style.spacing:g}">{rows}</text>'
    )


def safe(text: str) -> str:
    """Escaped for XML, without the characters that XML cannot hold."""
    return escape("".join(char for char in text if char.isprintable()))
