"""Where the settings say that sessions are kept."""

from bff_core.auth.session_store import SessionStore
from bff_core.session_settings import SessionSettings

__all__ = ["store_of"]


def store_of(settings: SessionSettings, gateway: str) -> SessionStore:
    """For the gateway of that name. What only one of them needs is imported where it is needed, because imports cost
    the start.
    """
    if not settings.is_shared:
        from bff_core.auth.memory_sessions import MemorySessions  # noqa: PLC0415

        return MemorySessions()
    from bff_core.auth.redis_sessions import RedisSessions  # noqa: PLC0415
    from bff_core.redis import Redis  # noqa: PLC0415

    return RedisSessions(Redis(settings.store.get_secret_value()), gateway)
