"""The store's identity provider: OpenID Connect for people, OAuth 2 for programs.

A process of its own to everyone else, reached over HTTP alone. What it remembers is in memory, unlike what the other
services know, because it is worth nothing after a restart but new logins; all of it is bounded in number and in time.
Only its keys are kept, so that tokens which are out stay good.
"""

NAME = "identity"
PORT = 7008  # after the seven services
