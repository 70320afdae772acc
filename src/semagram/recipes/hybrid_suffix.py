"""The hybrid with the suffix model as its prior: long matches upon one Kneser-Ney model, gated by a small transformer.

The same network and budget as ``hybrid``; what is counted differs. Measured in results/2026-11-22-three-ways.
"""

from dataclasses import replace

from semagram.models import Hybrid
from semagram.recipes.hybrid import EXPERIMENT as HYBRID

assert isinstance(HYBRID.model, Hybrid)

EXPERIMENT = replace(
    HYBRID,
    name="hybrid_suffix",
    model=replace(HYBRID.model, orders=(5,), main_order=5, matches=(7, 9, 12, 16, 22)),
)
