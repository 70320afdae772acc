"""The transformer of the recipe hybrid without its n-grams, same budget: the third figure of a fair report."""

from dataclasses import replace

from semagram.models import Hybrid
from semagram.recipes.hybrid import EXPERIMENT as HYBRID

assert isinstance(HYBRID.model, Hybrid)

EXPERIMENT = replace(HYBRID, name="hybrid_network_alone", model=HYBRID.model.network)
