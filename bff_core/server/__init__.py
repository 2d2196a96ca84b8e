"""Serving a gateway: one process or several, each with a listener for clients and one for operators."""
