"""The baseline with a state space (Mamba-2) in the place of attention: generation costs the same at every length.

``--model.mixer SelectiveScan`` is Mamba-1, exact and slower; ``--model.mixer.links Continuous`` puts functions on the
links of the projections, as the seed does.
"""

from dataclasses import replace

from semagram.mixers import StateSpace
from semagram.models import Transformer
from semagram.recipes.baseline import EXPERIMENT as BASELINE

assert isinstance(BASELINE.model, Transformer)

EXPERIMENT = replace(
    BASELINE,
    name="mamba",
    model=replace(BASELINE.model, mixer=StateSpace(heads=8, state=32)),
)
