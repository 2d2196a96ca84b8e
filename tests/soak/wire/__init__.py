"""The soak of ``wire.http1``: calls of every kind, to a server that does what it can to confuse whoever makes them."""
