"""How the attempts at one upstream turned out, counted for operators."""

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from bff_core.upstream.verdict import Verdict

__all__ = ["Tally"]


_SUCCESS: Final = Verdict.SUCCESS  # members of an enumeration are found seven times as slowly


class Tally:
    """Attempts by verdict since the start, those in flight, and the last failure, with its time, as text for people."""

    __slots__ = ("_by_verdict", "in_flight", "last_failure", "last_failure_at")

    def __init__(self) -> None:
        self._by_verdict = dict.fromkeys(Verdict, 0)
        self.in_flight = 0
        self.last_failure: str | None = None
        self.last_failure_at: str | None = None

    def enter(self) -> None:
        """An attempt begins."""
        self.in_flight += 1

    def leave(self, verdict: Verdict, failure: Exception | None) -> None:
        """An attempt has ended, however it ended."""
        self.in_flight -= 1
        self._by_verdict[verdict] += 1
        if verdict is not _SUCCESS and verdict.counts_as == "failure":
            self.last_failure = str(failure or "stopped after too long")
            self.last_failure_at = datetime.now(UTC).isoformat(timespec="seconds")

    def counts(self) -> dict[str, int]:
        """Ended attempts by what they count as."""
        counts: Counter[str] = Counter()
        for verdict, number in self._by_verdict.items():
            counts[verdict.counts_as] += number
        return dict(+counts)
