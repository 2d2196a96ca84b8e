"""Everything that all gateways need: typed calls to services, composed into one page for one kind of client."""

__version__ = "0.1.0"
