"""How the attempts at one upstream turned out, counted for operators."""

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from bff_core.errors import Reason
from bff_core.upstream.verdict import Verdict

__all__ = ["Tally"]


_LONGEST: Final = 300  # characters: it may repeat what the upstream said


class Tally:
    """Attempts by verdict since the start, and the last failure, with its time, as text for people.

    ``succeeded`` are the attempts that were answered as they should be, which most are, so that they are counted apart;
    ``joined`` are the calls that boarded an equal one, ``retried`` and ``hedged`` the attempts that were not a call's
    first, ``refused`` those that were never made, by reason.
    """

    __slots__ = (
        "_by_verdict",
        "hedged",
        "joined",
        "last_failure",
        "last_failure_at",
        "refused",
        "retried",
        "succeeded",
    )

    def __init__(self) -> None:
        self._by_verdict = dict.fromkeys(Verdict, 0)
        self.succeeded = self.joined = self.retried = self.hedged = 0
        self.refused: Counter[Reason] = Counter()
        self.last_failure: str | None = None
        self.last_failure_at: str | None = None

    def record(self, verdict: Verdict, failure: BaseException) -> None:
        """An attempt has ended with this failure."""
        self._by_verdict[verdict] += 1
        if verdict.counts_as == "failure":
            # what was stopped from above ended with a cancellation, which has no words
            said = str(failure) if isinstance(failure, Exception) else "stopped after too long"
            self.last_failure = said[:_LONGEST]
            self.last_failure_at = datetime.now(UTC).isoformat(timespec="seconds")

    def refuse(self, reason: Reason) -> None:
        """One was not made, because we refused it."""
        self.refused[reason] += 1

    def counts(self) -> dict[str, int]:
        """Ended attempts by what they count as."""
        counts: Counter[str] = Counter(success=self.succeeded)
        for verdict, number in self._by_verdict.items():
            counts[verdict.counts_as] += number
        return dict(+counts)
