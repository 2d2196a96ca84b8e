"""What can be measured, by name."""

from collections.abc import Callable
from typing import Final

from bench.plan import Plan
from bench.report import Report
from bench.scenarios import composed_page, identity, policies

__all__ = ["SCENARIOS"]

SCENARIOS: Final[dict[str, Callable[[Plan], Report]]] = {
    "composed-page": composed_page.measure,
    "identity": identity.measure,
    "policies": policies.measure,
}
