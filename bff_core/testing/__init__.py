"""What people need to test a gateway: virtual time, a held upstream, a simulated internet, and somebody it knows."""

from bff_core.testing.held import HeldUpstream
from bff_core.testing.internet import SimulatedInternet
from bff_core.testing.signed_in import signed_in_as
from bff_core.testing.time import VirtualTimeLoop, run

__all__ = ["HeldUpstream", "SimulatedInternet", "VirtualTimeLoop", "run", "signed_in_as"]
