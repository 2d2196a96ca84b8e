"""Who is calling, what they may do, and what an upstream is told about it."""

from bff_core.auth.viewer import Viewer, Visitor, visitor

__all__ = ["Viewer", "Visitor", "visitor"]
