"""Where the instances of a service are."""

from bff_core.discovery.chosen import source_of
from bff_core.discovery.contract import Member, Source, SourceFailed
from bff_core.discovery.static import Static
from bff_core.discovery.watch import Watch

__all__ = ["Member", "Source", "SourceFailed", "Static", "Watch", "source_of"]
