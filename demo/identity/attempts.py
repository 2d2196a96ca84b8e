"""How often somebody may guess a password."""

from demo.identity.shelf import Shelf
from demo.identity.users import USERS

MOST = 5  # wrong ones in a row
WINDOW = 60.0  # seconds


class Attempts:
    """Five wrong passwords for a user, and even the right one must wait out the minute. All unknown users are one."""

    def __init__(self) -> None:
        self._failures: Shelf[list[float]] = Shelf(WINDOW)

    def wait(self, name: str, now: float) -> float:
        """Seconds until the next attempt is looked at; 0 when it may come."""
        failures = self._recent(name, now)
        return failures[0] + WINDOW - now if len(failures) >= MOST else 0.0

    def failed(self, name: str, now: float) -> None:
        """Count it."""
        self._failures.put(_counted(name), [*self._recent(name, now), now], now)

    def succeeded(self, name: str) -> None:
        """Forget what went wrong before."""
        self._failures.drop(_counted(name))

    def _recent(self, name: str, now: float) -> list[float]:
        return [moment for moment in self._failures.get(_counted(name), now) or [] if moment > now - WINDOW]


def _counted(name: str) -> str:
    return name if name in USERS else ""
