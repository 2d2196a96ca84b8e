"""Pictures of a book, drawn from its facts: front, back, and a look inside."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from demo.lettering import Style, block, largest, safe, wrapped
from demo.patterns import PALETTES, PATTERNS, Palette

WIDE, HIGH, MARGIN = 600, 800, 48  # one page
ART, FOOT = 372, 104  # heights of the picture and of the authors' names
ROOM = WIDE - 2 * MARGIN
TIGHT = 1.08  # leading of titles
SERIF = 0.84  # how wide serif letters are beside the sans-serif ones that are measured
TITLE_SIZES = (72, 64, 56, 50, 44, 38, 33, 28)

Product = Mapping[str, Any]
"""A product as the catalogue answers it."""


def draw(product: Product, kind: str) -> str:
    """The picture of this kind as SVG, always the same for the same product."""
    return DRAWINGS[kind](product, _palette(product))


def front(product: Product, palette: Palette) -> str:
    """A picture above or below the title, the authors at the foot."""
    art_first = _chance(product, "layout").random() < 0.6
    art_y, text_y = (0, ART) if art_first else (HIGH - FOOT - ART, 0)
    subtitle = wrapped(product["subtitle"] or "", 23, ROOM)[:3]
    size, lines = largest(product["title"], TITLE_SIZES, ROOM, HIGH - FOOT - ART - 60 - 32 * len(subtitle))
    y = text_y + 32 + size
    parts = [
        _art(product, palette, (0, art_y, WIDE, ART)),
        block(lines, MARGIN, y, _title(size, palette)),
        block(subtitle, MARGIN, y + (len(lines) - 1) * size * TIGHT + 44, Style(23, palette.ink)),
        _names(product, palette),
    ]
    return _svg(WIDE, f"Front cover of {product['title']}", palette.paper, parts)


def back(product: Product, palette: Palette) -> str:
    """What the book is about, under a strip of the picture."""
    size, lines = largest(product["title"], (34, 30, 26), ROOM, 80)
    top = 190 + len(lines) * size * TIGHT
    about = wrapped(product["about"], 22 * SERIF, ROOM)
    parts = [
        _art(product, palette, (0, 0, WIDE, 120)),
        block(lines, MARGIN, 190, _title(size, palette)),
        block(about, MARGIN, top + 20, Style(22, palette.ink, "serif", leading=1.5)),
        block(_imprint(product), MARGIN, HIGH - 92, Style(18, palette.ink, leading=1.5)),
        _barcode(product) if product["isbn"] else "",
    ]
    return _svg(WIDE, f"Back cover of {product['title']}", palette.paper, parts)


def spread(product: Product, palette: Palette) -> str:
    """An open book: the picture on the left page, the beginning on the right."""
    right = WIDE + MARGIN + 12
    size, lines = largest(product["title"], (46, 40, 34, 30), ROOM - 12, 160)
    top = 150 + len(lines) * size * TIGHT
    parts = [
        _art(product, palette, (MARGIN, MARGIN, WIDE - 2 * MARGIN, HIGH - 2 * MARGIN)),
        block(lines, right, 150, Style(size, "#222222", "serif", 700, leading=TIGHT)),
        f'<rect x="{right}" y="{top:g}" width="72" height="5" fill="{palette.colours[0]}"/>',
        block(
            wrapped(product["about"], 24 * SERIF, ROOM - 12),
            right,
            top + 62,
            Style(24, "#333333", "serif", leading=1.55),
        ),
        block([" · ".join(product["subjects"])], right, 712, Style(17, "#666666", "serif")),
        '<rect x="556" width="88" height="800" fill="url(#fold)"/>',
        '<text x="1128" y="760" font-family="serif" font-size="16" fill="#888888" text-anchor="end">1</text>',
    ]
    return _svg(2 * WIDE, f"A look inside {product['title']}", "#fbf8f1", [FOLD, *parts])


DRAWINGS: dict[str, Callable[[Product, Palette], str]] = {"front": front, "back": back, "spread": spread}
FOLD = (
    '<defs><linearGradient id="fold"><stop offset="0" stop-opacity="0"/>'
    '<stop offset="0.5" stop-opacity="0.2"/><stop offset="1" stop-opacity="0"/></linearGradient></defs>'
)


def _chance(product: Product, what: str) -> Random:
    return Random(f"{product['id']}:{what}")


def _palette(product: Product) -> Palette:
    palette = _chance(product, "palette").choice(PALETTES)
    colours = _chance(product, "colours").sample(palette.colours, len(palette.colours))
    return Palette(palette.paper, palette.ink, tuple(colours))


def _art(product: Product, palette: Palette, place: tuple[float, float, float, float]) -> str:
    """The picture of this book, cut to the place: x, y, width and height."""
    x, y, wide, high = place
    pattern = _chance(product, "pattern").choice(PATTERNS)
    shapes = pattern(wide, high, palette, _chance(product, "art"))
    return f'<svg x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}">{shapes}</svg>'


def _title(size: int, palette: Palette) -> Style:
    return Style(size, palette.ink, weight=800, leading=TIGHT, spacing=-0.5)


def _names(product: Product, palette: Palette) -> str:
    size, lines = largest(", ".join(product["authors"]), (26, 22, 19, 16), ROOM, 64)
    return block(lines, MARGIN, HIGH - 40 - (len(lines) - 1) * size * 1.2, Style(size, palette.ink, weight=600))


def _imprint(product: Product) -> list[str]:
    return [product["publisher"], f"{product['published'][:4]} · {product['pages']} pages"]


def _barcode(product: Product) -> str:
    """Bars that look the part; the number below them is the real one."""
    chance, x, bars = _chance(product, "bars"), 372.0, ""
    while x < 546:
        thick = chance.choice((2, 2, 3, 5))
        bars += f'<rect x="{x:g}" y="682" width="{thick}" height="54" fill="#111111"/>'
        x += thick + chance.choice((2, 3, 4))
    digits = Style(15, "#111111", "monospace", anchor="middle")
    number = block([product["isbn"]], 460, 756, digits)
    return f'<rect x="360" y="670" width="200" height="96" fill="#ffffff"/>{bars}{number}'


def _svg(wide: int, title: str, paper: str, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {HIGH}" width="{wide}" height="{HIGH}" '
        f'role="img"><title>{safe(title)}</title><rect width="{wide}" height="{HIGH}" fill="{paper}"/>'
        f"{''.join(parts)}</svg>"
    )
