"""The recipe hybrid, wider, longer and with dropout: 1.396 nats on tiny Shakespeare after two CPU-minutes.

More steps without dropout learn the training text by heart. Runs with different seeds average well: see docs/hybrid.md.
"""

from dataclasses import replace

from semagram.models import Hybrid
from semagram.recipes.hybrid import EXPERIMENT as HYBRID
from semagram.training.budget import Budget

assert isinstance(HYBRID.model, Hybrid)

EXPERIMENT = replace(
    HYBRID,
    name="hybrid_long",
    model=replace(HYBRID.model, network=replace(HYBRID.model.network, width=96, dropout=0.1)),
    training=replace(HYBRID.training, budget=Budget(1500, "steps"), halved=0.0),
)
