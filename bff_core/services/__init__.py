"""Typed clients of the store's services, one file each."""

from bff_core.services.client import Answer, ServiceClient, connect, services_of

__all__ = ["Answer", "ServiceClient", "connect", "services_of"]
