"""Bytes to and from one instance of a service."""

from bff_core.wire.contract import Connections, Instance, Reply, ReplyStream, Request, Wire, header

__all__ = ["Connections", "Instance", "Reply", "ReplyStream", "Request", "Wire", "header"]
