"""What operators and tests may do to the provider, as with the fault switch of every service."""

from fastapi import APIRouter, Depends, Request

from demo.errors import StoreError, unknown
from demo.identity.backchannel import end
from demo.identity.provider import Ours
from demo.identity.users import USERS


async def _no_page(request: Request) -> None:
    """Refuse what a browser sends, because any page may make one send a POST here."""
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        raise StoreError(403, "bad_request", "this is not for pages")


router = APIRouter(dependencies=[Depends(_no_page)])


@router.post("/_rotate")
async def rotate(ours: Ours) -> dict[str, list[str]]:
    """New keys; the answer is what is published now, newest first."""
    ours.keys.rotate()
    return {"kids": [key["kid"] for key in ours.keys.public()["keys"]]}


@router.post("/_logout_user/{user_id}")
async def logout_user(user_id: str, ours: Ours) -> dict[str, object]:
    """Log this user out everywhere; the answer is what each client of each session was told."""
    if user_id not in USERS:
        raise unknown("user", user_id)
    told = [await end(ours, session) for session in ours.sessions.of(USERS[user_id], ours.now)]
    return {"sessions": len(told), "told": told}
