"""What all connections of one listener share."""

from dataclasses import dataclass

from bff_core.settings import SizeLimits

__all__ = ["Door"]


@dataclass(slots=True)
class Door:
    """How many ``connections`` there may be at once, and how many requests ``in_flight``. ``draining``: every reply
    asks its client to go elsewhere.
    """

    sizes: SizeLimits
    connections: int
    in_flight: int
    draining: bool = False
