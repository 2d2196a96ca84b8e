"""The service behind every contender: one small JSON document, whatever is asked for."""
