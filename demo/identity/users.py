"""Who can log in. The orders service knows them as customers."""

from collections.abc import Collection
from dataclasses import dataclass
from hmac import compare_digest


@dataclass(frozen=True)
class User:
    """`password` is no secret: the login page shows it, because this is a demo."""

    id: str
    name: str
    password: str

    @property
    def email(self) -> str:
        """An address that leads nowhere."""
        return f"{self.id}@example.org"


USERS = {
    user.id: user
    for user in (User("alice", "Alice Archer", "alice-reads-books"), User("bob", "Bob Binder", "bob-reads-too"))
}


def claims_of(user: User, scopes: Collection[str]) -> dict[str, str | bool]:
    """What clients with these scopes are told of a user (OIDC Core, section 5.4)."""
    claims: dict[str, str | bool] = {"sub": user.id}
    if "profile" in scopes:
        claims |= {"name": user.name, "preferred_username": user.id}
    if "email" in scopes:
        claims |= {"email": user.email, "email_verified": False}
    return claims


def known(name: str, password: str) -> User | None:
    """The user of this name, if the password is right."""
    user = USERS.get(name)
    return user if user is not None and compare_digest(user.password.encode(), password.encode()) else None
