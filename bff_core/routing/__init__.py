"""Requests that are passed through rather than composed."""

from bff_core.routing.handed_on import HandedOn

__all__ = ["HandedOn"]
