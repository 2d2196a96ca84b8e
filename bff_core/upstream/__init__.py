"""Calling one service well: the life of a call, and the policies it asks."""

from bff_core.upstream.bulk import Gathering
from bff_core.upstream.call import Call, Download, Endpoint
from bff_core.upstream.flight import Flight, Passenger
from bff_core.upstream.relay import NO_RELAY, Relay
from bff_core.upstream.template import QueryValue, Template
from bff_core.upstream.upstream import Upstream
from bff_core.upstream.verdict import Verdict, judge

__all__ = [
    "NO_RELAY",
    "Call",
    "Download",
    "Endpoint",
    "Flight",
    "Gathering",
    "Passenger",
    "QueryValue",
    "Relay",
    "Template",
    "Upstream",
    "Verdict",
    "judge",
]
