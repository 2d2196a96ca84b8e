"""The browsers' gateway: HTML drawn on the server, and JSON."""
