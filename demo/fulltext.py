"""A search query as people type it, made safe for FTS5."""

import re

MOST_WORDS = 16
_WORD = re.compile(r"[^\W_]+")


def match_expression(query: str) -> str:
    """An FTS5 expression for all words of the query, the last one as a prefix.

    Every word is quoted and holds only letters and digits, so that no query can be an operator or an error.
    Words after the first 16 do not count. A query without words matches nothing.
    """
    words = [f'"{word}"' for word in _WORD.findall(query)[:MOST_WORDS]]
    return f"{' '.join(words)} *" if words else '""'
