"""Bytes to and from one instance of a service."""

from bff_core.wire.contract import Instance, Reply, ReplyStream, Request, Wire, header

__all__ = ["Instance", "Reply", "ReplyStream", "Request", "Wire", "header"]
