"""Who is calling, what they may do, and what an upstream is told about it."""

from bff_core.auth.requires import Requires
from bff_core.auth.session_proof import BrowserSession, browser_session, form_token
from bff_core.auth.viewer import Viewer, Visitor, visitor

__all__ = ["BrowserSession", "Requires", "Viewer", "Visitor", "browser_session", "form_token", "visitor"]
