"""Finds what a path leads to without asking every route in turn."""

import re
from typing import Final, Generic, TypeVar

__all__ = ["PathIndex", "holes", "is_plain", "literal_beginning"]

T = TypeVar("T")

_HOLE: Final = None
_NAME: Final = re.compile(r"\{([^/{}:]+)\}")
_PLAIN: Final = re.compile(r"(/[^/{}]*|/\{[^/{}:]+\})+")


class _Node(Generic[T]):
    __slots__ = ("found", "next")

    def __init__(self) -> None:
        self.next: dict[str | None, _Node[T]] = {}
        self.found: tuple[int, tuple[str, ...], T] | None = None


class PathIndex(Generic[T]):
    """Templates like ``/products/{product_id}``, in an order: of several that fit, the first counts."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._size = 0

    def add(self, template: str, found: T) -> None:
        """What ``template`` leads to. Every hole is one whole segment."""
        node, holes = self._root, []
        for segment in template.split("/"):
            hole = segment[:1] == "{"
            if hole:
                holes.append(segment[1:-1])
            node = node.next.setdefault(_HOLE if hole else segment, _Node())
        if node.found is None:
            node.found = (self._size, tuple(holes), found)
        self._size += 1

    def find(self, path: str) -> tuple[dict[str, str], T] | None:
        """What ``path`` leads to, and what stands in the holes. Nothing where it ends in a line feed, of which a
        regular expression makes what it likes.
        """
        if path[-1:] == "\n":
            return None
        node, values = self._root, list[str]()
        for segment in path.split("/"):
            literal, hole = node.next.get(segment), node.next.get(_HOLE)
            if hole is None or not segment:
                if literal is None:
                    return None
                node = literal
            elif literal is None:
                node = hole
                values.append(segment)
            else:
                return self._search(path)
        if node.found is None:
            return None
        _, holes, found = node.found
        return dict(zip(holes, values, strict=True)), found

    def _search(self, path: str) -> tuple[dict[str, str], T] | None:
        """The same where a segment may be taken as it is, or as what stands in a hole."""
        best: tuple[int, tuple[str, ...], T] | None = None
        values: list[str] = []
        branches: list[tuple[_Node[T], list[str]]] = [(self._root, [])]
        for segment in path.split("/"):
            following: list[tuple[_Node[T], list[str]]] = []
            for node, taken in branches:
                if (literal := node.next.get(segment)) is not None:
                    following.append((literal, taken))
                if segment and (hole := node.next.get(_HOLE)) is not None:
                    following.append((hole, [*taken, segment]))
            if not following:
                return None
            branches = following
        for node, taken in branches:
            if node.found is not None and (best is None or node.found[0] < best[0]):
                best, values = node.found, taken
        return None if best is None else (dict(zip(best[1], values, strict=True)), best[2])


def is_plain(template: str) -> bool:
    """Every hole in it is one whole segment."""
    return bool(_PLAIN.fullmatch(template))


def literal_beginning(template: str) -> str:
    """What every path that fits it begins with."""
    return template.partition("{")[0]


def holes(template: str) -> frozenset[str]:
    """The names of what stands in the holes of a plain template."""
    return frozenset(_NAME.findall(template))
