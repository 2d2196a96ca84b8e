"""What people need to test a gateway: virtual time, a held upstream, a simulated internet."""

from bff_core.testing.held import HeldUpstream
from bff_core.testing.internet import SimulatedInternet
from bff_core.testing.time import VirtualTimeLoop, run

__all__ = ["HeldUpstream", "SimulatedInternet", "VirtualTimeLoop", "run"]
