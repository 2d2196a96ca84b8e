"""Where a client stopped reading, as a text that it need not understand."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from demo.errors import bad_query

LARGEST = 2**63 - 1  # what SQLite can compare


def encode_cursor(place: int) -> str:
    """The cursor for a place that is not negative."""
    return urlsafe_b64encode(f"after:{place}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *, start: int) -> int:
    """The place that a cursor of ours means, `start` without one; 422 for anything else."""
    if cursor is None:
        return start
    place = _place(cursor)
    # encoded again, because base64 and int both read many spellings of one number
    if place is None or not 0 <= place <= LARGEST or encode_cursor(place) != cursor:
        raise bad_query("cursor: not one of ours")
    return place


def _place(cursor: str) -> int | None:
    try:
        return int(urlsafe_b64decode(cursor.encode() + b"==").decode().removeprefix("after:"))
    except ValueError:
        return None
