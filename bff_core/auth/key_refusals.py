"""Why a key is not taken, or not made."""

__all__ = ["KeyRefused", "KeysRefused", "StoreFailed"]


class KeyRefused(Exception):
    """What was shown proves nothing. The message is for the log alone: who guesses must not learn how far it got.

    ``reason`` is the message without what was shown, where that is in it.
    """

    def __init__(
        self, why: str, key_id: str | None = None, owner: str | None = None, *, reason: str | None = None
    ) -> None:
        super().__init__(why)
        self.key_id, self.owner = key_id, owner
        self.reason = reason or why


class KeysRefused(Exception):
    """What was asked of the kept keys cannot be done; the message is one line for whoever asked."""


class StoreFailed(Exception):
    """Where keys are kept does not answer as it should; the message is one line, without what was asked."""
