"""What all connections of one listener share."""

from dataclasses import dataclass

from bff_core.settings import SizeLimits

__all__ = ["Door"]


@dataclass(slots=True)
class Door:
    """``connections`` is how many there may be at once. ``draining``: every reply asks its client to go elsewhere."""

    sizes: SizeLimits
    connections: int
    draining: bool = False
