"""The store behind the gateways: seven services with seven databases and an identity provider,
reached over HTTP alone.

A foreign country to the gateways: it imports nothing of theirs and promises only what it says on the wire.
`python -m demo` starts all of it; `demo.app.create_service` makes one service to mount in a test.
"""
