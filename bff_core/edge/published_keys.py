"""The public keys of a gateway, for services that verify what it says."""

from typing import Final

from fastapi import FastAPI, Response

__all__ = ["publish_keys"]

_FRESH: Final = 300  # seconds: how long a key that was taken away is still believed


def publish_keys(app: FastAPI, key_set: bytes) -> None:
    """``GET /jwks`` of ``app``, which is that of operators: ``key_set``, a JSON Web Key Set (RFC 7517)."""

    @app.get("/jwks")
    async def jwks() -> Response:
        kept = {"cache-control": f"max-age={_FRESH}"}
        return Response(key_set, media_type="application/jwk-set+json", headers=kept)
