"""Building one page out of many calls."""

from bff_core.composition.completeness import Completeness
from bff_core.composition.composition import Composition
from bff_core.composition.part import Part

__all__ = ["Completeness", "Composition", "Part"]
